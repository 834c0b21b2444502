package snapshot

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/atomicfile"
	"github.com/nuvla/nuvlaops/internal/filelock"
)

// Marks are what was said about snapshots after they were taken: people pin them, drills restore them. They are kept in a
// file beside the repository, since Elasticsearch does not let a snapshot's metadata be changed. The key is the UUID of the
// snapshot, so a mark never passes to another one of the same name, and holds under whatever name a cluster has registered
// the repository.
type Marks map[string]Mark

// Mark is what was said about one snapshot.
type Mark struct {
	// Repository and Snapshot are names, for people.
	Repository string `json:"repository"`
	Snapshot   string `json:"snapshot"`
	// Pinned, when not nil, keeps the snapshot for good.
	Pinned *Pin `json:"pinned,omitempty"`
	// Verified, when not nil, says that a drill has restored it. Retention keeps the newest of these.
	Verified *Verified `json:"verified,omitempty"`
}

// Pin is when and why a snapshot was pinned.
type Pin struct {
	At     time.Time `json:"at"`
	Reason string    `json:"reason,omitempty"`
}

// Verified is a drill that restored a snapshot and found in it what its manifest says.
type Verified struct {
	At time.Time `json:"at"`
	// RTO is how many seconds the restore took, with its checks.
	RTO float64 `json:"rto_seconds"`
	// Documents that were found.
	Documents int64 `json:"documents,omitempty"`
}

// ReadMarks reads the file of UpdateMarks, also by a link. One that is not there holds no marks; a link to one that is not there
// is an error. Error: ErrInvalid (no path).
func ReadMarks(path string) (Marks, error) {
	m, err := readMarks(path)
	return m, nuvlaops.Wrap("snapshot.ReadMarks", path, err)
}

var errNoMarks = invalid("no file of marks", "name it: a path that is not set would hide what is pinned")

func readMarks(path string) (Marks, error) {
	marks := Marks{}
	if path == "" {
		return nil, errNoMarks
	}
	raw, err := atomicfile.Read(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSymlink != 0 {
			return nil, &nuvlaops.Error{Reason: "the link leads to no file", Hint: "put it back, or {} where nothing was marked", Err: os.ErrNotExist}
		}
		return marks, nil
	case err != nil:
		return nil, err
	}
	if err := decodeMarks(raw, &marks); err != nil {
		return nil, &nuvlaops.Error{Reason: "the file holds no marks: " + err.Error(), Err: err,
			Hint: "put back an older copy, or name another file; nothing is pruned meanwhile, since pins may be in it"}
	}
	if marks == nil { // JSON's null
		marks = Marks{}
	}
	return marks, nil
}

// decodeMarks refuses what it does not know: a newer version may have marked what must not be removed, and an update of a file that is
// none of marks would leave of it what looks like some.
func decodeMarks(raw []byte, marks *Marks) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(marks); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the marks")
	}
	return nil
}

// UpdateMarks reads the file, changes the marks and writes the file, whole or not at all. Updates of several processes on
// one machine come one after the other: the file PATH.lock keeps them apart. A mark that says nothing is left out. When
// change returns an error, nothing is written, and it is returned. Error: ErrInvalid (no path, a mark without a UUID).
func UpdateMarks(ctx context.Context, path string, change func(Marks) error) error {
	return nuvlaops.Wrap("snapshot.UpdateMarks", path, updateMarks(ctx, path, change))
}

func updateMarks(ctx context.Context, path string, change func(Marks) error) error {
	if path == "" {
		return errNoMarks
	}
	if file, err := filepath.EvalSymlinks(path); err == nil { // a link stays one, and all who change its file share one lock
		path = file
	}
	lock, err := filelock.Wait(ctx, path+".lock")
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	marks, err := readMarks(path)
	if err == nil {
		err = change(marks)
	}
	if err != nil {
		return err
	}
	for uuid, m := range marks {
		switch {
		case uuid == "":
			return invalid(fmt.Sprintf("a mark on snapshot %q without a UUID", m.Snapshot), "take it from the snapshot's description")
		case m.Pinned == nil && m.Verified == nil:
			delete(marks, uuid)
		}
	}
	return atomicfile.WriteMode(path, 0o644, func(w io.Writer) error {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(marks)
	})
}

// Pin marks a snapshot as one that is kept for good.
func (m Marks) Pin(repository, name, uuid string, p Pin) {
	m.set(repository, name, uuid, func(mark *Mark) { mark.Pinned = &p })
}

// Unpin takes such a mark away. A snapshot that was taken with CreateRequest.Pin stays pinned.
func (m Marks) Unpin(uuid string) {
	mark := m[uuid]
	m.set(mark.Repository, mark.Snapshot, uuid, func(mark *Mark) { mark.Pinned = nil })
}

// Verify marks a snapshot as one that a drill has restored.
func (m Marks) Verify(repository, name, uuid string, v Verified) {
	m.set(repository, name, uuid, func(mark *Mark) { mark.Verified = &v })
}

func (m Marks) set(repository, name, uuid string, change func(*Mark)) {
	mark := m[uuid]
	mark.Repository, mark.Snapshot = repository, name
	change(&mark)
	m[uuid] = mark
}

// WithMarks returns repo with what the file at path says put onto the snapshots that List and Get yield, so that Policy and
// Prune respect it. The file is read again by each List and Get; one that cannot be read is an error, so that nothing is
// pruned by a policy that cannot see its pins. Delete does not look at marks.
func WithMarks(repo SnapshotRepo, path string) SnapshotRepo { return marked{repo, path} }

type marked struct {
	SnapshotRepo
	path string
}

// List implements SnapshotRepo.
func (r marked) List(ctx context.Context, f Filter) iter.Seq2[Snapshot, error] {
	return func(yield func(Snapshot, error) bool) {
		marks, err := ReadMarks(r.path)
		if err != nil {
			yield(Snapshot{}, err)
			return
		}
		for s, err := range r.SnapshotRepo.List(ctx, f) {
			marks.put(&s)
			if !yield(s, err) {
				return
			}
		}
	}
}

// Get implements SnapshotRepo.
func (r marked) Get(ctx context.Context, name string) (*Snapshot, error) {
	marks, err := ReadMarks(r.path)
	if err != nil {
		return nil, err
	}
	s, err := r.SnapshotRepo.Get(ctx, name)
	if s != nil {
		marks.put(s)
	}
	return s, err
}

func (m Marks) put(s *Snapshot) {
	mark, there := m[s.UUID]
	if !there || s.UUID == "" {
		return
	}
	s.Pinned = s.Pinned || mark.Pinned != nil
	s.Verified = mark.Verified
}
