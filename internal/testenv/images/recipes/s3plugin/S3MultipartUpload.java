package org.nuvla.nuvlaops.testenv.s3;

import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.List;

import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.services.s3.model.CompletedPart;

/** One object in several parts. It is there whole or not at all: an upload that fails is aborted. */
final class S3MultipartUpload {

    /** The most that S3 takes. */
    private static final long MAX_PARTS = 10_000;

    private final S3Store store;
    private final String bucket;
    private final String key;
    private final String what;

    S3MultipartUpload(S3Store store, String key) {
        this.store = store;
        this.bucket = store.options().bucket();
        this.key = key;
        this.what = "Unable to upload object [" + key + "] using multipart upload";
    }

    void write(InputStream in, long size) throws IOException {
        if ((size - 1) / store.options().partSize() >= MAX_PARTS) {
            throw new IOException(what + ": too many parts, raise buffer_size");
        }
        String id = store.request(what, s3 -> s3.createMultipartUpload(store.options().multipart(key)).uploadId());
        boolean done = false;
        try {
            List<CompletedPart> parts = upload(in, size, id);
            store.request(
                what,
                s3 -> s3.completeMultipartUpload(r -> r.bucket(bucket).key(key).uploadId(id).multipartUpload(m -> m.parts(parts)))
            );
            done = true;
        } finally {
            if (done == false) {
                abort(id);
            }
        }
    }

    private List<CompletedPart> upload(InputStream in, long size, String id) throws IOException {
        List<CompletedPart> parts = new ArrayList<>();
        for (long left = size; left > 0;) {
            long length = Math.min(left, store.options().partSize());
            int number = parts.size() + 1;
            String tag = store.request(
                what,
                s3 -> s3.uploadPart(
                    r -> r.bucket(bucket).key(key).uploadId(id).partNumber(number).contentLength(length),
                    RequestBody.fromInputStream(in, length)
                ).eTag()
            );
            parts.add(CompletedPart.builder().partNumber(number).eTag(tag).build());
            left -= length;
        }
        return parts;
    }

    /** The reason why the upload failed counts, not that it could not be cleaned up. */
    private void abort(String id) {
        try {
            store.request(what, s3 -> s3.abortMultipartUpload(r -> r.bucket(bucket).key(key).uploadId(id)));
        } catch (IOException e) {
            // S3 itself drops what was never completed
        }
    }
}
