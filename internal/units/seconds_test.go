package units_test

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/nuvla/nuvlaops/internal/units"
)

func TestDurationsAreSecondsInJSONAndComeBack(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0", 1500 * time.Millisecond: "1.5", -1: "-1e-9", 720 * time.Hour: "2592000", 1234567891: "1.234567891"} {
		raw, err := json.Marshal(units.Seconds(d))
		var back units.Seconds
		if err != nil || string(raw) != want || json.Unmarshal(raw, &back) != nil || time.Duration(back) != d {
			t.Errorf("%s: %s, %v, and back %s; want %s", d, raw, err, time.Duration(back), want)
		}
	}
	for text, want := range map[string]bool{"1e300": true, "-1e300": false} {
		var s units.Seconds
		if err := json.Unmarshal([]byte(text), &s); err != nil || (s > 0) != want || math.Abs(float64(s)) < 9e18 {
			t.Errorf("%s: %d, %v, want the longest duration", text, s, err)
		}
	}
	if err := json.Unmarshal([]byte(`"1h"`), new(units.Seconds)); err == nil {
		t.Error("a text was taken for seconds")
	}
}
