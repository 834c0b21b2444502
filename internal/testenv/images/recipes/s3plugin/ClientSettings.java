package org.nuvla.nuvlaops.testenv.s3;

import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Function;

import org.elasticsearch.common.settings.SecureSetting;
import org.elasticsearch.common.settings.SecureString;
import org.elasticsearch.common.settings.Setting;
import org.elasticsearch.common.settings.Setting.AffixSetting;
import org.elasticsearch.common.settings.Setting.Property;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.core.TimeValue;

/**
 * One named client: {@code s3.client.NAME.*} of the node, of which a repository may override what is not secret.
 * Names and defaults are those of Elastic's repository-s3.
 */
record ClientSettings(
    String name,
    String accessKey,
    String secretKey,
    String sessionToken,
    String endpoint,
    String protocol,
    String region,
    boolean pathStyleAccess,
    boolean disableChunkedEncoding,
    TimeValue readTimeout,
    int maxRetries
) {
    static final String DEFAULT = "default";
    private static final String PREFIX = "s3.client.";

    static final AffixSetting<SecureString> ACCESS_KEY = secret("access_key");
    static final AffixSetting<SecureString> SECRET_KEY = secret("secret_key");
    static final AffixSetting<SecureString> SESSION_TOKEN = secret("session_token");
    static final AffixSetting<String> ENDPOINT = plain("endpoint", key -> Setting.simpleString(key, Property.NodeScope));
    static final AffixSetting<String> PROTOCOL = plain("protocol", key -> Setting.simpleString(key, "https", Property.NodeScope));
    static final AffixSetting<String> REGION = plain("region", key -> Setting.simpleString(key, Property.NodeScope));
    static final AffixSetting<Boolean> PATH_STYLE = plain(
        "path_style_access",
        key -> Setting.boolSetting(key, false, Property.NodeScope)
    );
    static final AffixSetting<Boolean> DISABLE_CHUNKED = plain(
        "disable_chunked_encoding",
        key -> Setting.boolSetting(key, false, Property.NodeScope)
    );
    static final AffixSetting<TimeValue> READ_TIMEOUT = plain(
        "read_timeout",
        key -> Setting.timeSetting(key, TimeValue.timeValueSeconds(50), Property.NodeScope)
    );
    static final AffixSetting<Integer> MAX_RETRIES = plain("max_retries", key -> Setting.intSetting(key, 3, 0, Property.NodeScope));
    static final AffixSetting<Integer> MAX_CONNECTIONS = plain(
        "max_connections",
        key -> Setting.intSetting(key, 50, 1, Property.NodeScope)
    );
    static final AffixSetting<Boolean> THROTTLE_RETRIES = plain(
        "use_throttle_retries",
        key -> Setting.boolSetting(key, true, Property.NodeScope)
    );

    static final List<Setting<?>> ALL = List.of(
        ACCESS_KEY,
        SECRET_KEY,
        SESSION_TOKEN,
        ENDPOINT,
        PROTOCOL,
        REGION,
        PATH_STYLE,
        DISABLE_CHUNKED,
        READ_TIMEOUT,
        MAX_RETRIES,
        MAX_CONNECTIONS,
        THROTTLE_RETRIES
    );

    /** Every client that the node's settings or its keystore name; "default" is always there. */
    static Map<String, ClientSettings> load(Settings node) {
        Set<String> names = new TreeSet<>(Set.of(DEFAULT));
        for (Setting<?> setting : ALL) {
            names.addAll(((AffixSetting<?>) setting).getNamespaces(node));
        }
        Map<String, ClientSettings> clients = new HashMap<>();
        for (String name : names) {
            clients.put(name, of(name, node));
        }
        return Map.copyOf(clients);
    }

    private static ClientSettings of(String name, Settings node) {
        String access = text(ACCESS_KEY, name, node);
        String secret = text(SECRET_KEY, name, node);
        if (access.isEmpty() != secret.isEmpty()) {
            String missing = access.isEmpty() ? "access key" : "secret key";
            throw new IllegalArgumentException("Missing " + missing + " for s3 client [" + name + "]");
        }
        return new ClientSettings(
            name,
            access,
            secret,
            text(SESSION_TOKEN, name, node),
            value(ENDPOINT, name, node),
            value(PROTOCOL, name, node),
            value(REGION, name, node),
            value(PATH_STYLE, name, node),
            value(DISABLE_CHUNKED, name, node),
            value(READ_TIMEOUT, name, node),
            value(MAX_RETRIES, name, node)
        );
    }

    /** The same client with what a repository says about it. */
    ClientSettings refine(Settings repository) {
        return new ClientSettings(
            name,
            accessKey,
            secretKey,
            sessionToken,
            repository.get("endpoint", endpoint),
            repository.get("protocol", protocol),
            repository.get("region", region),
            repository.getAsBoolean("path_style_access", pathStyleAccess),
            repository.getAsBoolean("disable_chunked_encoding", disableChunkedEncoding),
            repository.getAsTime("read_timeout", readTimeout),
            repository.getAsInt("max_retries", maxRetries)
        );
    }

    /** The endpoint with a scheme, or empty for AWS itself. */
    String endpointUrl() {
        if (endpoint.isEmpty() || endpoint.contains("://")) {
            return endpoint;
        }
        return protocol.toLowerCase(Locale.ROOT) + "://" + endpoint;
    }

    private static AffixSetting<SecureString> secret(String key) {
        return Setting.affixKeySetting(PREFIX, key, full -> SecureSetting.secureString(full, null));
    }

    private static <T> AffixSetting<T> plain(String key, Function<String, Setting<T>> setting) {
        return Setting.affixKeySetting(PREFIX, key, setting);
    }

    private static <T> T value(AffixSetting<T> setting, String name, Settings node) {
        return setting.getConcreteSettingForNamespace(name).get(node);
    }

    private static String text(AffixSetting<SecureString> setting, String name, Settings node) {
        try (SecureString secret = value(setting, name, node)) {
            return secret.toString();
        }
    }

    /** Without the secrets: this may end up in a log. */
    @Override
    public String toString() {
        return "s3 client [" + name + "]";
    }
}
