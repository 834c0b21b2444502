package runbook

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/nuvla/nuvlaops"
)

// Holder is who runs.
type Holder struct {
	Host  string    `json:"host"`
	PID   int       `json:"pid"`
	Since time.Time `json:"since"`
}

// Self is this process.
func Self() Holder {
	host, _ := os.Hostname()
	return Holder{Host: cmp.Or(host, "unknown"), PID: os.Getpid(), Since: time.Now().UTC().Truncate(time.Second)}
}

// String names host, process and time.
func (h Holder) String() string {
	return fmt.Sprintf("process %d on %s, since %s", h.PID, h.Host, h.Since.Format(time.RFC3339))
}

// lockContent is what is in the file of a lock. Place stays the same for the file's life.
type lockContent struct {
	Place  string `json:"place"`
	Holder Holder `json:"holder"`
}

// lockFile takes a lock that ends with the process, and says in the file who has it.
func lockFile(path string) (f *os.File, place string, err error) {
	if f, err = os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return nil, "", fmt.Errorf("open journal: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	was := readLock(path)
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		err = &nuvlaops.Error{Op: "runbook.OpenJournal", Resource: path, Err: nuvlaops.ErrBusy, Reason: "another run holds the journal: " + was.Holder.String(),
			Hint: "wait for it, or end it; two at once would undo each other's work"}
	case err != nil:
		err = fmt.Errorf("lock journal: %w", err)
	default:
		place = cmp.Or(was.Place, rand.Text())
		err = writeLock(f, lockContent{Place: place, Holder: Self()})
	}
	if err != nil {
		_ = f.Close()
		return nil, "", err
	}
	return f, place, nil
}

// readLock: a file that cannot be read, or that its holder is writing, names nobody.
func readLock(path string) (c lockContent) {
	raw, _ := os.ReadFile(path)
	_ = json.Unmarshal(raw, &c)
	return c
}

// writeLock writes into the locked file itself: one that is renamed there would carry no lock.
func writeLock(f *os.File, c lockContent) error {
	raw, err := json.Marshal(c)
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = f.WriteAt(append(raw, '\n'), 0)
	}
	if err != nil {
		return fmt.Errorf("lock journal: %w", err)
	}
	return nil
}
