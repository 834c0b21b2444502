package images_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nuvla/nuvlaops/internal/testenv/images"
)

func TestEndOfContextEndsAllThatACommandHasStarted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for ctx.Err() == nil {
			if content, _ := os.ReadFile(file); strings.HasSuffix(string(content), "\n") {
				cancel()
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	_, err := images.Processes(ctx, images.NewCommand(0, "sh", "-c", "sleep 300 & echo $! >"+file+"; wait"))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	content, _ := os.ReadFile(file)
	pid, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if syscall.Kill(pid, 0) != nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("process %d is still there", pid)
}

func TestCommandThatSaysNothingIsEnded(t *testing.T) {
	start := time.Now()
	_, err := images.Processes(t.Context(), images.NewCommand(50*time.Millisecond, "sleep", "300"))
	if !errors.Is(err, images.ErrNoAnswer) {
		t.Errorf("error %v", err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("took %s", took)
	}
}

func TestCommandThatSaysSomethingMayTakeItsTime(t *testing.T) {
	out, err := images.Processes(t.Context(), images.NewCommand(200*time.Millisecond, "sh", "-c", "echo pulling; sleep 0.5; echo done"))
	if err != nil || out != "pulling\ndone\n" {
		t.Errorf("%q, %v", out, err)
	}
}

func TestErrorOfACommandCarriesWhatItSaid(t *testing.T) {
	_, err := images.Processes(t.Context(), images.NewCommand(0, "sh", "-c", "echo the disk is full >&2; exit 3"))
	if err == nil || !strings.Contains(err.Error(), "the disk is full") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("error %v", err)
	}
}
