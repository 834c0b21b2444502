package snapshot_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/snapshot"
)

// What S3 servers say that no test server is, under both AWS SDKs of Elasticsearch: Ceph says nothing but the code, which the
// second one drops.
func TestWhatOtherS3ServersRefuseIsSaidWithAHint(t *testing.T) {
	const (
		v1      = " (Service: Amazon S3; Status Code: %d; Error Code: %s; Request ID: 1; S3 Extended Request ID: 2; Proxy: null)"
		v2      = " (Service: S3, Status Code: %d, Request ID: 1)"
		writing = "Unable to upload object [tests-1/master.dat] using a single upload"
		listing = "Exception when deleting blob container [tests-1/]"
		removal = "Failed to delete blobs [tests-1/master.dat]"
	)
	for _, tc := range []struct {
		name, during   string
		status         int
		code, said     string
		wantV1, wantV2 string
		hintV1, hintV2 string
	}{
		{"Ceph, no right to delete", removal, 403, "AccessDenied", "null", "may not delete objects in bucket b", "may not delete objects in bucket b", "s3:DeleteObject", "s3:DeleteObject"},
		{"Ceph, no right to list", listing, 403, "AccessDenied", "null", "may not list bucket b", "may not list bucket b", "s3:ListBucket", "s3:ListBucket"},
		{"Ceph, no right to write", writing, 403, "AccessDenied", "null", "may not write objects to bucket b", "refuses the S3 keys, or what they are to do", "s3:PutObject", "write"},
		{"Ceph, unknown key", writing, 403, "InvalidAccessKeyId", "null", "does not know the S3 access key", "refuses the S3 keys", "keystore", "keystore"},
		{"MinIO, a disabled account", writing, 403, "InvalidAccessKeyId", "Your account is disabled; please contact your administrator.", "account of the S3 access key is disabled", "account of the S3 access key is disabled", "enable", "enable"},
		{"MinIO, a key that has expired", writing, 403, "InvalidAccessKeyId", "The Access Key Id you provided does not exist in our records.", "does not know the S3 access key", "does not know the S3 access key", "expired", "expired"},
		{"Ceph, suspended user", writing, 403, "UserSuspended", "null", "refuses the S3 keys", "refuses the S3 keys", "keystore", "keystore"},
		{"Ceph, quota", writing, 403, "QuotaExceeded", "null", "reached a quota", "refuses the S3 keys, or what they are to do", "raise the quota", "no quota is reached"},
		{"versitygw, quota", writing, 403, "QuotaExceeded", "Your request was denied due to quota exceeded.", "reached a quota", "reached a quota", "raise the quota", "raise the quota"},
		{"MinIO, quota", writing, 400, "XMinioAdminBucketQuotaExceeded", "Bucket quota exceeded", "reached a quota", "reached a quota", "raise the quota", "raise the quota"},
		{"MinIO, full", writing, 507, "XMinioStorageFull", "Storage backend has reached its minimum free drive threshold. Please delete a few objects to proceed.", "has no room left", "has no room left", "make room", "make room"},
		{"full, in other words", writing, 507, "InsufficientStorage", "null", "has no room left", "has no room left", "make room", "make room"},
		{"a clock", writing, 403, "RequestTimeTooSkewed", "The difference between the request time and the server's time is too large.", "clocks", "clocks", "clock", "clock"},
		{"a token", writing, 400, "ExpiredToken", "The provided token has expired.", "session token", "session token", "session_token", "session_token"},
		{"MinIO, a token", writing, 403, "InvalidTokenId", "The security token included in the request is invalid", "session token", "session token", "session_token", "session_token"},
		{"AWS, throttled", writing, 503, "SlowDown", "Please reduce your request rate.", "asks for fewer requests", "asks for fewer requests", "later", "later"},
		{"MinIO, throttled", writing, 429, "TooManyRequests", "Please reduce your request rate", "asks for fewer requests", "asks for fewer requests", "later", "later"},
		{"MinIO, too few drives to write", writing, 503, "SlowDownWrite", "Resource requested is unwritable, please reduce your request rate", "too few of its drives", "too few of its drives", "bring back", "bring back"},
		{"MinIO, too few drives to read", listing, 503, "SlowDownRead", "Resource requested is unreadable, please reduce your request rate", "too few of its drives", "too few of its drives", "bring back", "bring back"},
		{"SeaweedFS, no volume left", writing, 500, "InternalError", "We encountered an internal error, please try again.", "failure of its own", "failure of its own", "log", "log"},
		{"Ceph, not ready", listing, 503, "ServiceUnavailable", "null", "failure of its own", "failure of its own", "log", "log"},
		{"Ceph, a clock", writing, 403, "RequestTimeTooSkewed", "null", "clocks", "refuses the S3 keys", "clock", "clocks"},
		{"AWS, no right to write", writing, 403, "AccessDenied", "User: arn:aws:iam::1:user/u is not authorized to perform: s3:PutObject on resource: x", "may not write objects", "may not write objects", "s3:PutObject", "s3:PutObject"},
		{"AWS, archive", "Unable to read blob [snap-1.dat]", 403, "InvalidObjectState", "The operation is not valid for the object's storage class", "archive", "archive", "lifecycle", "lifecycle"},
		{"Oracle, no Content-MD5", removal, 400, "MissingContentMD5", "Missing required header for this request: Content-Md5.", "Content-MD5", "Content-MD5", "deleted", "deleted"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, sdk := range []struct{ kind, reason, want, hint string }{
				{"amazon_s3_exception", tc.said + fmt.Sprintf(v1, tc.status, tc.code), tc.wantV1, tc.hintV1},
				{"s3_exception", tc.said + fmt.Sprintf(v2, tc.status), tc.wantV2, tc.hintV2},
			} {
				outer := "[r] path  is not accessible on master node"
				if tc.during != writing {
					outer = "[r] cannot delete test data at "
				}
				body := fmt.Sprintf(`{"error":{"type":"repository_verification_exception","reason":%q,"caused_by":{"type":"i_o_exception","reason":%q,"caused_by":{"type":%q,"reason":%q}}},"status":500}`,
					outer, tc.during, sdk.kind, sdk.reason)
				mustSay(t, verifyWith(t, body), nuvlaops.ErrRepository, sdk.want, sdk.hint)
			}
		})
	}
}

// verifyWith is what Verify says when the server answers so.
func verifyWith(t *testing.T, body string) error {
	t.Helper()
	repo, err := snapshot.New(client(func(r *http.Request) (*http.Response, error) {
		if strings.HasSuffix(r.URL.Path, "/_verify") {
			return reply(http.StatusInternalServerError, body)
		}
		return reply(http.StatusOK, `{"r":{"type":"s3","settings":{"bucket":"b","endpoint":"http://s3:9000"}}}`)
	}), "r", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = repo.Verify(t.Context())
	return err
}
