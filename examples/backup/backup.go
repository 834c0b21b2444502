package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/examples/internal/metrics"
	"github.com/nuvla/nuvlaops/internal/filelock"
	"github.com/nuvla/nuvlaops/snapshot"
)

type backup struct {
	*config
	repo   snapshot.SnapshotRepo
	host   string
	out    *output
	status status
	now    func() time.Time
	broken error // the run that the end of the context ended
}

// identity is the name and the run of a snapshot. The zero identity takes up a run of this host that was killed, or is a new
// one.
type identity struct{ name, runID string }

// once is one backup: one line is printed, whatever its end.
func (b *backup) once(ctx context.Context, id identity) error {
	if b.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, b.timeout)
		defer cancel()
	}
	began := b.now()
	b.status.begins(began)
	b.out.busy = ""
	report, err := b.locked(ctx, id, began)
	if report == nil { // nothing was sent, so nothing was recorded
		b.status.ends(began, b.now(), nil, err)
	}
	b.out.result(b.nameOf(report, err, began), report, b.now().Sub(began), err)
	return cli.Shown(err)
}

func (b *backup) locked(ctx context.Context, id identity, began time.Time) (*snapshot.CycleReport, error) {
	lock, err := b.takeLock(ctx)
	if err != nil {
		return nil, err
	}
	waited := b.now().Sub(began)
	defer func() { _ = lock.Close() }()
	b.status.load(b.config) // the run that held the lock may have counted
	if b.metrics != "" && metrics.Another(b.metrics, metrics.BackupLastAttempt, labelsOf(b.config)) {
		b.out.log.Warn("the -metrics file is another backup's, which no longer shows whether it fails: give each a file of its own", "file", b.metrics)
	}
	if id == (identity{}) {
		if id, err = b.unfinished(ctx, lock.Kept(b.hostRun())); err != nil {
			report := &snapshot.CycleReport{Err: err}
			return report, errors.Join(err, b.record(ctx, report, began))
		}
	}
	_ = lock.Keep(b.hostRun(), id.runID) // where it cannot be kept, the next run goes by the times alone
	req := b.create
	req.Name, req.RunID, req.Progress = id.name, id.runID, b.out.progress
	req.BusyTimeout = max(1, req.BusyTimeout-waited)
	opts := snapshot.CycleOptions{Settings: b.settings, Create: req, Marks: b.marks,
		Record: func(ctx context.Context, r *snapshot.CycleReport) error { return b.record(ctx, r, began) }}
	if b.retains() {
		opts.Policy = &b.policy
	}
	report, err := snapshot.Cycle(ctx, b.repo, opts)
	if err != nil && report.Verified() {
		err = fmt.Errorf("the snapshot is complete, but %w", err)
	}
	return report, err
}

// takeLock keeps a second backup of this repository out of this host.
func (b *backup) takeLock(ctx context.Context) (*filelock.Lock, error) {
	lock, err := filelock.Take(b.lock)
	if errors.Is(err, nuvlaops.ErrBusy) && b.create.WhenBusy != snapshot.BusyRefuse {
		b.out.info("waiting for another backup on this host", "lock", err)
		bounded, cancel := context.WithTimeoutCause(ctx, b.create.BusyTimeout, errStillBusy)
		defer cancel()
		lock, err = filelock.Wait(bounded, b.lock)
	}
	switch {
	case errors.Is(err, nuvlaops.ErrBusy) && ctx.Err() == nil:
		return nil, fmt.Errorf("another backup runs on this host: %w", err)
	case errors.Is(err, os.ErrPermission), errors.Is(err, os.ErrNotExist):
		return nil, &nuvlaops.Error{Op: "lock", Resource: b.lock, Reason: err.Error(), Hint: "name a file that this user may write to with -lock", Err: err}
	}
	return lock, err
}

var errStillBusy = errors.New("waited for as long as -busy-timeout says")

const takeUpSince = 30 * time.Minute

// hostRun begins the run identifiers of this host that take the same and record it in the same file. They end in @ and the
// time, by this host's clock.
func (b *backup) hostRun() string { return "host " + b.host + " " + b.digest(b.timestamp) + " " }

// slotRun begins the run identifiers of slots, which are the same on each host.
func (b *backup) slotRun() string { return "slot " + b.repository + " " + b.digest() + "@" }

// digest tells runs apart that take different things: one must not pass for the other.
func (b *backup) digest(more ...string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %t %q", b.create.Indices, b.create.GlobalState, more))
	return hex.EncodeToString(sum[:4])
}

// named reports whether a snapshot has a name of this prefix, and not of a longer one, which is another schedule's.
func named(s snapshot.Snapshot, prefix string) bool {
	_, own := snapshot.ParseName(prefix, s.Name)
	return own
}

// begun is when a run of this program began, by the clock of its host: the server's may be another.
func begun(s snapshot.Snapshot) time.Time {
	_, text, _ := strings.Cut(s.RunID, "@")
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t
	}
	return s.Start
}

