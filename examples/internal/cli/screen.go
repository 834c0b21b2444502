package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/units"
)

// Screen shows steps and their progress: a line that is rewritten on a terminal, else a line at most every few seconds,
// so that a log stays readable. Of what others have named or said it shows each character as such. It is safe for concurrent use.
type Screen struct {
	mu       sync.Mutex
	out      io.Writer
	terminal *os.File // nil when out is none
	open     bool     // a progress line stands unfinished on the terminal
	last     time.Time
	said     time.Time // by Sometimes
	every    time.Duration
	start    time.Time
}

// NewScreen writes to out.
func NewScreen(out io.Writer) *Screen {
	out = Behind(out) // what is rewritten takes more than plain text
	s := &Screen{out: out, every: 3 * time.Second, start: time.Now()}
	if f, ok := out.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb" {
			s.terminal, s.every = f, 100*time.Millisecond
		}
	}
	return s
}

// Printf writes a line of its own, with the time since the program began in front.
func (s *Screen) Printf(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closeLine()
	fmt.Fprintf(s.out, "%7s  %s\n", clock(time.Since(s.start)), nuvlaops.OneLine(fmt.Sprintf(format, args...)))
	s.last = time.Time{}
}

// Sometimes is Printf, unless it has written a line within this time.
func (s *Screen) Sometimes(every time.Duration, format string, args ...any) {
	s.mu.Lock()
	again := time.Since(s.said) < every
	if !again {
		s.said = time.Now()
	}
	s.mu.Unlock()
	if !again {
		s.Printf(format, args...)
	}
}

// Text writes text of several lines.
func (s *Screen) Text(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closeLine()
	fmt.Fprint(s.out, plain(text))
}

// Over is w, which may be the same terminal: an unfinished line of progress is taken away before each write.
func (s *Screen) Over(w io.Writer) io.Writer { return over{s, w} }

type over struct {
	*Screen
	w io.Writer
}

func (o over) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closeLine()
	return o.w.Write(p)
}

// Close takes an unfinished line of progress away: what is written next may be an error.
func (s *Screen) Close() { s.Text("") }

// Progress shows a report. It is a func(nuvlaops.Progress).
func (s *Screen) Progress(p nuvlaops.Progress) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.last) < s.every {
		return
	}
	s.last = time.Now()
	line := fmt.Sprintf("%7s    %s", clock(time.Since(s.start)), Line(p))
	if s.terminal != nil {
		fmt.Fprintf(s.out, "\r\x1b[K%s", Cut(line, width(s.terminal)))
		s.open = true
		return
	}
	fmt.Fprintln(s.out, line)
}

// width is the number of columns of a terminal, 80 where it does not say.
func width(terminal *os.File) int {
	size, err := unix.IoctlGetWinsize(int(terminal.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col == 0 {
		return 80
	}
	return int(size.Col)
}

// Cut shortens a line so that it fits into columns: one that wraps cannot be rewritten.
func Cut(line string, columns int) string {
	runes := []rune(line)
	if len(runes) < columns || columns < 4 {
		return line
	}
	return string(runes[:columns-4]) + "..."
}

func (s *Screen) closeLine() {
	if s.open {
		fmt.Fprint(s.out, "\r\x1b[K")
		s.open = false
	}
}

// Line is a progress report in one line: a bar where the fraction is known, what is done to what, counts, bytes, the time
// left.
func Line(p nuvlaops.Progress) string {
	var b strings.Builder
	if f, ok := p.Fraction(); ok {
		const width = 20
		n := int(f * width)
		fmt.Fprintf(&b, "[%s%s] %3.0f%% ", strings.Repeat("#", n), strings.Repeat(".", width-n), f*100)
	}
	b.WriteString(p.Phase)
	if p.Resource != "" {
		b.WriteString(" " + p.Resource)
	}
	if p.Total > 0 {
		fmt.Fprintf(&b, ", %d of %d %s", p.Done, p.Total, p.Unit)
	} else if p.Done > 0 {
		fmt.Fprintf(&b, ", %d %s", p.Done, p.Unit)
	}
	if p.TotalBytes > 0 {
		fmt.Fprintf(&b, ", %s of %s", units.Bytes(p.Bytes), units.Bytes(p.TotalBytes))
	}
	if p.Remaining > 0 {
		fmt.Fprintf(&b, ", %s left", p.Remaining.Round(time.Second))
	}
	if p.Message != "" {
		b.WriteString(": " + p.Message)
	}
	return nuvlaops.OneLine(b.String())
}

func clock(d time.Duration) string {
	d = d.Round(100 * time.Millisecond)
	return fmt.Sprintf("%d:%04.1f", int(d.Minutes()), (d % time.Minute).Seconds())
}
