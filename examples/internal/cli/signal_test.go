package cli_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
)

const isProgram = "NUVLAOPS_TEST_PROGRAM" // in the environment of a test binary that is one

// The end of a terminal comes from the kernel and from the shell: the second one must not end what the first one began.
func TestTheEndOfATerminalInterruptsOnce(t *testing.T) {
	if os.Getenv(isProgram) != "" {
		program(t)
	}
	for _, tt := range []struct{ name, shell, want string }{
		{"on a terminal", `exec "$0" "$@"`, "interrupted, and cleaned up"},
		{"under nohup", `trap "" HUP; exec "$0" "$@"`, "done"},
	} {
		cmd := exec.CommandContext(t.Context(), "sh", "-c", tt.shell, os.Args[0], "-test.run", "^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), isProgram+"=1")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(out)
		_, _ = lines.ReadString('\n') // it is ready
		for range 2 {
			_ = cmd.Process.Signal(syscall.SIGHUP)
			time.Sleep(100 * time.Millisecond)
		}
		got, _ := io.ReadAll(lines)
		if err := cmd.Wait(); err != nil || string(got) != tt.want+"\n" {
			t.Errorf("%s: %q, %v, want %q", tt.name, got, err, tt.want)
		}
	}
}

func program(t *testing.T) {
	ctx, stop := cli.Signals(t.Context())
	defer stop()
	fmt.Println("ready")
	select {
	case <-ctx.Done():
		time.Sleep(500 * time.Millisecond) // cleaning up
		fmt.Printf("%v, and cleaned up\n", context.Cause(ctx))
	case <-time.After(500 * time.Millisecond):
		fmt.Println("done")
	}
	os.Exit(0)
}
