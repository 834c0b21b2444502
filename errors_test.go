package nuvlaops_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
)

func TestErrorTextNamesCallReasonOriginAndHint(t *testing.T) {
	tests := []struct {
		name string
		err  *nuvlaops.Error
		want string
	}{
		{"all fields", &nuvlaops.Error{Op: "snapshot.Ensure", Resource: "s3_backup", Status: 500, Type: "repository_verification_exception",
			Reason: "bucket b does not exist", Hint: "create it first", Err: nuvlaops.ErrRepository},
			"snapshot.Ensure s3_backup: bucket b does not exist (repository_verification_exception, HTTP 500): create it first"},
		{"a cause alone", &nuvlaops.Error{Err: nuvlaops.ErrNotFound}, "not found"},
		{"call and cause", &nuvlaops.Error{Op: "stack.Stop", Resource: "db", Err: context.DeadlineExceeded}, "stack.Stop db: context deadline exceeded"},
		{"several lines", &nuvlaops.Error{Op: "restore.Apply", Reason: "cannot read a\n\tof node 1", Hint: "free it\r\n\r\nand come back\n"}, "restore.Apply: cannot read a; of node 1: free it; and come back"},
		{"several causes", &nuvlaops.Error{Op: "stack.Stop", Err: errors.Join(nuvlaops.ErrInvalid, nuvlaops.ErrDenied)}, "stack.Stop: invalid; denied"},
		{"nothing", &nuvlaops.Error{}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, tt.err.Error()); diff != "" {
				t.Errorf("text (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWrapNamesTheCallOnce(t *testing.T) {
	server := &nuvlaops.Error{Status: 404, Type: "snapshot_missing_exception", Reason: "no such snapshot", Err: nuvlaops.ErrNotFound}
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"a server's error", server, "snapshot.Get r/s: no such snapshot (snapshot_missing_exception, HTTP 404)"},
		{"words around it stay", fmt.Errorf("read manifest: %w", server), "snapshot.Get r/s: read manifest: no such snapshot (snapshot_missing_exception, HTTP 404)"},
		{"any other error", nuvlaops.ErrNotFound, "snapshot.Get r/s: not found"},
		{"a call inside a call stays the inner one", nuvlaops.Wrap("snapshot.List", "r", server), "snapshot.List r: no such snapshot (snapshot_missing_exception, HTTP 404)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := nuvlaops.Wrap("snapshot.Get", "r/s", tt.err)
			if diff := cmp.Diff(tt.want, got.Error()); diff != "" {
				t.Errorf("text (-want +got):\n%s", diff)
			}
			if !errors.Is(got, nuvlaops.ErrNotFound) {
				t.Errorf("%v no longer matches its sentinel", got)
			}
		})
	}
	if nuvlaops.Wrap("x.Y", "", nil) != nil {
		t.Error("nil became an error")
	}
	if server.Op != "" {
		t.Error("the wrapped error itself was changed")
	}
}

func TestRetryPolicyNamesTheFieldThatIsOutOfRange(t *testing.T) {
	tests := []struct {
		policy nuvlaops.RetryPolicy
		field  string
	}{
		{nuvlaops.RetryPolicy{}, ""},
		{nuvlaops.RetryPolicy{Initial: time.Minute}, ""},
		{nuvlaops.RetryPolicy{MaxElapsed: -1}, ""},
		{nuvlaops.RetryPolicy{Initial: -1}, "RetryPolicy.Initial"},
		{nuvlaops.RetryPolicy{Max: time.Millisecond}, "RetryPolicy.Max"},
		{nuvlaops.RetryPolicy{Multiplier: 0.5}, "RetryPolicy.Multiplier"},
		{nuvlaops.RetryPolicy{Multiplier: math.NaN()}, "RetryPolicy.Multiplier"},
		{nuvlaops.RetryPolicy{MaxAttempts: -1}, "RetryPolicy.MaxAttempts"},
	}
	for _, tt := range tests {
		err := tt.policy.Validate()
		var e *nuvlaops.Error
		switch {
		case tt.field == "" && err != nil:
			t.Errorf("%+v: %v", tt.policy, err)
		case tt.field != "" && (!errors.Is(err, nuvlaops.ErrInvalid) || !errors.As(err, &e) || e.Resource != tt.field):
			t.Errorf("%+v: got %v, want ErrInvalid on %s", tt.policy, err, tt.field)
		}
	}
}

func TestProgressEstimatesTheTimeLeft(t *testing.T) {
	tests := []struct {
		name string
		p    nuvlaops.Progress
		want time.Duration
	}{
		{"a quarter of the bytes", nuvlaops.Progress{Bytes: 25, TotalBytes: 100, Elapsed: 10 * time.Second}, 30 * time.Second},
		{"half of the shards", nuvlaops.Progress{Done: 9, Total: 18, Elapsed: 4 * time.Second}, 4 * time.Second},
		{"bytes before shards", nuvlaops.Progress{Done: 1, Total: 100, Bytes: 50, TotalBytes: 100, Elapsed: time.Second}, time.Second},
		{"too early to tell", nuvlaops.Progress{Done: 1, Total: 100, Elapsed: time.Second}, 0},
		{"nothing known", nuvlaops.Progress{Done: 7, Elapsed: time.Second}, 0},
		{"done", nuvlaops.Progress{Done: 7, Total: 7, Elapsed: time.Second}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, tt.p.WithRemaining().Remaining); diff != "" {
				t.Errorf("remaining (-want +got):\n%s", diff)
			}
		})
	}
}
