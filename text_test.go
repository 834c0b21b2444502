package nuvlaops_test

import (
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
)

func TestATextOfSomebodyElseIsOneLineThatATerminalOnlyShows(t *testing.T) {
	for text, want := range map[string]string{
		"":                           "",
		"snapshot.é 日":               "snapshot.é 日",
		"  as it is ":                "  as it is ",
		"a\nb\r\n\r\n\tc\n":          "a; b; c",
		"a\tb":                       "a b",
		"\x1b[2J\x1b]0;x\a":          `\u001b[2J\u001b]0;x\u0007`,
		"a\u009b31m\x7f\u2028b":      `a\u009b31m\u007f\u2028b`,
		"a\u202etxt.exe\u2066\u200f": `a\u202etxt.exe\u2066\u200f`,
		"a\xffb\x9b":                 "a\ufffdb\ufffd",
		"\n":                         "",
	} {
		if diff := cmp.Diff(want, nuvlaops.OneLine(text)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}

func TestAnErrorShowsNoControlCharacterOfItsCause(t *testing.T) {
	err := nuvlaops.Wrap("stack.Deploy", "nuvla\x1b[1A", &nuvlaops.Error{Type: "a\bb", Reason: "exec: \x1b[31mno such file\x1b[0m\u009b2J", Hint: "x\x00"})
	want := `stack.Deploy nuvla\u001b[1A: exec: \u001b[31mno such file\u001b[0m\u009b2J (a\u0008b): x\u0000`
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
}

// FuzzOneLine: what is shown is one line, without what a terminal would obey, and is the same when it is shown again.
func FuzzOneLine(f *testing.F) {
	for _, seed := range []string{"a\nb", "\x1b[2J", "\xc2", "\u009b", "\u202e", "a\r", "\t"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := nuvlaops.OneLine(text)
		if strings.ContainsFunc(got, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }) || nuvlaops.OneLine(got) != got {
			t.Errorf("%q became %q", text, got)
		}
	})
}
