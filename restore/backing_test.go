package restore

import "testing"

func TestWhatILMMakesOfAnIndexOfADataStreamBacksItOnlyInItsPlace(t *testing.T) {
	const index, other = ".ds-nuvla-ts-2026.01.01-000001", ".ds-nuvla-ts-2026.01.02-000002"
	for name, c := range map[string]struct {
		index string
		there []string // beside it
		want  bool
	}{
		"an index":                           {index, []string{"downsample-1h-" + index}, true},
		"downsampled":                        {"downsample-1h-" + index, []string{other}, true},
		"being downsampled":                  {"downsample-1h-" + index, []string{index}, false},
		"being downsampled, by an early 8.x": {"downsample-x1y2-" + index, []string{index}, false},
		"downsampled once, and being again":  {"downsample-1h-" + index, []string{"downsample-1d-" + index}, true},
		"being downsampled once more":        {"downsample-1d-" + index, []string{"downsample-1h-" + index}, false},
		"of 90 minutes, being made 2 hours":  {"downsample-2h-" + index, []string{"downsample-90m-" + index}, false},
		"shrunk":                             {"shrink-x1y2-" + index, []string{other}, true},
		"being shrunk":                       {"shrink-x1y2-" + index, []string{index}, false},
		"of no data stream":                  {"downsample-1h-.ds-other-2026.01.01-000001", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := Snapshot{DataStreams: []string{"nuvla-ts", "nuvla"}, Indices: append(c.there, c.index)}
			if got := s.streamOf(c.index); (got == "nuvla-ts") != c.want {
				t.Errorf("it backs %q, want nuvla-ts: %t", got, c.want)
			}
		})
	}
}
