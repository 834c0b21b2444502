package org.nuvla.nuvlaops.testenv.s3;

import java.net.URI;
import java.time.Duration;
import java.util.Map;
import java.util.TreeSet;

import org.elasticsearch.common.settings.SecureSetting;
import org.elasticsearch.common.settings.SecureString;
import org.elasticsearch.common.settings.Setting;
import org.elasticsearch.common.settings.Settings;

import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.AwsCredentials;
import software.amazon.awssdk.auth.credentials.AwsSessionCredentials;
import software.amazon.awssdk.awscore.retry.AwsRetryStrategy;
import software.amazon.awssdk.core.exception.SdkClientException;
import software.amazon.awssdk.core.interceptor.Context;
import software.amazon.awssdk.core.interceptor.ExecutionAttributes;
import software.amazon.awssdk.core.interceptor.ExecutionInterceptor;
import software.amazon.awssdk.http.SdkHttpRequest;
import software.amazon.awssdk.http.urlconnection.UrlConnectionHttpClient;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.S3ClientBuilder;
import software.amazon.awssdk.services.s3.S3Configuration;

/**
 * The named clients of this node. Secure settings can be read only while the plugin is made or reloaded, so they are
 * copied out then; a client asks for its keys at each request, and so sees a reload without being made anew.
 */
final class S3Clients {

    /** Settings of a repository which Elasticsearch refuses: keys belong into the keystore. */
    private static final Setting<SecureString> INSECURE_ACCESS_KEY = SecureSetting.insecureString("access_key");
    private static final Setting<SecureString> INSECURE_SECRET_KEY = SecureSetting.insecureString("secret_key");

    private static final Duration CONNECT_TIMEOUT = Duration.ofSeconds(10);

    private volatile Map<String, ClientSettings> clients;

    S3Clients(Settings node) {
        reload(node);
    }

    void reload(Settings node) {
        clients = ClientSettings.load(node);
    }

    ClientSettings settings(String name) {
        ClientSettings found = clients.get(name);
        if (found == null) {
            throw new IllegalArgumentException(
                "Unknown s3 client name [" + name + "]. Existing client configs: " + String.join(",", new TreeSet<>(clients.keySet()))
            );
        }
        return found;
    }

    /** A client as a repository wants it. It sends nothing yet. */
    S3Client open(String name, Settings repository) {
        refuseKeys(repository);
        ClientSettings settings = settings(name).refine(repository);
        S3ClientBuilder builder = S3Client.builder()
            .httpClient(
                UrlConnectionHttpClient.builder()
                    .socketTimeout(Duration.ofMillis(settings.readTimeout().millis()))
                    .connectionTimeout(CONNECT_TIMEOUT)
                    .build()
            )
            .overrideConfiguration(
                o -> o.retryStrategy(AwsRetryStrategy.standardRetryStrategy().toBuilder().maxAttempts(settings.maxRetries() + 1).build())
                    .addExecutionInterceptor(new NoExpectation())
            )
            .serviceConfiguration(S3Configuration.builder().chunkedEncodingEnabled(settings.disableChunkedEncoding() == false).build())
            .forcePathStyle(settings.pathStyleAccess())
            .region(Region.of(settings.region().isEmpty() ? "us-east-1" : settings.region()))
            .credentialsProvider(() -> credentials(name));
        if (settings.endpointUrl().isEmpty() == false) {
            builder.endpointOverride(URI.create(settings.endpointUrl()));
        }
        return builder.build();
    }

    private AwsCredentials credentials(String name) {
        ClientSettings current = settings(name);
        if (current.accessKey().isEmpty()) {
            throw SdkClientException.create("Unable to load AWS credentials for s3 client [" + name + "] from the keystore");
        }
        if (current.sessionToken().isEmpty() == false) {
            return AwsSessionCredentials.create(current.accessKey(), current.secretKey(), current.sessionToken());
        }
        return AwsBasicCredentials.create(current.accessKey(), current.secretKey());
    }

    /**
     * Takes "Expect: 100-continue" away. With it, this HTTP client reports a lost connection in a form that the SDK does not
     * try again.
     */
    private static final class NoExpectation implements ExecutionInterceptor {
        @Override
        public SdkHttpRequest modifyHttpRequest(Context.ModifyHttpRequest context, ExecutionAttributes attributes) {
            return context.httpRequest().toBuilder().removeHeader("Expect").build();
        }
    }

    private static void refuseKeys(Settings repository) {
        INSECURE_ACCESS_KEY.get(repository).close();
        INSECURE_SECRET_KEY.get(repository).close();
    }
}
