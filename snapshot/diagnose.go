package snapshot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
)

// errVerifyTimeout is the cause of the context's end when a verification takes too long.
var errVerifyTimeout = errors.New("verification takes too long")

// symptom is what an answer says when a repository cannot be used, and what it means.
type symptom struct {
	code   string   // of S3
	types  []string // or one of these in the chain of causes
	text   string   // or this in a reason
	during []string // and one of these in a reason, if there are any: what was being done
	reason string   // with %[1]s bucket, %[2]s endpoint, %[3]s client, %[4]s location; empty keeps the server's
	hint   string
}

// What is right for several symptoms. Without the right to delete, Elasticsearch goes on, and what it prunes fills the bucket.
const (
	mayNotList   = "the S3 key may not list bucket %[1]s"
	mayNotDelete = "the S3 key may not delete objects in bucket %[1]s"
	hintList     = "allow it s3:ListBucket, on the bucket itself and not on its objects"
	hintRights   = "allow it to list the bucket, and to read, write and delete objects in it"
	hintDelete   = "allow the S3 key s3:DeleteObject on all objects in the bucket, and look whether the bucket locks them"
	hintRoom     = "make room there, or raise the quota; removing snapshots needs some room too"
	hintKeys     = "check s3.client.%[3]s.access_key and secret_key in the keystore of each node, that they may list bucket %[1]s, and read, write and delete objects in it, that no quota is reached, and that the clocks agree"
	failed50x    = "%[2]s answers with a failure of its own"
	hintFailed   = "see its log and whether its disks are full, and call again"
	tooFewDrives = "%[2]s reaches too few of its drives" // MinIO, in the words of a throttle
	hintDrives   = "bring back those of its drives and servers that are away (mc admin info shows them), and call again"
	refused403   = "%[2]s refuses the S3 keys, or what they are to do"
)

