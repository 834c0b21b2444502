package org.nuvla.nuvlaops.testenv.s3;

import java.util.Map;

import org.elasticsearch.cluster.service.ClusterService;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.common.util.BigArrays;
import org.elasticsearch.env.Environment;
import org.elasticsearch.indices.recovery.RecoverySettings;
import org.elasticsearch.repositories.Repository;
import org.elasticsearch.xcontent.NamedXContentRegistry;

/** For 8.11: the official module of that version speaks the AWS SDK v1. */
public final class S3FixturePlugin extends FixturePlugin {

    public S3FixturePlugin(Settings settings) {
        super(settings);
    }

    @Override
    public Map<String, Repository.Factory> getRepositories(
        Environment env,
        NamedXContentRegistry registry,
        ClusterService clusterService,
        BigArrays bigArrays,
        RecoverySettings recovery
    ) {
        var services = new ServerRepository.Services(registry, clusterService, bigArrays, recovery);
        return Map.of("s3", metadata -> new S3FixtureRepository(metadata, services, clients, ErrorForm.SDK_V1));
    }
}
