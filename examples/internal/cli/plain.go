package cli

import (
	"io"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/nuvla/nuvlaops"
)

// plain is a text of several lines that a terminal only shows. What it holds of others (names of snapshots and indices, logs of
// containers, what a proxy answers) could otherwise clear the screen, or hide what is about to be confirmed. JSON stays the JSON that it is.
func plain(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = nuvlaops.OneLine(line)
	}
	return strings.Join(lines, "\n")
}

// Plain is w for what is printed: it gets plain text only.
func Plain(w io.Writer) io.Writer { return &plainWriter{w: w} }

// Behind is what stands behind Plain, for a process that sees whether it is a terminal, and prints plain text itself.
func Behind(w io.Writer) io.Writer {
	if p, is := w.(*plainWriter); is {
		return p.w
	}
	return w
}

type plainWriter struct {
	w    io.Writer
	mu   sync.Mutex
	rest []byte // the beginning of a character whose end is written next
}

func (p *plainWriter) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for part := range slices.Chunk(text, partLength) {
		if err := p.write(part); err != nil {
			return 0, err
		}
	}
	return len(text), nil
}

// partLength bounds the memory that it takes: a plan of a million jobs is written at once.
const partLength = 64 << 10

func (p *plainWriter) write(text []byte) error {
	all := append(p.rest, text...)
	whole := len(all)
	for back := 1; back < utf8.UTFMax && back <= len(all); back++ {
		if start := len(all) - back; utf8.RuneStart(all[start]) {
			if !utf8.FullRune(all[start:]) {
				whole = start
			}
			break
		}
	}
	p.rest = append([]byte(nil), all[whole:]...)
	_, err := io.WriteString(p.w, plain(string(all[:whole])))
	return err
}
