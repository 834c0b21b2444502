package snapshot_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/snapshot"
)

// Elasticsearch calls a cleanup done when it was not allowed to remove a single file. It removes no snapshot, so none is spoken of.
func TestACleanupThatS3HindersSpeaksOfFilesAndNotOfAList(t *testing.T) {
	repo, err := snapshot.New(client(func(r *http.Request) (*http.Response, error) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/_cleanup"):
			return reply(http.StatusOK, `{"results":{"deleted_bytes":0,"deleted_blobs":0}}`)
		case strings.HasSuffix(r.URL.Path, "/_verify"):
			return reply(http.StatusInternalServerError, `{"error":{"type":"repository_verification_exception","reason":"[r] path  is not accessible on master node","caused_by":{"type":"i_o_exception","reason":"Unable to upload object [tests-1/master.dat] using a single upload","caused_by":{"type":"s3_exception","reason":"Bucket quota exceeded (Service: S3, Status Code: 400, Request ID: 1)"}}},"status":500}`)
		case strings.HasSuffix(r.URL.Path, "/_snapshot/r"):
			return reply(http.StatusOK, `{"r":{"type":"s3","settings":{"bucket":"b","endpoint":"http://s3:9000"}}}`)
		}
		return reply(http.StatusOK, `{"snapshots":[]}`)
	}), "r", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = repo.Cleanup(t.Context())
	mustSay(t, err, nuvlaops.ErrRepository, "no snapshot refers to may still be there", "reached a quota")
	if err != nil && strings.Contains(err.Error(), "listed") {
		t.Errorf("got %v, want nothing of what is listed", err)
	}
}
