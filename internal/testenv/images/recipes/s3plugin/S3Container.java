package org.nuvla.nuvlaops.testenv.s3;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.NoSuchFileException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;

import org.elasticsearch.action.ActionListener;
import org.elasticsearch.common.blobstore.BlobContainer;
import org.elasticsearch.common.blobstore.BlobPath;
import org.elasticsearch.common.blobstore.DeleteResult;
import org.elasticsearch.common.blobstore.OperationPurpose;
import org.elasticsearch.common.blobstore.OptionalBytesReference;
import org.elasticsearch.common.blobstore.support.AbstractBlobContainer;
import org.elasticsearch.common.blobstore.support.BlobMetadata;
import org.elasticsearch.common.bytes.BytesReference;
import org.elasticsearch.common.io.stream.BytesStreamOutput;
import org.elasticsearch.core.CheckedConsumer;

import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.services.s3.model.NoSuchKeyException;
import software.amazon.awssdk.services.s3.model.S3Exception;
import software.amazon.awssdk.services.s3.model.S3Object;

/**
 * The objects below one path of a bucket. A PUT is atomic and names are unique, so failIfExists is not looked at: a
 * request that is sent again after a lost answer would see its own object and fail for nothing.
 */
final class S3Container extends AbstractBlobContainer {

    private final S3Store store;
    private final String prefix;

    S3Container(BlobPath path, S3Store store) {
        super(path);
        this.store = store;
        this.prefix = path.buildAsString();
    }

    private String key(String name) {
        return prefix + name;
    }

    private String bucket() {
        return store.options().bucket();
    }

    @Override
    public boolean blobExists(OperationPurpose purpose, String name) throws IOException {
        return store.request("Failed to check if blob [" + name + "] exists", s3 -> {
            try {
                s3.headObject(r -> r.bucket(bucket()).key(key(name)));
                return true;
            } catch (S3Exception e) {
                if (e.statusCode() == 404) {
                    return false;
                }
                throw e;
            }
        });
    }

    @Override
    public InputStream readBlob(OperationPurpose purpose, String name) throws IOException {
        return new S3BlobStream(this::open, name, 0, Long.MAX_VALUE, store.readRetries());
    }

    @Override
    public InputStream readBlob(OperationPurpose purpose, String name, long position, long length) throws IOException {
        if (position < 0 || length < 0) {
            throw new IllegalArgumentException("position [" + position + "] and length [" + length + "] must not be negative");
        }
        if (length == 0) {
            return new ByteArrayInputStream(new byte[0]);
        }
        return new S3BlobStream(this::open, name, position, length, store.readRetries());
    }

    /** One GET, from position on; the rest of the object when length is Long.MAX_VALUE. */
    private S3BlobStream.Body open(String name, long position, long length) throws IOException {
        String last = length == Long.MAX_VALUE ? "" : Long.toString(position + length - 1);
        String range = position == 0 && last.isEmpty() ? null : "bytes=" + position + "-" + last;
        try {
            return new S3BlobStream.Body(
                store.request("Unable to read blob [" + key(name) + "]", s3 -> {
                    try {
                        return s3.getObject(r -> r.bucket(bucket()).key(key(name)).range(range));
                    } catch (NoSuchKeyException e) {
                        throw new NoSuchBlob(e);
                    }
                })
            );
        } catch (NoSuchBlob e) {
            throw new NoSuchFileException("Blob object [" + key(name) + "] not found: " + e.getMessage());
        }
    }

    /** Carries "there is no such key" past the handling of all other errors: a missing bucket is a 404 too. */
    @SuppressWarnings("serial")
    private static final class NoSuchBlob extends RuntimeException {
        NoSuchBlob(NoSuchKeyException e) {
            super(e.getMessage());
        }
    }

