package main

import (
	"context"
	"errors"

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
	if r.sighted() || r.done("wipe") {
		return nil // the steps choose it again
	}
	registered, err := r.repo.Registered(ctx)
	switch {
	case err == nil && sameStore(registered, r.cfg.settings):
		err = r.sight(ctx, r.restorer)
	case err == nil || errors.Is(err, nuvlaops.ErrNotFound):
		err = r.lookThroughAnother(ctx, r.cfg.repository+"-recovery")
	default:
		err = r.page.bad("repository "+r.cfg.repository, err)
	}
	return err
}

// sight chooses the snapshot and measures what it would bring back.
func (r *recovery) sight(ctx context.Context, from restore.Restorer) error {
	r.page.good("repository "+r.cfg.repository, "it can be read")
	err := r.choose(ctx, from)
	if errors.Is(err, nuvlaops.ErrNotFound) || errors.Is(err, nuvlaops.ErrPartial) {
		err = refused(r.cfg.repository, "nothing was touched", "no complete snapshot to restore: %v", err)
	}
	if err != nil {
		return r.page.bad("snapshot", err)
	}
	return r.measure(ctx, from)
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
	if _, err := repo.Ensure(ctx, r.readOnly(true)); err != nil {
		return r.page.bad("repository "+r.cfg.repository, err)
	}
	return r.sight(ctx, restorer)
}

// choose finds the snapshot and remembers it as seen. A snapshot that was chosen before must still be the same.
func (r *recovery) choose(ctx context.Context, from restore.Restorer) error {
	sel := restore.Selector{Name: r.cfg.snapshot, Before: r.cfg.before}
	old := r.chosen()
	if old != nil {
		sel = restore.Selector{Name: old.Name}
	}
	s, err := from.Choose(ctx, sel)
	if err != nil {
		return err
	}
	if old != nil && old.UUID != s.UUID {
		return &nuvlaops.Error{Op: "disaster-recovery", Resource: r.cfg.repository + "/" + s.Name, Err: nuvlaops.ErrConflict,
			Reason: "the snapshot is not the one that was chosen at the start", Hint: "find out who writes to the repository"}
	}
	return r.remember(func(st *state) {
		st.Snapshot = &report.Snapshot{Repository: r.cfg.repository, Name: s.Name, UUID: s.UUID, Started: s.Start.UTC()}
		st.Seen = r.now().UTC()
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
