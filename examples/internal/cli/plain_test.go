package cli_test

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/examples/internal/cli"
)

func TestWhatIsPrintedOfOthersIsOnlyShown(t *testing.T) {
	const name = "snapshot.\x1b[2K\x1b[1A\u009b2J\u202e"
	const shown = `snapshot.\u001b[2K\u001b[1A\u009b2J\u202e`
	for kind, tt := range map[string]struct {
		print func(w io.Writer)
		want  string
	}{
		"a table": {func(w io.Writer) { _, _ = io.WriteString(cli.Plain(w), "  A  B\n\n  "+name+"\n") }, "  A  B\n\n  " + shown + "\n"},
		"characters in pieces": {func(w io.Writer) {
			p := cli.Plain(w)
			for _, b := range []byte("é 日 \u009b\n") {
				_, _ = p.Write([]byte{b})
			}
		}, "é 日 \\u009b\n"},
		"more than is kept in memory": {func(w io.Writer) { _, _ = io.WriteString(cli.Plain(w), strings.Repeat("日\n\x1b", 100_000)) },
			strings.Repeat("日\n\\u001b", 100_000)},
		"a page": {func(w io.Writer) { cli.NewScreen(w).Text("\n  " + name + "\n") }, "\n  " + shown + "\n"},
		"a line": {func(w io.Writer) { cli.NewScreen(w).Printf("%s\nand %s", name, name) }, " 0:00.0  " + shown + "; and " + shown + "\n"},
		"progress": {func(w io.Writer) {
			cli.NewScreen(w).Progress(nuvlaops.Progress{Phase: "p", Resource: name, Message: "a\nb\x1b"})
		}, " 0:00.0    p " + shown + ": a; b\\u001b\n"},
		"over both": {func(w io.Writer) { _, _ = io.WriteString(cli.NewScreen(w).Over(cli.Plain(w)), name) }, shown},
	} {
		var out bytes.Buffer
		tt.print(&out)
		if diff := cmp.Diff(tt.want, out.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", kind, diff)
		}
	}
}

func TestJSONThatIsPrintedStaysWhatItIs(t *testing.T) {
	want := map[string]string{"a\x7f\u009b\u202e\x1b\n": "\u2028é"}
	var out bytes.Buffer
	if err := json.NewEncoder(cli.Plain(&out)).Encode(want); err != nil {
		t.Fatal(err)
	}
	var got map[string]string
	err := json.Unmarshal(out.Bytes(), &got)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}