    @Override
    public void writeBlob(OperationPurpose purpose, String name, InputStream in, long size, boolean failIfExists) throws IOException {
        if (size > store.options().partSize()) {
            new S3MultipartUpload(store, key(name)).write(in, size);
            return;
        }
        store.request(
            "Unable to upload object [" + key(name) + "] using a single upload",
            s3 -> s3.putObject(store.options().put(key(name)), RequestBody.fromInputStream(in, size))
        );
    }

    @Override
    public void writeMetadataBlob(
        OperationPurpose purpose,
        String name,
        boolean failIfExists,
        boolean atomic,
        CheckedConsumer<OutputStream, IOException> writer
    ) throws IOException {
        try (BytesStreamOutput out = new BytesStreamOutput()) {
            writer.accept(out);
            writeBlobAtomic(purpose, name, out.bytes(), failIfExists);
        }
    }

    @Override
    public void writeBlobAtomic(OperationPurpose purpose, String name, BytesReference bytes, boolean failIfExists) throws IOException {
        try (InputStream in = bytes.streamInput()) {
            writeBlob(purpose, name, in, bytes.length(), failIfExists);
        }
    }

    /** New in 9. */
    public void writeBlobAtomic(OperationPurpose purpose, String name, InputStream in, long size, boolean failIfExists) throws IOException {
        writeBlob(purpose, name, in, size, failIfExists);
    }

    @Override
    public DeleteResult delete(OperationPurpose purpose) throws IOException {
        List<String> keys = new ArrayList<>();
        long[] bytes = new long[1];
        store.list(prefix, null, page -> {
            for (S3Object object : page.contents()) {
                keys.add(object.key());
                bytes[0] += object.size();
            }
        });
        store.deleteBlobsIgnoringIfNotExists(purpose, keys.iterator());
        return new DeleteResult(keys.size(), bytes[0]);
    }

    @Override
    public void deleteBlobsIgnoringIfNotExists(OperationPurpose purpose, Iterator<String> names) throws IOException {
        List<String> keys = new ArrayList<>();
        names.forEachRemaining(name -> keys.add(key(name)));
        store.deleteBlobsIgnoringIfNotExists(purpose, keys.iterator());
    }

    @Override
    public Map<String, BlobMetadata> listBlobs(OperationPurpose purpose) throws IOException {
        return listBlobsByPrefix(purpose, "");
    }

    @Override
    public Map<String, BlobMetadata> listBlobsByPrefix(OperationPurpose purpose, String namePrefix) throws IOException {
        Map<String, BlobMetadata> blobs = new HashMap<>();
        store.list(key(namePrefix == null ? "" : namePrefix), "/", page -> {
            for (S3Object object : page.contents()) {
                String name = object.key().substring(prefix.length());
                if (name.isEmpty() == false) {
                    blobs.put(name, new BlobMetadata(name, object.size()));
                }
            }
        });
        return blobs;
    }

    @Override
    public Map<String, BlobContainer> children(OperationPurpose purpose) throws IOException {
        Map<String, BlobContainer> children = new HashMap<>();
        store.list(prefix, "/", page -> page.commonPrefixes().forEach(common -> {
            String full = common.prefix();
            String name = full.substring(prefix.length(), full.length() - 1);
            if (name.isEmpty() == false) {
                children.put(name, store.blobContainer(path().add(name)));
            }
        }));
        return children;
    }

    /** Snapshots never call it; only the repository analysis does, which this server does not have. */
    @Override
    public void compareAndExchangeRegister(
        OperationPurpose purpose,
        String name,
        BytesReference expected,
        BytesReference updated,
        ActionListener<OptionalBytesReference> listener
    ) {
        listener.onFailure(new UnsupportedOperationException("the s3 test fixture has no registers"));
    }

    /** 8.x inherits one from BlobContainer. */
    public void getRegister(OperationPurpose purpose, String name, ActionListener<OptionalBytesReference> listener) {
        listener.onFailure(new UnsupportedOperationException("the s3 test fixture has no registers"));
    }
}
