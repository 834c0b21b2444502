package cli

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestRepeatedCallsAreSaidNowAndThen(t *testing.T) {
	var out bytes.Buffer
	log := Retries(NewScreen(&out))
	log.Info("changed", "attempt", 9)
	for attempt := 1; attempt <= 6; attempt++ {
		log.Debug("retry", "attempt", attempt, "error", errors.New("connection refused"))
		if said := strings.Count(out.String(), "connection refused"); said > 0 != (attempt > 3) || said > 1 {
			t.Errorf("attempt %d: %q", attempt, out.String())
		}
	}
}
