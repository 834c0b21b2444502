package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/examples/internal/report"
	"github.com/nuvla/nuvlaops/internal/es"
	"github.com/nuvla/nuvlaops/restore"
	"github.com/nuvla/nuvlaops/snapshot"
)

// lookForTheSnapshot sees the snapshot through the Elasticsearch that lives: through its own registration of the repository
// where that leads to the same snapshots, else through one of ours, which is taken away again.
func (r *recovery) lookForTheSnapshot(ctx context.Context) error {
	if r.sighted() && !r.cfg.planOnly || r.done("wipe") {
		return nil // the steps choose it again
	}
	registered, err := r.repo.Registered(ctx)
	switch {
	case err == nil && sameStore(registered, r.cfg.settings):
		var seen *sighting
		seen, err = r.see(ctx, r.restorer)
		err = r.sighting(seen, err, "Nothing was touched")
	case err == nil || errors.Is(err, nuvlaops.ErrNotFound):
		err = r.lookThroughAnother(ctx, r.cfg.repository+"-recovery")
	default:
		err = r.page.bad("repository "+r.cfg.repository, err)
	}
	return err
}

// noSnapshot says what to do where no snapshot is good.
func (r *recovery) noSnapshot(err error, untouched string) error {
	what := "see what there is with snapshots list, and name another one with -snapshot"
	switch {
	case r.cfg.snapshot == "" && !r.cfg.before.IsZero():
		what = "give a later -before, or name one with -snapshot; snapshots list shows them"
	case r.cfg.snapshot == "":
		what = "check bucket and base_path of -repository-file; snapshots list shows what there is"
	}
	what += ". What a partial one still holds is brought back by restore apply -snapshot NAME -allow-partial"
	return refused(r.cfg.repository, what+". "+untouched, "no complete snapshot to restore: %v", err)
}

// lookThroughAnother registers the repository under another name, read-only, for one look.
func (r *recovery) lookThroughAnother(ctx context.Context, name string) (err error) {
	repo, err := snapshot.New(r.client, name, nil)
	if err != nil {
		return err
	}
	restorer, err := restore.New(r.client, name, nil)
	if err != nil {
		return err
	}
	defer func() {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), freeWithin)
		defer cancel()
		gone := es.Send(clean, r.client, esapi.SnapshotDeleteRepositoryRequest{Repository: []string{name}}, nil)
		if !errors.Is(gone, nuvlaops.ErrNotFound) {
			err = errors.Join(err, gone)
		}
	}()
	return r.seeThrough(ctx, repo, restorer, "Nothing was touched")
}

// seeThrough registers the repository read-only, and sees the snapshot while the repository is being verified. What was seen
// counts when that holds, too.
func (r *recovery) seeThrough(ctx context.Context, repo *snapshot.Repo, from restore.Restorer, untouched string) error {
	var seen *sighting
	var notSeen error
	_, err := repo.EnsureBeside(ctx, r.readOnly(true), func(ctx context.Context) error {
		seen, notSeen = r.see(ctx, from)
		return notSeen
	})
	if err != nil && err != notSeen { // it is the repository that failed, not what was read from it
		return r.page.bad("repository "+r.cfg.repository, err)
	}
	return r.sighting(seen, notSeen, untouched)
}

// sighting is the snapshot as it was seen, complete, and what it would bring back.
type sighting struct {
	snapshot *restore.Snapshot
	plan     *restore.Plan
}

// see finds the snapshot and measures what it would bring back, and how much room there is.
func (r *recovery) see(ctx context.Context, from restore.Restorer) (*sighting, error) {
	s, err := r.find(ctx, from)
	if err != nil {
		return nil, err
	}
	out := &sighting{snapshot: s}
	out.plan, err = from.Plan(ctx, r.cfg.request(s.Name))
	return out, err
}

// sighting notes what was seen through a repository that can be read, or that there is nothing to restore in it.
func (r *recovery) sighting(seen *sighting, err error, untouched string) error {
	r.page.good("repository "+r.cfg.repository, "it can be read")
	if errors.Is(err, nuvlaops.ErrNotFound) || errors.Is(err, nuvlaops.ErrPartial) {
		err = r.noSnapshot(err, untouched)
	}
	if err != nil {
		return r.page.bad("snapshot", err)
	}
	if err := r.restorable(seen); err != nil {
		return r.page.bad("snapshot", err)
	}
	if left := notRestored(seen.plan); left != "" {
		r.page.note("WARNING", left)
	}
	r.page.measured(seen.plan)
	r.measured(seen)
	return r.choose(seen.snapshot)
}

