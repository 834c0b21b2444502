package restore_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/restore"
)

type answersAll struct {
	status int
	body   string
}

func (c answersAll) Perform(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: c.status, Header: http.Header{"X-Elastic-Product": {"Elasticsearch"}}, Body: io.NopCloser(strings.NewReader(c.body))}, nil
}

// What Elasticsearch answers depends on which read of the store fails; the bodies are shortened.
func TestAStoreThatCannotBeReadIsAFailureOfTheRepository(t *testing.T) {
	for name, c := range map[string]struct {
		body, want string
	}{
		"it does not answer": {`{"error":{"type":"i_o_exception","reason":"Connect timed out"},"status":500}`, "cannot read the repository: Connect timed out"},
		"the official module": {`{"error":{"type":"i_o_exception","reason":"Exception when listing blobs by prefix [index-]","caused_by":{"type":"sdk_client_exception","reason":"Unable to execute HTTP request"}},"status":500}`,
			"cannot read the repository: Unable to execute HTTP request"},
		"S3 refuses": {`{"error":{"type":"snapshot_exception","reason":"[r:s/1] Snapshot could not be read","caused_by":{"type":"s3_exception","reason":"Access Denied. (Service: S3, Status Code: 403, Request ID: 1)"}},"status":500}`,
			"S3 answers, and refuses"},
		"S3 fails": {`{"error":{"type":"snapshot_exception","reason":"[r:s/1] Snapshot could not be read","caused_by":{"type":"s3_exception","reason":"Resource requested is unreadable, please reduce your request rate (Service: S3, Status Code: 503, Request ID: 1)"}},"status":500}`,
			"S3 answers with a failure of its own"},
		"S3 fails, up to 8.18": {`{"error":{"type":"snapshot_exception","reason":"[r:s/1] Snapshot could not be read","caused_by":{"type":"amazon_s3_exception","reason":"We encountered an internal error, please try again. (Service: Amazon S3; Status Code: 500; Error Code: InternalError; Request ID: 1)"}},"status":500}`,
			"S3 answers with a failure of its own"},
		"S3 throttles": {`{"error":{"type":"i_o_exception","reason":"Unable to read blob [index-1]","caused_by":{"type":"s3_exception","reason":"Please reduce your request rate (Service: S3, Status Code: 429, Request ID: 1)"}},"status":500}`,
			"S3 answers with a failure of its own"},
		"an object is missing": {`{"error":{"type":"snapshot_missing_exception","reason":"[r:s] is missing","caused_by":{"type":"no_such_file_exception","reason":"Blob object [snap-x.dat] not found"}},"status":404}`,
			"an object that belongs to a snapshot is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			repo, err := restore.New(answersAll{http.StatusInternalServerError, c.body}, "r", &restore.Options{Retry: nuvlaops.RetryPolicy{MaxAttempts: 1}})
			if err != nil {
				t.Fatal(err)
			}
			for _, sel := range []restore.Selector{{}, {Name: "s"}} {
				_, err = repo.Choose(t.Context(), sel)
				var e *nuvlaops.Error
				if !errors.Is(err, nuvlaops.ErrRepository) || !strings.Contains(err.Error(), c.want) || !errors.As(err, &e) || e.Hint == "" {
					t.Errorf("%+v: got %v, want ErrRepository, %q and a hint", sel, err, c.want)
				}
			}
		})
	}
}
