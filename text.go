package nuvlaops

import (
	"fmt"
	"strings"
	"unicode"
)

// OneLine is a text of somebody else on one line that a terminal, or whoever reads a log, only shows: a name, a reason, what a
// server answered. Its lines are joined; a character that moves the cursor, clears the screen or turns the direction of writing,
// and so would hide or feign what stands there, is written as \u001b. The errors of the SDK, and its reports for people, have it
// done already.
func OneLine(s string) string {
	if strings.ContainsAny(s, "\n\r") {
		lines := strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' })
		kept := lines[:0]
		for _, line := range lines {
			if line = strings.TrimSpace(line); line != "" {
				kept = append(kept, line)
			}
		}
		s = strings.Join(kept, "; ")
	}
	s = strings.ToValidUTF8(s, "\ufffd")
	if !strings.ContainsFunc(s, obeyed) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\t':
			b.WriteByte(' ')
		case obeyed(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// obeyed says whether a terminal, or who writes text on a screen, does something else with a character than show it.
func obeyed(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
}
