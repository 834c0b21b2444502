package units_test

import (
	"testing"

	"github.com/nuvla/nuvlaops/internal/units"
)

func TestASizeHasTheBinaryUnitThatSuitsIt(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 70_200_000: "66.9 MiB", 3 << 30: "3.0 GiB", 5 << 50: "5120.0 TiB"} {
		if got := units.Bytes(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}
