package snapshot

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// DefaultPrefix begins the names that Create makes.
const DefaultPrefix = "snapshot."

const (
	nameLayout   = "2006-01-02t150405z"
	minuteLayout = "2006-01-02t1504z" // the names that cron scripts of today make
)

// Name makes the name of a snapshot from the time, in UTC: snapshot.2026-01-02t150405z. An empty prefix is DefaultPrefix.
func Name(prefix string, t time.Time) string {
	if prefix == "" {
		prefix = DefaultPrefix
	}
	return prefix + t.UTC().Format(nameLayout)
}

// ParseName reads the time from a name that Name or today's scripts made with this prefix; empty is DefaultPrefix. A
// suffix that keeps two snapshots of one second apart is allowed.
func ParseName(prefix, name string) (time.Time, bool) {
	if prefix == "" {
		prefix = DefaultPrefix
	}
	rest, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return time.Time{}, false
	}
	for _, layout := range []string{nameLayout, minuteLayout} {
		if len(rest) < len(layout) {
			continue
		}
		date, suffix := rest[:len(layout)], rest[len(layout):]
		t, err := time.Parse(layout, date)
		if err == nil && (suffix == "" || (len(suffix) > 1 && suffix[0] == '-')) {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

// longerPrefix reports whether a name that begins with this prefix was made with a longer one.
func longerPrefix(prefix, name string) bool {
	if _, own := ParseName(prefix, name); own {
		return false
	}
	for end := len(prefix) + 1; end < len(name); end++ {
		if _, made := ParseName(name[:end], name); made {
			return true
		}
	}
	return false
}

// ValidateName returns an error that matches ErrInvalid for a name that Elasticsearch would refuse.
func ValidateName(name string) error {
	switch {
	case name == "":
		return invalid("an empty snapshot name", "")
	case len(name) > 255:
		return invalid("a snapshot name of more than 255 bytes", "")
	case !utf8.ValidString(name) || name != strings.ToLower(name):
		return invalid(fmt.Sprintf("snapshot name %q is not in lower case", name), "")
	case strings.HasPrefix(name, "_") || strings.HasPrefix(name, "-") || strings.HasPrefix(name, "+"):
		return invalid(fmt.Sprintf("snapshot name %q begins with %q", name, name[:1]), "begin it with a letter")
	case strings.ContainsAny(name, ` \/*?"<>|,#`):
		return invalid(fmt.Sprintf("snapshot name %q holds a space, a comma, a slash, a wildcard or one of # \" < > |", name), "")
	}
	return nil
}

// nameApart is the name beside one that another run took in the same second. It is the same for the same run.
func nameApart(name, runID string) string {
	sum := sha256.Sum256([]byte(runID))
	return name + "-" + hex.EncodeToString(sum[:4])
}

// namesNear are patterns for the names with this prefix from the day before t to the day after: a run that is repeated
// within a day finds its snapshot, also when the clock has jumped meanwhile.
func namesNear(prefix string, t time.Time) []string {
	var out []string
	for day := -1; day <= 1; day++ {
		out = append(out, prefix+t.UTC().AddDate(0, 0, day).Format("2006-01-02")+"t*")
	}
	return out
}
