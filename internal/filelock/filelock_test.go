package filelock_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/filelock"
)

const holds = "FILELOCK_TEST_HOLDS"

// TestMain is also the other process: it takes the lock, says so, and stays.
func TestMain(m *testing.M) {
	if path := os.Getenv(holds); path != "" {
		if _, err := filelock.Take(path); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("held")
		select {}
	}
	os.Exit(m.Run())
}

func TestALockIsNamedWhileItIsHeldAndEndsWithItsProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.lock")
	other := exec.Command(os.Args[0])
	other.Env = append(os.Environ(), holds+"="+path)
	out, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Process.Kill() }()
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "held\n" {
		t.Fatal(line, err)
	}
	_, err = filelock.Take(path)
	if !errors.Is(err, nuvlaops.ErrBusy) || !strings.Contains(err.Error(), fmt.Sprint("process ", other.Process.Pid)) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err = filelock.Wait(ctx, path); !errors.Is(err, nuvlaops.ErrBusy) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if err := other.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = other.Wait()
	l, err := filelock.Wait(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestALockIsGivenToOneAfterTheOther(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.lock")
	for range 2 {
		l, err := filelock.Take(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := filelock.Take(path); !errors.Is(err, nuvlaops.ErrBusy) { // of the same process too
			t.Errorf("got %v", err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestALockInAFolderThatIsNotThereSaysSo(t *testing.T) {
	if _, err := filelock.Take(filepath.Join(t.TempDir(), "no", "x.lock")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestWhatIsKeptInALockIsThereForWhoeverTakesItNext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.lock")
	take := func() *filelock.Lock {
		t.Helper()
		l, err := filelock.Take(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		return l
	}
	l := take()
	place := l.Place()
	for _, text := range []string{strings.Repeat("a much longer text ", 10), "short"} {
		if err := l.Keep("a", text); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Keep("b", "other"); err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	_ = take().Close() // who keeps nothing leaves what is there
	l = take()
	if got := []string{l.Place(), l.Kept("a"), l.Kept("b"), l.Kept("c")}; !slices.Equal(got, []string{place, "short", "other", ""}) {
		t.Errorf("got %q", got)
	}
}
