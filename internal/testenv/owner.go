package testenv

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// owner names a process so that another one can tell, later, whether it is still alive: a process id alone is used again
// after a while, and after a boot.
type owner struct {
	pid   int
	start uint64 // in clock ticks since the boot; 0 where there is no /proc
	boot  string // of this boot of the machine
	space string // the namespace in which pid counts
}

// self is this process.
func self() owner {
	pid := os.Getpid()
	start, _ := startTime(pid)
	return owner{pid: pid, start: start, boot: bootHash(), space: pidSpace()}
}

func (o owner) String() string {
	return fmt.Sprintf("%d-%d-%s-%s", o.pid, o.start, o.boot, o.space)
}

func parseOwner(s string) (owner, bool) {
	parts := strings.Split(s, "-")
	if len(parts) != 4 {
		return owner{}, false
	}
	pid, err := strconv.Atoi(parts[0])
	start, err2 := strconv.ParseUint(parts[1], 10, 64)
	return owner{pid: pid, start: start, boot: parts[2], space: parts[3]}, err == nil && err2 == nil && pid > 0
}

// dead says whether o is surely not alive any more, as seen by the process me on an engine of this machine (local) or of
// another. When it cannot be known, the answer is no: what belongs to a live process must never be removed.
func (o owner) dead(me owner, local bool) bool {
	switch {
	case o.boot != me.boot:
		return local // from before a boot; on a far engine it may be another machine's
	case o.space != me.space:
		return false
	}
	start, err := startTime(o.pid)
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	return err == nil && start != o.start
}

// startTime is field 22 of /proc/PID/stat. A zombie counts as gone.
func startTime(pid int) (uint64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return startWithoutProc(pid, err)
	}
	_, rest, found := strings.Cut(string(raw), ") ") // the command's name before it may hold spaces
	fields := strings.Fields(rest)
	if !found || len(fields) < 20 {
		return 0, fmt.Errorf("read start time of process %d: unknown format", pid)
	}
	if fields[0] == "Z" || fields[0] == "X" {
		return 0, fs.ErrNotExist
	}
	return strconv.ParseUint(fields[19], 10, 64)
}

func startWithoutProc(pid int, err error) (uint64, error) {
	if _, statErr := os.Stat("/proc/self/stat"); statErr == nil {
		return 0, err
	}
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return 0, fs.ErrNotExist
	}
	return 0, nil
}

func bootHash() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		host, _ := os.Hostname()
		id = []byte(host)
	}
	sum := sha256.Sum256(id)
	return hex.EncodeToString(sum[:4])
}

func pidSpace() string {
	link, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return "0"
	}
	return strings.Trim(strings.TrimPrefix(link, "pid:"), "[]")
}
