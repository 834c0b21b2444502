package report_test

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/nuvla/nuvlaops/examples/internal/report"
)

// FuzzRead: a report that is read is shown in each form, whatever has become of it.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{`{}`, `null`, `[]`, `{"started":"0001-01-01T00:00:00Z","ended":"9999-12-31T23:59:59Z","rto_seconds":1e308,"steps":[{"seconds":-1e308},{"name":"\u001b"}],"indices":[{"expected":null,"data_stream":"s"},{"data_stream":"s","before":-1}]}`,
		`{"started":"9999-12-31T23:59:59Z","ended":"0001-01-01T00:00:00Z","jobs":{"before":{"-5":1},"by_priority":null},"versions":{"":""},"budget":{"whole_seconds":-1,"steps":null}}`} {
		f.Add([]byte(seed))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, raw []byte) {
		path := filepath.Join(dir, "report.json")
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := report.Read(path)
		if err != nil {
			return
		}
		_ = r.Text()
		if err := r.HTML(io.Discard); err != nil {
			t.Error(err)
		}
		if err := r.WriteMetrics(filepath.Join(dir, "x.prom")); err != nil {
			t.Error(err)
		}
	})
}
