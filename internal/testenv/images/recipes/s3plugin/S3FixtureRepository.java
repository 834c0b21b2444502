package org.nuvla.nuvlaops.testenv.s3;

import java.util.Map;

import org.elasticsearch.cluster.metadata.RepositoryMetadata;
import org.elasticsearch.common.blobstore.BlobPath;
import org.elasticsearch.common.blobstore.BlobStore;
import org.elasticsearch.common.settings.Setting;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.common.unit.ByteSizeValue;
import org.elasticsearch.repositories.RepositoryException;

/** A repository of type "s3": Elasticsearch's own snapshot code over a bucket. */
final class S3FixtureRepository extends ServerRepository {

    private static final ByteSizeValue MIN_PART = ByteSizeValue.ofMb(5);
    private static final ByteSizeValue MAX_OBJECT = ByteSizeValue.ofTb(5);

    /** Up to this size an object is one PUT, above it a multipart upload in parts of this size. */
    private static final Setting<ByteSizeValue> BUFFER_SIZE = Setting.byteSizeSetting("buffer_size", defaultPart(), MIN_PART, MAX_OBJECT);
    private static final Setting<ByteSizeValue> CHUNK_SIZE = Setting.byteSizeSetting("chunk_size", MAX_OBJECT, MIN_PART, MAX_OBJECT);

    private final S3Clients clients;
    private final ErrorForm errors;
    private final ByteSizeValue chunkSize;
    private final S3ObjectOptions options;

    S3FixtureRepository(
        RepositoryMetadata metadata,
        ServerRepository.Services services,
        S3Clients clients,
        ErrorForm errors
    ) {
        super(metadata, services, basePath(metadata.settings()), location(metadata.settings()));
        this.clients = clients;
        this.errors = errors;
        Settings settings = metadata.settings();
        if (settings.get("bucket") == null) {
            throw new RepositoryException(metadata.name(), "No bucket defined for s3 repository");
        }
        ByteSizeValue part = BUFFER_SIZE.get(settings);
        this.chunkSize = CHUNK_SIZE.get(settings);
        if (chunkSize.getBytes() < part.getBytes()) {
            throw new RepositoryException(
                metadata.name(),
                "chunk_size (" + chunkSize + ") can't be lower than buffer_size (" + part + ")."
            );
        }
        this.options = S3ObjectOptions.of(settings, part.getBytes());
    }

    @Override
    protected BlobStore createBlobStore() {
        Settings settings = metadata.settings();
        String client = settings.get("client", ClientSettings.DEFAULT);
        return new S3Store(() -> clients.open(client, settings), () -> clients.settings(client).refine(settings).maxRetries(), options, errors);
    }

    @Override
    protected ByteSizeValue chunkSize() {
        return chunkSize;
    }

    private static BlobPath basePath(Settings settings) {
        BlobPath path = BlobPath.EMPTY;
        for (String part : settings.get("base_path", "").split("/")) {
            path = part.isEmpty() ? path : path.add(part);
        }
        return path;
    }

    private static Map<String, String> location(Settings settings) {
        return Map.of("bucket", settings.get("bucket", ""), "base_path", settings.get("base_path", ""));
    }

    /** 5 % of the heap, 100 MB at most, as the official module has it. */
    private static ByteSizeValue defaultPart() {
        long share = Runtime.getRuntime().maxMemory() / 20;
        return ByteSizeValue.ofBytes(Math.max(Math.min(share, 100L << 20), MIN_PART.getBytes()));
    }
}
