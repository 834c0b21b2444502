package metrics_test

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/examples/internal/metrics"
)

const want = `# HELP x_by_state How many.
# TYPE x_by_state gauge
x_by_state{repository="a\"b",state="PARTIAL"} 1
x_by_state{repository="a\"b",state="SUCCESS"} 2
# HELP x_failures_total How often.
# TYPE x_failures_total counter
x_failures_total{repository="a\"b"} 3
# HELP x_last_seconds When.
# TYPE x_last_seconds gauge
x_last_seconds{repository="a\"b"} 1.7e+09
`

func set() *metrics.Set {
	s := metrics.New(map[string]string{"repository": `a"b`})
	s.By("x_by_state", "How many.", "state", map[string]float64{"SUCCESS": 2, "PARTIAL": 1})
	s.Counter("x_failures_total", "How often.", 3)
	s.Time("x_last_seconds", "When.", time.Unix(1_700_000_000, 0))
	s.Time("x_never_seconds", "When it never happened.", time.Time{})
	return s
}

func TestAFileHoldsTheSetWholeAndOverwritesTheOneBefore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.prom")
	for range 2 {
		if err := set().WriteFile(path); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if diff := cmp.Diff(want, string(got)); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if files, _ := os.ReadDir(filepath.Dir(path)); len(files) != 1 {
		t.Errorf("%d files are left, want 1", len(files))
	}
}

func TestTheHandlerAnswersWithTheSetOfTheMoment(t *testing.T) {
	rec := httptest.NewRecorder()
	metrics.Handler(set).ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	if diff := cmp.Diff(want, rec.Body.String()); rec.Code != 200 || diff != "" {
		t.Errorf("%d (-want +got):\n%s", rec.Code, diff)
	}
}
