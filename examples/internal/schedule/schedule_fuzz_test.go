package schedule_test

import (
	"testing"
	"time"

	"github.com/nuvla/nuvlaops/examples/internal/schedule"
)

// FuzzParse: whatever an operator writes is an error, or has slots on both sides of a moment.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", "30 * * * *", "*/15 3 1,15 * MON", "@daily", "@every 1h", "TZ=UTC 0 0 * * *", "0 0 29 2 *", "0 0 31 2 *", "60 * * * *",
		"* * * * * *", "99999999999999999999 * * * *", "1-0 * * * *", "*/0 * * * *", "0-59/60 * * * *", "? ? ? ? ?", "@", "\x1b[2J * * * *", "-1 * * * *"} {
		f.Add(seed)
	}
	at := time.Date(2026, 3, 1, 0, 0, 30, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := schedule.Parse(text)
		if err != nil {
			return
		}
		next := s.Next(at)
		if !next.After(at) {
			t.Errorf("%q: the slot after %v is %v", text, at, next)
		}
		if before := s.Before(at); before.After(at) {
			t.Errorf("%q: the slot before %v is %v", text, at, before)
		}
	})
}
