// Package filelock keeps other processes out while this one works: a lock on a file that ends with the process, whatever
// ends it.
package filelock

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nuvla/nuvlaops"
)

// Lock is one that is held.
type Lock struct {
	file    *os.File
	content content
}

// Take takes the lock at once. The file is made when it is not there, and says who holds it. Error: ErrBusy, naming
// process, host and since when, when another one holds it; ErrExists for a file of something else.
func Take(path string) (*Lock, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() { // a pipe would never be read to its end
		return nil, notOurs(path, "it is a folder, a pipe or a device")
	}
	f, err := open(path)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	if err := lock(f); err != nil {
		was := read(path)
		_ = f.Close()
		if !errors.Is(err, errHeld) {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		return nil, &nuvlaops.Error{Resource: path, Reason: was.Holder.String() + " holds the lock",
			Hint: "wait for it, or end it", Err: nuvlaops.ErrBusy}
	}
	was := read(path)
	if !was.ours {
		_ = f.Close()
		return nil, notOurs(path, "it holds something else")
	}
	l := &Lock{f, content{Place: cmp.Or(was.Place, rand.Text()), Holder: Self(), Kept: was.Kept}}
	if err := write(f, l.content); err != nil { // one that another user made cannot be written, and locks all the same
		l.content.Kept = nil // it may be of long ago
	}
	return l, nil
}

// notOurs: whoever names a file by mistake must not lose what is in it.
func notOurs(path, why string) error {
	return &nuvlaops.Error{Resource: path, Reason: "the file is no lock: " + why, Hint: "name another one, which is made; it was left as it is", Err: nuvlaops.ErrExists}
}

// Place names the lock for as long as its file is there: who holds it knows that whoever has held it before is gone.
func (l *Lock) Place() string { return l.content.Place }

// Kept is what Keep has kept under a name, by whoever held the lock; empty where nothing is known.
func (l *Lock) Kept(name string) string { return l.content.Kept[name] }

// Keep writes a text under a name into the file, for as long as that is there.
func (l *Lock) Keep(name, text string) error {
	if l.content.Kept == nil {
		l.content.Kept = map[string]string{}
	}
	l.content.Kept[name] = text
	return write(l.file, l.content)
}

// open opens also what another user made and only that one may write.
func open(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, os.ErrPermission) {
		f, err = os.Open(path)
	}
	if errors.Is(err, os.ErrNotExist) {
		f, err = os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	}
	return f, err
}

// Wait takes the lock as soon as nobody else holds it. When the context ends, its error is joined with an ErrBusy that
// names the process.
func Wait(ctx context.Context, path string) (*Lock, error) {
	for {
		l, err := Take(path)
		if !errors.Is(err, nuvlaops.ErrBusy) {
			return l, err
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(err, context.Cause(ctx))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Close lets others in.
func (l *Lock) Close() error { return l.file.Close() }
