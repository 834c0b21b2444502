package cli

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"
)

// ReadLine reads what a person types, without the space around it. It ends with the context, although a read of a terminal
// does not: that one ends with the process. The end of the input is an empty line.
func ReadLine(ctx context.Context, from io.Reader) (string, error) {
	type result struct {
		line string
		err  error
	}
	done := make(chan result, 1)
	go func() {
		line, err := bufio.NewReader(from).ReadString('\n')
		if errors.Is(err, io.EOF) {
			err = nil
		}
		done <- result{strings.TrimSpace(line), err}
	}()
	select {
	case <-ctx.Done():
		return "", context.Cause(ctx)
	case r := <-done:
		return r.line, r.err
	}
}
