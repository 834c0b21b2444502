package metrics

import (
	"maps"
	"math"
	"os"
	"slices"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// ReadFile reads the gauges and counters of a file of WriteFile that carry these labels and no other, by name: so a program
// that ends after each run goes on counting from what the run before left. What no program writes is left out: a counter of less
// than nothing cannot be gone on with.
func ReadFile(path string, labels map[string]string) (map[string]float64, error) {
	samples, err := parse(path)
	if err != nil {
		return nil, err
	}
	out := map[string]float64{}
	for _, s := range samples {
		if maps.Equal(s.labels, labels) && s.value >= 0 && !math.IsInf(s.value, 0) { // nor is NaN
			out[s.name] = s.value
		}
	}
	return out, nil
}

// Another reports whether a file of WriteFile holds this metric with other labels than these: somebody else has written it.
func Another(path, name string, labels map[string]string) bool {
	samples, _ := parse(path)
	return slices.ContainsFunc(samples, func(s sample) bool { return s.name == name && !maps.Equal(s.labels, labels) })
}

type sample struct {
	name   string
	labels map[string]string
	value  float64
}

func parse(path string) ([]sample, error) {
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
	var out []sample
	for name, family := range families {
		for _, m := range family.GetMetric() {
			if m.GetGauge() == nil && m.GetCounter() == nil {
				continue
			}
			s := sample{name: name, labels: map[string]string{}, value: m.GetGauge().GetValue() + m.GetCounter().GetValue()} // one of them is nil
			for _, l := range m.GetLabel() {
				s.labels[l.GetName()] = l.GetValue()
			}
			out = append(out, s)
		}
	}
	return out, nil
}
