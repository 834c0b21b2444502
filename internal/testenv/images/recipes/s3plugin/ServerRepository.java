package org.nuvla.nuvlaops.testenv.s3;

import java.util.Map;

import org.elasticsearch.cluster.metadata.RepositoryMetadata;
import org.elasticsearch.cluster.service.ClusterService;
import org.elasticsearch.common.blobstore.BlobPath;
import org.elasticsearch.common.util.BigArrays;
import org.elasticsearch.indices.recovery.RecoverySettings;
import org.elasticsearch.repositories.blobstore.MeteredBlobStoreRepository;
import org.elasticsearch.xcontent.NamedXContentRegistry;

/** What a repository is given by a server of this version. */
abstract class ServerRepository extends MeteredBlobStoreRepository {

    record Services(NamedXContentRegistry registry, ClusterService cluster, BigArrays arrays, RecoverySettings recovery) {}

    ServerRepository(RepositoryMetadata metadata, Services services, BlobPath path, Map<String, String> location) {
        super(metadata, services.registry, services.cluster, services.arrays, services.recovery, path, location);
    }
}
