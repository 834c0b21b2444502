package org.nuvla.nuvlaops.testenv.s3;

import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.services.s3.model.S3Exception;

/** How an error of S3 reads in Elasticsearch's answers: by the AWS SDK that the official module of that version has. */
enum ErrorForm {
    /** Up to 8.18: type amazon_s3_exception, "... (Service: Amazon S3; Status Code: 404; Error Code: NoSuchBucket; ...)". */
    SDK_V1 {
        @Override
        Throwable of(SdkException e) {
            return e instanceof S3Exception s3 && s3.awsErrorDetails() != null ? new AmazonS3Exception(s3) : e;
        }
    },
    /** From 8.19: the SDK that we use too. */
    SDK_V2 {
        @Override
        Throwable of(SdkException e) {
            return e;
        }
    };

    abstract Throwable of(SdkException e);

    /** Its simple name becomes the "type" that a client of Elasticsearch reads. */
    @SuppressWarnings("serial")
    static final class AmazonS3Exception extends RuntimeException {
        AmazonS3Exception(S3Exception e) {
            super(
                message(e)
                    + " (Service: Amazon S3; Status Code: "
                    + e.statusCode()
                    + "; Error Code: "
                    + e.awsErrorDetails().errorCode()
                    + "; Request ID: "
                    + e.requestId()
                    + "; S3 Extended Request ID: "
                    + e.extendedRequestId()
                    + "; Proxy: null)"
            );
            setStackTrace(e.getStackTrace());
        }

        private static String message(S3Exception e) {
            String message = e.awsErrorDetails().errorMessage();
            return message == null || message.isEmpty() ? e.awsErrorDetails().errorCode() : message;
        }
    }
}
