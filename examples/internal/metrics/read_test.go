package metrics_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/examples/internal/metrics"
)

func TestAFileIsReadAsItWasWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.prom")
	if err := set().WriteFile(path); err != nil {
		t.Fatal(err)
	}
	got, err := metrics.ReadFile(path, map[string]string{"repository": `a"b`})
	if diff := cmp.Diff(map[string]float64{"x_failures_total": 3, "x_last_seconds": 1.7e9}, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	if got, err := metrics.ReadFile(path, map[string]string{"repository": "another"}); err != nil || len(got) != 0 {
		t.Errorf("of another repository: %v, %v", got, err)
	}
	for repository, want := range map[string]bool{`a"b`: false, "another": true} {
		if got := metrics.Another(path, "x_last_seconds", map[string]string{"repository": repository}); got != want {
			t.Errorf("%s: another's is %v", repository, got)
		}
	}
	if err := os.WriteFile(path, []byte("not a metric\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := metrics.ReadFile(path, map[string]string{"repository": `a"b`}); err == nil {
		t.Error("a file of something else is read")
	}
	if _, err := metrics.ReadFile(path+".not", map[string]string{"repository": "r"}); !os.IsNotExist(err) {
		t.Errorf("got %v", err)
	}
}
