package snapshot_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/snapshot"
)

func TestNamesCarryTheirTime(t *testing.T) {
	at := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	minute := at.Truncate(time.Minute)
	for _, tc := range []struct {
		prefix, name string
		want         time.Time // zero: no time
	}{
		{"", "snapshot.2026-01-02t150405z", at},
		{"", "snapshot.2026-01-02t1504z", minute}, // made by the cron script of today
		{"", "snapshot.2026-01-02t150405z-0badcafe", at},
		{"", "snapshot.2026-01-02t1504z-x", minute},
		{"nightly-", "nightly-2026-01-02t150405z", at},
		{"", "nightly-2026-01-02t150405z", time.Time{}},
		{"", "snapshot_1", time.Time{}},
		{"", "snapshot.2026-13-02t150405z", time.Time{}},
		{"", "snapshot.2026-01-02t150405zz", time.Time{}},
		{"", "snapshot.2026-01-02t150405z-", time.Time{}},
	} {
		got, ok := snapshot.ParseName(tc.prefix, tc.name)
		if ok == tc.want.IsZero() || !got.Equal(tc.want) {
			t.Errorf("ParseName(%q, %q) = %v, %v", tc.prefix, tc.name, got, ok)
		}
	}
	zone := time.FixedZone("east", 2*3600)
	if got := snapshot.Name("", at.In(zone)); got != "snapshot.2026-01-02t150405z" {
		t.Errorf("in another zone the name is %s", got)
	}
}

func FuzzParseName(f *testing.F) {
	f.Add("snapshot.2026-01-02t150405z")
	f.Add("snapshot.2026-01-02t1504z-x")
	f.Fuzz(func(t *testing.T, name string) {
		at, ok := snapshot.ParseName("", name)
		if !ok {
			return
		}
		again, ok := snapshot.ParseName("", snapshot.Name("", at))
		if !ok || !again.Equal(at) {
			t.Errorf("%q has the time %v, whose name has %v", name, at, again)
		}
	})
}

func TestNamesThatElasticsearchWouldRefuseAreInvalid(t *testing.T) {
	for _, name := range []string{"", "Upper", "_x", "a b", "a,b", "a*", "a/b", `a\b`, "a#b", "-x", "+x", "a\xff", strings.Repeat("x", 256)} {
		if err := snapshot.ValidateName(name); !errors.Is(err, nuvlaops.ErrInvalid) {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"snapshot_1", "s", "snapshot.2026-01-02t1504z", "größe", "100%", strings.Repeat("x", 255)} {
		if err := snapshot.ValidateName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"a\nb", "a\x1b[2j", "a\u009b"} { // to be deleted, and not to be made
		if err := snapshot.ValidateName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		if err := (snapshot.CreateRequest{Name: name}).Validate(); !errors.Is(err, nuvlaops.ErrInvalid) {
			t.Errorf("%q: it would be made: %v", name, err)
		}
	}
}
