package filelock

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// Holder is who holds a lock.
type Holder struct {
	Host  string    `json:"host"`
	PID   int       `json:"pid"`
	Since time.Time `json:"since"`
}

// Self is this process, from now on.
func Self() Holder {
	host, _ := os.Hostname()
	return Holder{Host: cmp.Or(host, "a host without a name"), PID: os.Getpid(), Since: time.Now().UTC().Truncate(time.Second)}
}

// String names process, host and time.
func (h Holder) String() string {
	return fmt.Sprintf("process %d on %s, since %s", h.PID, h.Host, h.Since.Format(time.RFC3339))
}

// content is what is in the file of a lock.
type content struct {
	Place  string            `json:"place"`
	Holder Holder            `json:"holder"`
	Kept   map[string]string `json:"kept,omitempty"`

	ours bool // nothing in it is of something else than a lock
}

// begins is what each content begins with.
const begins = `{"place":`

// read: a file that cannot be read, or that its holder is writing, names nobody.
func read(path string) (c content) {
	const most = 1 << 20
	var raw []byte
	if f, err := os.Open(path); err == nil {
		defer f.Close()
		raw, _ = io.ReadAll(io.LimitReader(f, most))
	}
	_ = json.Unmarshal(raw, &c)
	text := strings.TrimSpace(string(raw))
	c.ours = strings.HasPrefix(text, begins) || strings.HasPrefix(begins, text) // a part of it too
	return c
}

// write writes into the locked file itself: one that is renamed there would carry no lock.
func write(f *os.File, c content) error {
	raw, err := json.Marshal(c)
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = f.WriteAt(append(raw, '\n'), 0)
	}
	return err
}
