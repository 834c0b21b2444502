// Package testenv runs real Elasticsearch, ZooKeeper and S3 servers and a single-node Swarm on a Docker engine, for tests
// and for the demo.
//
// # Use
//
// A test asks for a server and has it until it ends; without an engine it fails, it is never skipped:
//
//	es := testenv.UseElasticsearch(t, testenv.ElasticsearchOptions{})
//
// A package whose tests can share servers hands its TestMain to [Main] and asks for [SharedElasticsearch] and its like;
// each test then works in a repository, indices and a path of its own. A program calls [Guard] first, then
// [StartElasticsearch] and its like.
//
// # What is left behind
//
// Nothing. Everything that is made carries [Label], whose value names the process that made it. What carries the value of
// this process is removed when its test ends, when [Main] or [Guard] end, and on SIGINT and SIGTERM. The first start in a
// process sweeps what a process that was killed has left ([Sweep]); what belongs to a live process, or carries no label,
// is never touched. A program that wants its servers to stay calls [Keep]; [Kept], [RemoveKept] and [Clean] find them again.
//
// Removal looks for the label on the engine, pass after pass, until a pass finds nothing: no list of what was made has to
// be right, and what an engine is still making when a call is cut off is found as well.
//
// # Reaching the servers
//
// Ports are published on 127.0.0.1 only, and stay the same when a server is stopped, killed and started again; so does
// its data. The servers of one process share a network, where each is reached by its Name.
//
// # Errors
//
// What is wrong with the engine or the machine can be told apart with errors.Is ([ErrNoEngine], [ErrPermission],
// [ErrEngineTooOld], [ErrClientTooOld], [ErrPortTaken], [ErrDiskFull]), and the text says what to do.
//
// # Retries
//
// A start takes another port when one that nobody asked for was taken meanwhile. Nothing else is tried again.
package testenv