// restorable refuses a snapshot that this Elasticsearch could not restore when it is empty, too.
func (r *recovery) restorable(seen *sighting) error {
	resource := r.cfg.repository + "/" + seen.snapshot.Name
	if len(seen.plan.Indices) == 0 {
		return refused(resource, "give other -indices; nothing was removed", "the snapshot has no index that matches %v", r.cfg.indices)
	}
	if r.comes("queue") && !slices.ContainsFunc(seen.plan.Indices, func(i restore.PlannedIndex) bool { return i.Target == jobIndex }) {
		return refused(resource, "give -indices that match "+jobIndex+", or -skip queue; nothing was removed", "it would not restore %s, which the queue is rebuilt from", jobIndex)
	}
	for _, f := range seen.plan.Findings {
		if f.Code == restore.CodeVersion && f.Severity == restore.SeverityError {
			return refused(resource, f.Hint+"; nothing was removed", "%s", f.Text)
		}
	}
	return nil
}

// notRestored names what the snapshot has and -indices leaves out, "" when that is nothing. Hidden indices are the server's own, or
// those of a data stream, which is named.
func notRestored(plan *restore.Plan) string {
	var left []string
	for _, name := range slices.Concat(plan.Snapshot.Indices, plan.Snapshot.DataStreams) {
		planned := slices.Contains(plan.DataStreams, name) || slices.ContainsFunc(plan.Indices, func(i restore.PlannedIndex) bool { return i.Name == name })
		hidden := strings.HasPrefix(name, ".") || strings.Contains(name, "-.ds-") // as what ILM makes of the latter
		if !planned && !hidden {
			left = append(left, name)
		}
	}
	if len(left) == 0 {
		return ""
	}
	return fmt.Sprintf("-indices leaves out what else the snapshot holds, and it is not restored: %s", strings.Join(left, ", "))
}

// find finds the snapshot. One that was chosen before must still be the same, but for the latest, of which there may be a later
// one now: an earlier call's choice holds from its wipe on.
func (r *recovery) find(ctx context.Context, from restore.Restorer) (*restore.Snapshot, error) {
	sel := restore.Selector{Name: r.cfg.snapshot, Before: r.cfg.before}
	old := r.chosen()
	if r.cfg.snapshot == "" && !r.sighted() && r.comes("wipe") {
		old = nil
	}
	if old != nil {
		sel = restore.Selector{Name: old.Name}
	}
	s, err := from.Choose(ctx, sel)
	if old != nil && (errors.Is(err, nuvlaops.ErrNotFound) || err == nil && old.UUID != s.UUID) {
		err = &nuvlaops.Error{Op: "disaster-recovery", Resource: r.cfg.repository + "/" + old.Name, Err: nuvlaops.ErrConflict,
			Reason: "the snapshot that was chosen at the start is gone, or is another one now", Hint: "find out who writes to the repository, and name another one with -snapshot"}
	}
	if err == nil && s.Larger != nil {
		err = r.shrunk(s)
	}
	return s, err
}

// shrunk refuses to take the latest snapshot for the one that is meant when one of the week before holds more than twice as
// much: it may be of an Elasticsearch that had lost its data already. Whoever names one knows what it holds.
func (r *recovery) shrunk(s *restore.Snapshot) error {
	text := fmt.Sprintf("the latest complete snapshot may have been taken after the data was lost: %v", s.Larger)
	if r.cfg.drill {
		r.screen.Printf("%-11s %s", "WARNING", text)
		return r.remember(func(st *state) { st.warn("%s", text) })
	}
	return refused(r.cfg.repository+"/"+s.Name, "name the one that is meant with -snapshot; no volume was touched", "%s", text)
}

// choose remembers the snapshot as the chosen one, and as seen.
func (r *recovery) choose(s *restore.Snapshot) error {
	return r.remember(func(st *state) {
		st.Snapshot = &report.Snapshot{Repository: r.cfg.repository, Name: s.Name, UUID: s.UUID, Started: s.Start.UTC()}
		st.Seen = r.now().UTC()
		r.seenNow = true
	})
}

// sameStore reports whether both settings lead to the same snapshots.
func sameStore(a, b snapshot.Settings) bool {
	switch {
	case a.S3 != nil && b.S3 != nil:
		return a.S3.Bucket == b.S3.Bucket && a.S3.BasePath == b.S3.BasePath && a.S3.Endpoint == b.S3.Endpoint && a.S3.Client == b.S3.Client
	case a.FS != nil && b.FS != nil:
		return a.FS.Location == b.FS.Location
	}
	return false
}
