package org.nuvla.nuvlaops.testenv.s3;

import org.elasticsearch.common.blobstore.BlobStoreException;
import org.elasticsearch.common.settings.Settings;

import software.amazon.awssdk.services.s3.model.CreateMultipartUploadRequest;
import software.amazon.awssdk.services.s3.model.ObjectCannedACL;
import software.amazon.awssdk.services.s3.model.PutObjectRequest;
import software.amazon.awssdk.services.s3.model.ServerSideEncryption;
import software.amazon.awssdk.services.s3.model.StorageClass;

/** Where and how objects are written; what is null is not sent. */
record S3ObjectOptions(String bucket, long partSize, ObjectCannedACL acl, StorageClass storageClass, ServerSideEncryption encryption) {

    static S3ObjectOptions of(Settings repository, long partSize) {
        return new S3ObjectOptions(
            repository.get("bucket"),
            partSize,
            acl(repository.get("canned_acl", "")),
            storageClass(repository.get("storage_class", "")),
            repository.getAsBoolean("server_side_encryption", false) ? ServerSideEncryption.AES256 : null
        );
    }

    PutObjectRequest put(String key) {
        return PutObjectRequest.builder()
            .bucket(bucket)
            .key(key)
            .acl(acl)
            .storageClass(storageClass)
            .serverSideEncryption(encryption)
            .build();
    }

    CreateMultipartUploadRequest multipart(String key) {
        return CreateMultipartUploadRequest.builder()
            .bucket(bucket)
            .key(key)
            .acl(acl)
            .storageClass(storageClass)
            .serverSideEncryption(encryption)
            .build();
    }

    private static ObjectCannedACL acl(String name) {
        if (name.isEmpty()) {
            return null;
        }
        ObjectCannedACL acl = ObjectCannedACL.fromValue(name);
        if (acl == ObjectCannedACL.UNKNOWN_TO_SDK_VERSION) {
            throw new BlobStoreException("cannedACL is not valid: [" + name + "]");
        }
        return acl;
    }

    private static StorageClass storageClass(String name) {
        if (name.isEmpty()) {
            return null;
        }
        StorageClass known = StorageClass.fromValue(name.toUpperCase(java.util.Locale.ROOT));
        if (known == StorageClass.GLACIER) {
            throw new BlobStoreException("Glacier storage class is not supported");
        }
        if (known == StorageClass.UNKNOWN_TO_SDK_VERSION) {
            throw new BlobStoreException("`" + name + "` is not a valid S3 Storage Class.");
        }
        return known;
    }
}