// unfinished finds what a killed run of this host has left: the lock is held here, so nobody works on it any more. It is
// running, or complete and not recorded, and of the last run here, where the lock says which that was: one that a clock ahead
// has dated is not recorded either when its time comes. Without one the run is new. A schedule takes up its slots, of whatever
// host; for a run by hand they are somebody else's, who may be at work, and too old.
func (b *backup) unfinished(ctx context.Context, last string) (identity, error) {
	now := b.now()
	for s, err := range b.repo.List(ctx, snapshot.Filter{NewestFirst: true, Ours: true}) {
		if errors.Is(err, nuvlaops.ErrNotFound) || errors.Is(err, nuvlaops.ErrRepository) {
			break // it may be registered or mended right away
		}
		if err != nil {
			return identity{}, err
		}
		age := now.Sub(begun(s))
		if age > takeUpSince {
			break
		}
		if age < 0 { // this host's clock was ahead, so what has been recorded since looks older
			continue
		}
		ours := strings.HasPrefix(s.RunID, b.hostRun()) && (last == "" || s.RunID == last) || b.schedule != nil && strings.HasPrefix(s.RunID, b.slotRun())
		if ours && named(s, b.create.Prefix) && (s.Running() || s.Complete() && !b.recorded(s) && b.whole(ctx, s.Name)) {
			b.out.info("taking up a run that was broken off", "snapshot", s.Name)
			return identity{s.Name, s.RunID}, nil
		}
	}
	return b.newRun(), nil
}

func (b *backup) newRun() identity {
	return identity{runID: b.hostRun() + rand.Text() + "@" + b.now().UTC().Format(time.RFC3339)}
}

// whole reports whether a snapshot holds each index that its run has counted. Where not, its run may have said so, and another
// snapshot is to be taken.
func (b *backup) whole(ctx context.Context, name string) bool {
	s, err := b.repo.Get(ctx, name)
	return err == nil && len(s.MissingIndices()) == 0
}

// recorded reports whether the timestamp file was touched after the snapshot began.
func (b *backup) recorded(s snapshot.Snapshot) bool {
	info, err := os.Stat(b.timestamp)
	return err == nil && !info.ModTime().Before(begun(s))
}

// record keeps what a run leaves: the manifest, the timestamp, the metrics.
func (b *backup) record(ctx context.Context, r *snapshot.CycleReport, began time.Time) error {
	var errs []error
	if r.Verified() {
		if m := r.Snapshot.Manifest; b.manifests != "" && m != nil {
			errs = append(errs, writeManifest(m, filepath.Join(b.manifests, r.Snapshot.Name+".json")))
		}
		errs = append(errs, touch(b.timestamp))
	}
	errs = append(errs, b.forget(ctx, r))
	if r.Err == nil && r.Plan != nil {
		b.status.planned(r)
	} else if answers(r.Err) {
		b.status.count(ctx, b.repo)
	}
	b.status.ends(began, b.now(), r, errors.Join(append(errs, r.Err)...))
	errs = append(errs, b.status.write(b.config))
	return errors.Join(errs...)
}

// writeManifest keeps the whole one of the run that has counted. What another run finds of the same snapshot is only what
// went into its metadata, without the UUIDs of indices.
func writeManifest(m *snapshot.Manifest, path string) error {
	counted := false
	for _, i := range m.Indices {
		counted = counted || i.UUID != ""
	}
	if old, err := snapshot.ReadManifest(path); !counted && err == nil && old.UUID == m.UUID {
		return nil
	}
	return m.WriteFile(path)
}

// answers reports whether the server is worth asking once more after a run that ended so.
func answers(err error) bool {
	for _, end := range []error{nuvlaops.ErrUnavailable, context.DeadlineExceeded, context.Canceled, cli.ErrInterrupted} {
		if errors.Is(err, end) {
			return false
		}
	}
	return true
}

// marksTimeout is how long others may hold the marks: what records a backup outlives its -timeout, and holds its lock.
const marksTimeout = 10 * time.Second

// forget removes the manifests and the marks of snapshots that were pruned.
func (b *backup) forget(ctx context.Context, r *snapshot.CycleReport) error {
	if len(r.Removed) == 0 {
		return nil
	}
	if b.manifests != "" {
		for _, name := range r.Removed {
			if err := os.Remove(filepath.Join(b.manifests, name+".json")); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
	}
	var gone []string
	for _, d := range r.Plan.Decisions {
		if slices.Contains(r.Removed, d.Name) {
			gone = append(gone, d.UUID)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, marksTimeout)
	defer cancel()
	return cli.ForgetMarks(ctx, b.marks, gone)
}

// nameOf is the name of the snapshot that a run was about: the one that was taken, or tried, or would have been taken.
func (b *backup) nameOf(r *snapshot.CycleReport, err error, began time.Time) string {
	if r != nil && r.Snapshot != nil {
		return r.Snapshot.Name
	}
	var e *nuvlaops.Error
	if errors.As(err, &e) && e.Op == "snapshot.Create" {
		if name, found := strings.CutPrefix(e.Resource, b.repository+"/"); found {
			return name
		}
	}
	return snapshot.Name(b.create.Prefix, began)
}
