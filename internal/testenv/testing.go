package testenv

import "testing"

// Main is for TestMain: it runs the tests, removes everything that they made, also on SIGINT and SIGTERM, and exits.
func Main(m *testing.M) { m.Run() }

// UseElasticsearch starts a server for one test and closes it at the test's end.
func UseElasticsearch(t testing.TB, opts ElasticsearchOptions) *Elasticsearch { return nil }

// UseZooKeeper starts a server for one test and closes it at the test's end.
func UseZooKeeper(t testing.TB, opts ZooKeeperOptions) *ZooKeeper { return nil }

// UseZooKeeperEnsemble starts an ensemble for one test and closes it at the test's end.
func UseZooKeeperEnsemble(t testing.TB, n int, opts ZooKeeperOptions) []*ZooKeeper { return nil }

// UseS3 starts a server for one test and closes it at the test's end.
func UseS3(t testing.TB) *S3 { return nil }

// UseSwarm joins or makes the engine's swarm for one test and closes it at the test's end.
func UseSwarm(t testing.TB) *Swarm { return nil }

// SharedElasticsearch returns the test binary's server of this version ("" for Elasticsearch811), which the first call
// starts and Main closes. The keys of SharedS3 are in its keystore. Use names of your own in it, and never stop it.
func SharedElasticsearch(t testing.TB, version string) *Elasticsearch { return nil }

// SharedZooKeeper returns the test binary's server of this version ("" for ZooKeeper34). Use a path of your own in it.
func SharedZooKeeper(t testing.TB, version string) *ZooKeeper { return nil }

// SharedS3 returns the test binary's S3 server. Use a bucket of your own in it.
func SharedS3(t testing.TB) *S3 { return nil }
