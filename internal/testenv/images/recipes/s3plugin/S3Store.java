package org.nuvla.nuvlaops.testenv.s3;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.IntSupplier;
import java.util.function.Supplier;

import org.elasticsearch.common.blobstore.BlobContainer;
import org.elasticsearch.common.blobstore.BlobPath;
import org.elasticsearch.common.blobstore.BlobStore;
import org.elasticsearch.common.blobstore.OperationPurpose;

import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.model.Delete;
import software.amazon.awssdk.services.s3.model.DeleteObjectsResponse;
import software.amazon.awssdk.services.s3.model.ListObjectsV2Request;
import software.amazon.awssdk.services.s3.model.ListObjectsV2Response;
import software.amazon.awssdk.services.s3.model.ObjectIdentifier;
import software.amazon.awssdk.services.s3.model.S3Error;

/** A bucket. The client is made at the first request: a wrong client name or key shows there, as in the official module. */
final class S3Store implements BlobStore {

    /** What S3 takes in one request. */
    private static final int DELETE_BATCH = 1000;

    private final Supplier<S3Client> open;
    private final IntSupplier readRetries;
    private final S3ObjectOptions options;
    private final ErrorForm errors;
    private S3Client client;

    S3Store(Supplier<S3Client> open, IntSupplier readRetries, S3ObjectOptions options, ErrorForm errors) {
        this.open = open;
        this.readRetries = readRetries;
        this.options = options;
        this.errors = errors;
    }

    S3ObjectOptions options() {
        return options;
    }

    int readRetries() {
        return readRetries.getAsInt();
    }

    /** Sends one request; an error of S3 becomes an IOException that says what was tried and carries the error as its cause. */
    <T> T request(String what, Function<S3Client, T> request) throws IOException {
        return Privileged.call(() -> {
            try {
                return request.apply(client());
            } catch (SdkException e) {
                throw new IOException(what, errors.of(e));
            }
        });
    }

    private synchronized S3Client client() {
        if (client == null) {
            client = open.get();
        }
        return client;
    }

    /** Calls page for every page of the listing. */
    void list(String prefix, String delimiter, Consumer<ListObjectsV2Response> page) throws IOException {
        ListObjectsV2Request first = ListObjectsV2Request.builder().bucket(options.bucket()).prefix(prefix).delimiter(delimiter).build();
        for (ListObjectsV2Request next = first; next != null;) {
            ListObjectsV2Request now = next;
            ListObjectsV2Response response = request("Exception when listing blobs by prefix [" + prefix + "]", s3 -> s3.listObjectsV2(now));
            page.accept(response);
            boolean more = Boolean.TRUE.equals(response.isTruncated());
            next = more ? first.toBuilder().continuationToken(response.nextContinuationToken()).build() : null;
        }
    }

    @Override
    public BlobContainer blobContainer(BlobPath path) {
        return new S3Container(path, this);
    }

    /** Takes full keys. Part of the interface up to 8.11, so there is no override here. */
    public void deleteBlobsIgnoringIfNotExists(OperationPurpose purpose, Iterator<String> keys) throws IOException {
        List<ObjectIdentifier> batch = new ArrayList<>();
        while (keys.hasNext()) {
            batch.add(ObjectIdentifier.builder().key(keys.next()).build());
            if (batch.size() == DELETE_BATCH || keys.hasNext() == false) {
                delete(List.copyOf(batch));
                batch.clear();
            }
        }
    }

    /** An error of one object is not one of the request, which has succeeded. */
    private void delete(List<ObjectIdentifier> batch) throws IOException {
        String what = "Failed to delete blobs " + batch.stream().limit(10).map(ObjectIdentifier::key).toList();
        Delete delete = Delete.builder().objects(batch).quiet(true).build();
        DeleteObjectsResponse response = request(what, s3 -> s3.deleteObjects(r -> r.bucket(options.bucket()).delete(delete)));
        List<S3Error> left = response.errors().stream().filter(error -> "NoSuchKey".equals(error.code()) == false).toList();
        if (left.isEmpty() == false) {
            throw new IOException(what, errors.of(left));
        }
    }

    @Override
    public synchronized void close() throws IOException {
        if (client != null) {
            Privileged.run(client::close);
            client = null;
        }
    }
}
