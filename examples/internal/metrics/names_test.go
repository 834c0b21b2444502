package metrics_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/nuvla/nuvlaops/examples/internal/metrics"
)

func TestMetricsAreNamedAsPrometheusWantsThem(t *testing.T) {
	form := regexp.MustCompile(`^nuvla_(backup|drill|recovery)_[a-z_]+$`)
	seen := map[string]bool{}
	for _, m := range metrics.All() {
		if !form.MatchString(m.Name) || seen[m.Name] {
			t.Errorf("%s: want one %s", m.Name, form)
		}
		seen[m.Name] = true
		if counter := strings.HasSuffix(m.Name, "_total"); counter != (m.Type == "counter") {
			t.Errorf("%s is a %s: a counter, and nothing else, ends in _total", m.Name, m.Type)
		}
		if m.Help == "" || !strings.HasSuffix(m.Help, ".") {
			t.Errorf("%s: help %q, want a sentence", m.Name, m.Help)
		}
	}
}
