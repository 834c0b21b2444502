package metrics

import (
	"maps"
	"os"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// ReadFile reads the gauges and counters of a file of WriteFile that carry these labels and no other, by name: so a program
// that ends after each run goes on counting from what the run before left.
func ReadFile(path string, labels map[string]string) (map[string]float64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(f)
	if err != nil {
		return nil, err
	}
	out := map[string]float64{}
	for name, family := range families {
		for _, m := range family.GetMetric() {
			has := map[string]string{}
			for _, l := range m.GetLabel() {
				has[l.GetName()] = l.GetValue()
			}
			if maps.Equal(has, labels) {
				out[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue() // one of them is nil
			}
		}
	}
	return out, nil
}
