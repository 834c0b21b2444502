package metrics_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nuvla/nuvlaops/examples/internal/metrics"
)

// FuzzReadFile: whatever has become of a file, what is read of it can be written again.
func FuzzReadFile(f *testing.F) {
	for _, seed := range []string{"", "# TYPE x_total counter\nx_total{repository=\"r\"} -5\n", "# TYPE x gauge\nx{repository=\"r\"} NaN\n", "x{repository=\"r\"} +Inf\n",
		"# TYPE x histogram\nx_bucket{repository=\"r\",le=\"1\"} 1\n", "# TYPE x gauge\nx{repository=\"r\"} 1e300 9\n", "x{", "x{repository=\"\\", "# TYPE x gauge\n{\"x\",repository=\"r\"} 1\n", "\x00"} {
		f.Add([]byte(seed))
	}
	path := filepath.Join(f.TempDir(), "x.prom")
	labels := map[string]string{"repository": "r"}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		values, _ := metrics.ReadFile(path, labels)
		metrics.Another(path, "x", labels)
		for name, value := range values {
			set := metrics.New(labels)
			set.Counter("again_total", "", value)
			set.Time("again", "", metrics.Moment(value))
			if err := set.WriteFile(path); err != nil {
				t.Errorf("%s of %v: %v", name, value, err)
			}
			if _, err := metrics.Moment(value).MarshalJSON(); err != nil {
				t.Errorf("%s of %v: %v", name, value, err)
			}
		}
	})
}

func TestWhatNoProgramWritesIsLeftOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.prom")
	text := "# TYPE a_total counter\na_total -5\n# TYPE b gauge\nb NaN\n# TYPE c gauge\nc +Inf\n# TYPE d gauge\nd 7\n# TYPE e summary\ne_sum 9\n# TYPE g gauge\ng -0.5\nh 3\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := metrics.ReadFile(path, map[string]string{})
	if len(got) != 1 || got["d"] != 7 || err != nil {
		t.Errorf("got %v, %v, want d alone", got, err)
	}
	for value, want := range map[float64]time.Time{-1: {}, 1e300: {}, 253402300800: {}, 1.5: time.UnixMilli(1500)} {
		if got := metrics.Moment(value); !got.Equal(want) {
			t.Errorf("%v: %v, want %v", value, got, want)
		}
	}
}
