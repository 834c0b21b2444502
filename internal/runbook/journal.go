package runbook

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/atomicfile"
	"github.com/nuvla/nuvlaops/internal/filelock"
)

// Journal is a file with the records of one run. It holds what the caller puts into its state, so no secrets belong
// there. A nil *Journal remembers nothing.
type Journal struct {
	path  string
	lock  *filelock.Lock
	mu    sync.Mutex
	file  journalFile
	aside bool // whether another run's journal is still at path
}

type journalFile struct {
	Key     string          `json:"key"`
	Started time.Time       `json:"started"`
	Ended   time.Time       `json:"ended,omitzero"`
	State   json.RawMessage `json:"state,omitempty"`
	Steps   []Record        `json:"steps"`
}

// takeUpWithin is how old the last record of a journal may be that is taken up.
const takeUpWithin = 24 * time.Hour

// last is the time of the newest record.
func (f *journalFile) last() time.Time {
	at := f.Started
	for _, r := range f.Steps {
		for _, t := range []time.Time{r.Started, r.Ended} {
			if t.After(at) {
				at = t
			}
		}
	}
	return at
}

// OpenJournal opens or makes the journal at path and keeps others out until Close. key says what the run is about: an
// unfinished journal with the same key is taken up, any other, and one whose last record is older than a day, is put aside
// as path.old when this run writes its first record: what was done then says nothing about now, but a run that does
// nothing costs it nothing. Error: ErrBusy, naming host, process and since when, when another one holds it.
func OpenJournal(path, key string) (*Journal, error) {
	lock, err := filelock.Take(path + ".lock")
	if err != nil {
		return nil, nuvlaops.Wrap("runbook.OpenJournal", path, err)
	}
	j := &Journal{path: path, lock: lock, file: journalFile{Key: key, Started: time.Now()}}
	_ = atomicfile.RemoveParts(path) // of a run that was killed; the lock is ours
	raw, err := readFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return j, nil
	}
	var old journalFile
	if err == nil && old.takenUp(raw, key) {
		j.file = old
		return j, nil
	}
	if err != nil {
		_ = j.Close()
		return nil, err
	}
	j.aside = true
	return j, nil
}

// ReadJournal reads the journal that OpenJournal would take up, for looking only: nobody is kept out, and nothing is
// written. It is nil when there is none.
func ReadJournal(path, key string) (*Journal, error) {
	raw, err := readFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	j := &Journal{path: path}
	if !j.file.takenUp(raw, key) {
		return nil, nil
	}
	return j, nil
}

func readFile(path string) ([]byte, error) {
	raw, err := atomicfile.Read(path)
	if errors.Is(err, atomicfile.ErrNoFile) {
		return nil, &nuvlaops.Error{Op: "runbook.OpenJournal", Resource: path, Reason: err.Error(), Hint: "name another file for the journal", Err: nuvlaops.ErrInvalid}
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	return raw, err
}

// takenUp decodes a journal, and reports whether a run with this key takes it up: also one of a clock that was ahead, by no more
// than it may be old.
func (f *journalFile) takenUp(raw []byte, key string) bool {
	return json.Unmarshal(raw, f) == nil && f.Key == key && f.Ended.IsZero() && time.Since(f.last()).Abs() < takeUpWithin
}

// Place names the journal's lock, which ends with the process: who holds it knows that whoever held it before is gone.
func (j *Journal) Place() string {
	if j == nil || j.lock == nil {
		return ""
	}
	return j.lock.Place()
}

// Resumed reports whether the journal has steps of an earlier run, and when that began.
func (j *Journal) Resumed() (time.Time, bool) {
	if j == nil {
		return time.Time{}, false
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.file.Started, len(j.file.Steps) > 0
}

// State decodes what the earlier run left with SetState; false when there is nothing.
func (j *Journal) State(into any) bool {
	if j == nil {
		return false
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.file.State) > 0 && json.Unmarshal(j.file.State, into) == nil
}

// SetState keeps v, written with the next record.
func (j *Journal) SetState(v any) error {
	if j == nil {
		return nil
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.file.State = raw
	return nil
}

// Records are what the journal knows of steps, in the order in which they began.
func (j *Journal) Records() []Record {
	if j == nil {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.file.Steps)
}

// Forget lets these steps run again. It is written with the next record.
func (j *Journal) Forget(steps ...string) {
	if j == nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.file.Steps = slices.DeleteFunc(j.file.Steps, func(r Record) bool { return slices.Contains(steps, r.Step) })
}

// Finish marks the run as ended, so that the next one begins anew.
func (j *Journal) Finish() error {
	if j == nil {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.file.Ended = time.Now()
	return j.write()
}

// Close lets others in.
func (j *Journal) Close() error {
	if j == nil || j.lock == nil {
		return nil
	}
	return j.lock.Close()
}

func (j *Journal) done(step string) (Record, bool) {
	if j == nil {
		return Record{}, false
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, r := range j.file.Steps {
		if r.Step == step && r.State == Done {
			return r, true
		}
	}
	return Record{}, false
}

func (j *Journal) record(r Record) error {
	if j == nil {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for i := range j.file.Steps {
		if j.file.Steps[i].Step == r.Step {
			j.file.Steps[i] = r
			return j.write()
		}
	}
	j.file.Steps = append(j.file.Steps, r)
	return j.write()
}

func (j *Journal) write() error {
	if j.lock == nil {
		return errors.New("write journal: it was opened to be read")
	}
	raw, err := json.MarshalIndent(j.file, "", "  ")
	if err != nil {
		return err
	}
	if j.aside {
		if err := os.Rename(j.path, j.path+".old"); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("put the old journal aside: %w", err)
		}
		j.aside = false
	}
	err = atomicfile.Write(j.path, func(w io.Writer) error {
		_, err := w.Write(append(raw, '\n'))
		return err
	})
	if err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	return nil
}
