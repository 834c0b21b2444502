package units

import (
	"encoding/json"
	"math"
	"time"
)

// Seconds is a duration that is a number of seconds in JSON. A type with durations points to them from a struct around it, with
// which it is encoded and decoded, so that callers see a time.Duration.
type Seconds time.Duration

// IsZero leaves it out where it is omitzero.
func (s *Seconds) IsZero() bool { return s == nil || *s == 0 }

// MarshalJSON encodes the seconds.
func (s Seconds) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(s).Seconds()) }

// UnmarshalJSON decodes seconds, to the nanosecond.
func (s *Seconds) UnmarshalJSON(raw []byte) error {
	var seconds float64
	if err := json.Unmarshal(raw, &seconds); err != nil {
		return err
	}
	*s = Seconds(min(max(math.Round(seconds*1e9), math.MinInt64), math.MaxInt64-1<<10)) // the largest float64 that fits
	return nil
}
