package snapshot_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/snapshot"
)

// verifier is an Elasticsearch whose verification of a repository waits until something is read beside it.
type verifier struct {
	status int
	beside chan struct{}
}

func (v verifier) Perform(r *http.Request) (*http.Response, error) {
	answer := func(status int, body string) (*http.Response, error) {
		return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body)), Header: http.Header{}}, nil
	}
	switch {
	case strings.HasSuffix(r.URL.Path, "/_verify"):
		select {
		case <-v.beside:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
		if v.status != http.StatusOK {
			return answer(v.status, `{"error":{"type":"repository_verification_exception","reason":"no such bucket"},"status":500}`)
		}
		return answer(v.status, `{"nodes":{"n":{"name":"n1"}}}`)
	case r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/_snapshot"):
		return answer(http.StatusNotFound, `{"error":{"type":"repository_missing_exception","reason":"[r] missing"},"status":404}`)
	}
	return answer(http.StatusOK, `{"acknowledged":true}`)
}

func TestWhatIsReadBesideAVerificationCountsOnlyWhenThatHolds(t *testing.T) {
	notThere := errors.New("not there")
	tests := []struct {
		name         string
		status       int
		beside, want error
	}{
		{"both hold", http.StatusOK, nil, nil},
		{"nothing to read", http.StatusOK, notThere, notThere},
		{"not verified, and read", http.StatusInternalServerError, nil, nuvlaops.ErrRepository},
		{"not verified, and nothing to read", http.StatusInternalServerError, notThere, nuvlaops.ErrRepository},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := verifier{tt.status, make(chan struct{})}
			repo, err := snapshot.New(v, "r", nil)
			if err != nil {
				t.Fatal(err)
			}
			_, err = repo.EnsureBeside(t.Context(), snapshot.Settings{FS: &snapshot.FS{Location: "/x"}}, func(ctx context.Context) error {
				close(v.beside) // the verification goes on only now
				if tt.status != http.StatusOK {
					<-ctx.Done() // and ends this when it fails
				}
				return tt.beside
			})
			if !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}
