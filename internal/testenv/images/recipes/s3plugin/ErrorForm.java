package org.nuvla.nuvlaops.testenv.s3;

import java.util.List;
import java.util.stream.Collectors;

import org.elasticsearch.ElasticsearchException;

import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.services.s3.model.S3Error;
import software.amazon.awssdk.services.s3.model.S3Exception;

/** How an error of S3 reads in Elasticsearch's answers: by the AWS SDK that the official module of that version has. */
enum ErrorForm {
    /** Up to 8.18: type amazon_s3_exception, "... (Service: Amazon S3; Status Code: 404; Error Code: NoSuchBucket; ...)". */
    SDK_V1 {
        @Override
        Throwable of(SdkException e) {
            return e instanceof S3Exception s3 && s3.awsErrorDetails() != null ? new AmazonS3Exception(s3) : e;
        }

        @Override
        Throwable of(List<S3Error> notDeleted) {
            return new MultiObjectDeleteException();
        }
    },
    /** From 8.19: the SDK that we use too. */
    SDK_V2 {
        @Override
        Throwable of(SdkException e) {
            return e;
        }

        @Override
        Throwable of(List<S3Error> notDeleted) {
            return new ElasticsearchException(
                notDeleted.stream()
                    .limit(10)
                    .map(e -> "[" + e.key() + "][" + e.code() + "][" + e.message() + "]")
                    .collect(Collectors.joining(",", "Failed to delete some blobs ", ""))
            );
        }
    };

    abstract Throwable of(SdkException e);

    /** Of a request that has deleted some objects and others not. */
    abstract Throwable of(List<S3Error> notDeleted);

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

    /** It keeps what S3 said of each object to itself. */
    @SuppressWarnings("serial")
    static final class MultiObjectDeleteException extends RuntimeException {
        MultiObjectDeleteException() {
            super(
                "One or more objects could not be deleted (Service: null; Status Code: 200; Error Code: null; Request ID: null;"
                    + " S3 Extended Request ID: null; Proxy: null)"
            );
        }
    }
}