// symptoms are tried in order; the more exact ones come first. Each but those of other S3 servers was seen on 8.11.3;
// what 8.19 and 9 say instead has the same codes (es.ServerError.S3Code).
var symptoms = []symptom{
	{code: "NoSuchBucket", types: []string{"no_such_bucket_exception"}, reason: "bucket %[1]s does not exist", hint: "create it first, or correct the bucket's name"},
	{text: "account is disabled", reason: "the account of the S3 access key is disabled at %[2]s", hint: "enable it there, or put the keys of another one into the keystore of each node (s3.client.%[3]s.access_key, secret_key) and reload the secrets"}, // MinIO
	{code: "InvalidAccessKeyId", reason: "%[2]s does not know the S3 access key", hint: "put the right keys into the keystore of each node (s3.client.%[3]s.access_key) and reload the secrets; some servers do not know a key any more that has expired"},
	{code: "SignatureDoesNotMatch", reason: "%[2]s refuses the S3 secret key", hint: "put the right keys into the keystore of each node (s3.client.%[3]s.secret_key) and reload the secrets; a wrong clock or region shows in the same way"},
	{code: "AccessDenied", during: []string{"Exception when listing", "Exception when deleting blob container"}, reason: mayNotList, hint: hintList},
	{code: "AccessDenied", during: []string{"Failed to delete"}, reason: mayNotDelete, hint: hintDelete},
	{text: "objects could not be deleted", reason: "objects in bucket %[1]s could not be deleted", hint: hintDelete}, // SDK 1 keeps the code to itself
	{code: "AccessDenied", during: []string{"Unable to upload object"}, reason: "the S3 key may not write objects to bucket %[1]s", hint: "allow it s3:PutObject on all objects in the bucket; where it is to restore only, register the repository read-only"},
	{code: "AccessDenied", reason: "the S3 key may not use bucket %[1]s", hint: hintRights},
	{code: "PermanentRedirect", reason: "bucket %[1]s is in another region than %[2]s", hint: "set endpoint and region to the bucket's own"},
	{code: "AuthorizationHeaderMalformed", reason: "the region is not the one of bucket %[1]s", hint: "set region to the bucket's own"},
	{code: "RequestTimeTooSkewed", reason: "the clocks of Elasticsearch and of %[2]s differ too much", hint: "set the clock of each node and of the S3 server right"},
	{code: "ExpiredToken", reason: "%[2]s does not take the session token, or wants one", hint: "put keys that last into the keystore of each node (s3.client.%[3]s.access_key and secret_key), and their session_token, or remove the one that is there if they have none; then reload the secrets"},
	{code: "QuotaExceeded", reason: "bucket %[1]s or its owner has reached a quota of %[2]s", hint: hintRoom},
	{code: "InsufficientStorage", reason: "%[2]s has no room left", hint: hintRoom},
	{code: "InvalidObjectState", reason: "objects in bucket %[1]s are in an archive", hint: "bring them back to a class that can be read at once, and take the lifecycle rule away that moved them"},
	{code: "SlowDownRead", reason: tooFewDrives, hint: hintDrives},
	{code: "SlowDownWrite", reason: tooFewDrives, hint: hintDrives},
	{code: "SlowDown", reason: "%[2]s asks for fewer requests", hint: "call again later; lower max_snapshot_bytes_per_sec if it says so again"},
	{code: "MissingContentMD5", reason: "%[2]s wants Content-MD5 with a deletion, which this Elasticsearch does not send", hint: "nothing can be deleted there: update the S3 server, or use another one"}, // 8.19.17 and 9.5 on
	// Ceph says no more than the code, which SDK 2 drops. Where the same keys have written or listed just before, they are right.
	{text: "(Service: S3, Status Code: 403", during: []string{"Failed to delete"}, reason: mayNotDelete, hint: hintDelete},
	{text: "(Service: S3, Status Code: 403", during: []string{"cannot delete test data"}, reason: mayNotList, hint: hintList},
	{text: "(Service: S3, Status Code: 403", reason: refused403, hint: hintKeys},
	{text: "(Service: Amazon S3; Status Code: 403", reason: refused403, hint: hintKeys},
	{text: "(Service: S3, Status Code: 507", reason: "%[2]s has no room left", hint: hintRoom},
	{text: "(Service: S3, Status Code: 50", reason: failed50x, hint: hintFailed},
	{text: "(Service: Amazon S3; Status Code: 50", reason: failed50x, hint: hintFailed},
	{types: []string{"unknown_host_exception"}, reason: "%[2]s: the host is not known to Elasticsearch", hint: "correct the endpoint; a server that wants the bucket in the path needs path_style_access"},
	{types: []string{"connect_exception", "connect_timeout_exception"}, text: "Connection refused", reason: "%[2]s refuses connections", hint: "check that the S3 server runs there and that Elasticsearch may reach it"},
	{types: []string{"no_route_to_host_exception"}, text: "No route to host", reason: "%[2]s cannot be reached", hint: "check that the S3 server runs there and that Elasticsearch may reach it"},
	{types: []string{"s_s_l_exception", "s_s_l_handshake_exception", "s_s_l_peer_unverified_exception"}, reason: "%[2]s does not speak the TLS that Elasticsearch expects", hint: "a plain server needs http:// in its endpoint; a private certificate must be in the truststore of the JVM"},
	{types: []string{"socket_timeout_exception"}, reason: "%[2]s accepts connections but does not answer", hint: "check the S3 server and what stands before it"},
	{text: "Unable to load AWS credentials", reason: "Elasticsearch has no S3 keys for client %[3]s", hint: "put s3.client.%[3]s.access_key and secret_key into the keystore of each node and reload the secrets"},
	{text: "Unable to load credentials", reason: "Elasticsearch has no S3 keys for client %[3]s", hint: "put s3.client.%[3]s.access_key and secret_key into the keystore of each node and reload the secrets"},
	{text: "Unknown s3 client name", reason: "Elasticsearch has no S3 client %[3]s", hint: "put s3.client.%[3]s.access_key and secret_key into the keystore of each node and reload the secrets"},
	{text: "is insecure", reason: "", hint: "put keys into the keystore of each node, never into a repository's settings"},
	{text: "doesn't match any of the locations specified by path.repo", reason: "%[4]s is not below a path.repo", hint: "add it to path.repo of every node, and restart them"},
	{text: "readonly repository", reason: "the repository is registered read-only", hint: "register it anew, not read-only, once no other cluster writes to it"},
	{text: "repository is readonly", reason: "the repository is registered read-only", hint: "register it anew, not read-only, once no other cluster writes to it"},
	{text: "cannot update readonly flag", reason: "", hint: "a write has failed, and Elasticsearch holds the repository in use since: remove its registration, which removes no snapshot, and register it again"}, // 8.19 and 9
	{text: "repository type [", reason: "", hint: "install the module or plugin of this type on every node"},
	{types: []string{"access_denied_exception"}, reason: "Elasticsearch may not write to %[4]s", hint: "make the folder writable for the user that runs it, on every node"},
	{text: "a file written by master to the store", reason: "the nodes do not see the same files", hint: "mount the same file system at the location on every node"},
	{text: "Could not determine repository generation", reason: "the repository cannot be read", hint: "verify it: the bucket, the keys or the endpoint are wrong"},
	{text: "repository has been disabled", reason: "", hint: "somebody else wrote to or emptied the repository; remove its registration, then register it again"},
	{text: "concurrent modification", reason: "", hint: "another cluster writes to this repository: only one may; register it read-only in all others"},
}

