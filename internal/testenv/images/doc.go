// Package images finds or makes the container images that tests and the demo run: Elasticsearch, ZooKeeper, an S3 server
// and Python with kazoo.
//
// # Choice
//
// [Resolver.Resolve] takes the first that there is:
//
//  1. the image that an environment variable names ([Spec.Variables]: NUVLAOPS_ES_IMAGE, NUVLAOPS_ZK_IMAGE,
//     NUVLAOPS_S3_IMAGE, NUVLAOPS_CONSUMER_IMAGE; NUVLAOPS_ES_8_19_7_IMAGE for a version that is not the default);
//  2. an image that the engine has: the official one, or the one that was assembled from these recipes;
//  3. the official one, pulled; a registry that does not answer is not asked again for ten minutes, and with
//     NUVLAOPS_PULL=never none is asked;
//  4. one that is assembled from Debian's packages, Maven artifacts and Go modules.
//
// An Elasticsearch image behaves the same wherever it is from: variables named like settings (discovery.type) become
// settings, /run/secrets/s3_access_key and s3_secret_key go into the keystore as those of the client "default", it runs
// as uid 1000, keeps its data in [ElasticsearchData] and takes [ElasticsearchShared] as a path of fs repositories. For
// that, a thin layer is put on an official image. A test that needs what an assembled server lacks asks [Image.Official].
//
// # Assembly
//
// The recipes are the files under recipes. The tag of an image carries a hash of its recipe, its version and the tag of
// its parent, so nothing is built twice and a changed recipe is built. Two processes that want the same image build it
// once: the second waits for the lock of the first. A cancelled context ends every child process and leaves no tagged
// image and no folder behind. Elasticsearch runs once while its image is built, and leaves an archive of its classes (class
// data sharing), which takes a quarter off the CPU of each start of 8.11, or more; newer servers start in a way that shares none.
//
// Assembly needs, on the host, debootstrap and root (unless debian:bookworm-slim and
// debian:trixie-slim can be pulled: Elasticsearch 9 needs the Java of the later one), Maven, Java 17 and Go;
// internal/testenv/scripts/engine.sh --tools installs them on Debian.
//
// # The s3 fixture
//
// Elastic publishes the server of its integration tests, but not its repository-s3 module. The assembled Elasticsearch
// therefore carries a plugin of ours that registers the type "s3" with the same settings and the same errors. It is a
// fixture for tests; an image that is based on the official one never has it.
package images
