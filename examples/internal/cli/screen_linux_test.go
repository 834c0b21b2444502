package cli_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/examples/internal/cli"
)

// terminal makes one, and says what was written to it.
func terminal(t *testing.T) (tty *os.File, written func() string) {
	t.Helper()
	main, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = main.Close() })
	n, err := unix.IoctlGetInt(int(main.Fd()), unix.TIOCGPTN)
	if err := errors.Join(err, unix.IoctlSetPointerInt(int(main.Fd()), unix.TIOCSPTLCK, 0)); err != nil {
		t.Fatal(err)
	}
	if tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tty.Close() })
	return tty, func() string {
		const end = "<end>"
		fmt.Fprint(tty, end)
		var all strings.Builder
		for buf := make([]byte, 4096); !strings.HasSuffix(all.String(), end); {
			n, err := main.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			all.Write(buf[:n])
		}
		return strings.TrimSuffix(all.String(), end)
	}
}

// What comes after a line of progress on the same terminal stands in its place, not behind it.
func TestAResultTakesThePlaceOfTheProgressLine(t *testing.T) {
	t.Setenv("TERM", "xterm")
	for name, after := range map[string]func(*cli.Screen, *os.File){
		"a result": func(s *cli.Screen, tty *os.File) { fmt.Fprint(s.Over(tty), "result") },
		"an error": func(s *cli.Screen, tty *os.File) { s.Close(); fmt.Fprint(tty, "result") },
		"a line":   func(s *cli.Screen, _ *os.File) { s.Text("result") },
	} {
		tty, written := terminal(t)
		screen := cli.NewScreen(cli.Plain(tty)) // as Main hands it on
		screen.Progress(nuvlaops.Progress{Phase: "restoring"})
		after(screen, tty)
		if got := written(); !strings.HasSuffix(got, "restoring\r\x1b[Kresult") {
			t.Errorf("%s: %q", name, got)
		}
	}
}