// diagnose turns what Elasticsearch answered about a repository into a sentence with a hint. Other errors, and those of
// the connection to Elasticsearch, stay as they are.
func diagnose(err error, s Settings) error {
	var server *es.ServerError
	var outer *nuvlaops.Error
	if !errors.As(err, &server) || !errors.As(err, &outer) {
		return err
	}
	sym, known := symptomOf(server)
	if !known {
		return err
	}
	out := *outer
	out.Hint = sym.fill(sym.hint, s)
	if sym.reason != "" {
		out.Reason = sym.fill(sym.reason, s)
	}
	if nodes := failedNodes(server); nodes != "" {
		out.Reason += " (" + nodes + ")"
	}
	return &out
}

func symptomOf(e *es.ServerError) (symptom, bool) {
	for _, sym := range symptoms {
		if sym.fits(e) {
			return sym, true
		}
	}
	return symptom{}, false
}

// explain is diagnose with the settings that the repository is registered with, which a failing call asks for.
func (r *Repo) explain(ctx context.Context, err error) error {
	var server *es.ServerError
	if !errors.As(err, &server) || !errors.Is(err, nuvlaops.ErrRepository) || ctx.Err() != nil {
		return err
	}
	var s Settings
	if reg, err := r.registered(ctx); err == nil && reg != nil {
		s, _ = settingsOf(*reg) // of a kind without a type here nothing is known
	}
	return diagnose(err, s)
}

func (sym symptom) fits(e *es.ServerError) bool {
	if len(sym.during) > 0 && !slices.ContainsFunc(sym.during, e.Says) {
		return false
	}
	if sym.code != "" && (e.S3Code() == sym.code || e.Says("Error Code: "+sym.code+";")) {
		return true
	}
	for _, t := range sym.types {
		if e.Has(t) {
			return true
		}
	}
	return sym.text != "" && e.Says(sym.text)
}

func (sym symptom) fill(text string, s Settings) string {
	if !strings.Contains(text, "%") {
		return text
	}
	bucket, endpoint, client, location := "?", "the S3 server", "default", "the location"
	if b := s.S3; b != nil {
		bucket = b.Bucket
		if b.Endpoint != "" {
			endpoint = b.Endpoint
		}
		if b.Client != "" {
			client = b.Client
		}
	}
	if s.FS != nil {
		location = s.FS.Location
	}
	return strings.NewReplacer("%[1]s", bucket, "%[2]s", endpoint, "%[3]s", client, "%[4]s", location).Replace(text)
}

const seenByMaster = "seen by the master node"

// withMaster adds the name of the master, which the answer leaves out: of several nodes, that is the one to look at.
func (r *Repo) withMaster(ctx context.Context, err error) error {
	var e *nuvlaops.Error
	if !errors.As(err, &e) || !strings.HasSuffix(e.Reason, "("+seenByMaster+")") {
		return err
	}
	name, look := r.conn.Master(ctx)
	if look != nil || name == "" {
		return err
	}
	out := *e
	out.Reason = strings.TrimSuffix(e.Reason, ")") + " " + name + ")"
	return &out
}

// failedNodes names where the verification failed: the master writes first, and the others only if it could.
func failedNodes(e *es.ServerError) string {
	switch {
	case e.Says("is not accessible on master node"):
		return seenByMaster
	case !e.Has("repository_verification_exception"):
		return ""
	}
	var nodes []string
	for _, c := range e.Chain {
		for _, part := range strings.Split(c.Reason, "RemoteTransportException: [")[1:] {
			if name, _, found := strings.Cut(part, "]"); found {
				nodes = append(nodes, name)
			}
		}
	}
	if len(nodes) == 0 {
		return ""
	}
	return "seen by " + strings.Join(nodes, ", ")
}

func silentEndpoint(after time.Duration, s Settings) error {
	hint := "check the repository's storage and what stands before it"
	if s.S3 != nil {
		hint = symptom{}.fill("check %[2]s, its log and its disks, and what stands before it: it accepts connections, and does not answer or fails too slowly to say why", s)
	}
	return &nuvlaops.Error{Reason: fmt.Sprintf("the repository was not verified within %s", after), Hint: hint,
		Err: fmt.Errorf("%w: %w", nuvlaops.ErrRepository, errVerifyTimeout)}
}
