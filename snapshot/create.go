package snapshot

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
)

// CreateRequest says what to snapshot. The zero value takes nuvla-* under a name by date.
type CreateRequest struct {
	// Name of the snapshot. Empty makes one from Prefix and the date, snapshot.2006-01-02t150405z in UTC.
	Name string
	// Prefix of a made name. Default DefaultPrefix.
	Prefix string
	// RunID identifies this run: a repeated call with the same one finds what the first call began, for a day when the
	// name is made, for good when it is given. At most 128 bytes. Default: a random one, which nothing can be found by.
	RunID string
	// Indices are patterns of indices and data streams. Default nuvla-*.
	Indices []string
	// GlobalState takes templates, pipelines, policies and persistent settings too.
	GlobalState bool
	// Partial takes the snapshot also when primaries are missing. It is an error all the same.
	Partial bool
	// Metadata are further entries, which share 1,024 bytes with the manifest of documents.
	Metadata map[string]string
	// Pin marks the snapshot as one that retention never removes.
	Pin bool
	// WhenBusy says what to do when another snapshot runs in the repository. Default BusyWait.
	WhenBusy Busy
	// BusyTimeout bounds the wait for others; its end is ErrBusy. Default 30 minutes. In a Cycle, its Policy may wait as long once
	// more.
	BusyTimeout time.Duration
	// Abort deletes the snapshot when the context ends, instead of leaving it running. One that has ended by then is kept.
	Abort bool
	// Manifest, when not nil, receives the manifest as JSON once the snapshot is complete, and before Create returns: the whole
	// one, or of a snapshot that an earlier call began what its metadata hold.
	Manifest io.Writer
	// StallAfter is how long nothing may move before Progress says so. Default 2 minutes.
	StallAfter time.Duration
	// Progress is called about every two seconds while the snapshot is taken, and when something is waited for.
	Progress func(nuvlaops.Progress)
}

// Busy says what to do when another snapshot runs.
type Busy int

const (
	// BusyWait waits for the other one's end. Of two calls that look in the same moment neither sees the other: both take a
	// snapshot, as with BusyBeside, since Elasticsearch takes both. The same holds for BusyRefuse.
	BusyWait Busy = iota
	// BusyBeside takes a snapshot at the same time; Elasticsearch puts its shards behind the other one's. Where it takes no more
	// (snapshot.max_concurrent_operations), that is waited for, as long as BusyTimeout.
	BusyBeside
	// BusyRefuse returns ErrBusy.
	BusyRefuse
)

func (q CreateRequest) withDefaults() CreateRequest {
	if q.Prefix == "" {
		q.Prefix = DefaultPrefix
	}
	if len(q.Indices) == 0 {
		q.Indices = []string{"nuvla-*"}
	}
	if q.BusyTimeout == 0 {
		q.BusyTimeout = 30 * time.Minute
	}
	if q.StallAfter == 0 {
		q.StallAfter = 2 * time.Minute
	}
	return q
}

// Validate returns an error that matches ErrInvalid for what Create would refuse before it sends anything.
func (q CreateRequest) Validate() error { return q.withDefaults().validate(time.Now()) }

func (q CreateRequest) validate(at time.Time) error {
	name := q.Name
	if name == "" {
		name = nameApart(Name(q.Prefix, at), "")
	}
	if err := ValidateName(name); err != nil {
		return err
	}
	switch {
	case strings.ContainsFunc(name, unicode.IsControl): // Elasticsearch would take it, and nobody could type it
		return invalid(fmt.Sprintf("snapshot name %q holds a control character", name), "")
	case len(q.RunID) > 128:
		return invalid("a RunID of more than 128 bytes", "")
	case q.WhenBusy < BusyWait || q.WhenBusy > BusyRefuse:
		return invalid(fmt.Sprintf("WhenBusy %d", q.WhenBusy), "BusyWait, BusyBeside or BusyRefuse")
	case q.BusyTimeout < 0 || q.StallAfter < 0:
		return invalid("a negative time-out", "")
	}
	for _, pattern := range q.Indices {
		if pattern == "" || strings.ContainsAny(pattern, ", ") {
			return invalid(fmt.Sprintf("index pattern %q", pattern), "one pattern for each element")
		}
	}
	return q.validateMetadata()
}

func (q CreateRequest) validateMetadata() error {
	for key := range q.Metadata {
		if slices.Contains(es.ReservedMetadata(), key) || key == metaPinned {
			return invalid(fmt.Sprintf("metadata entry %q is written by this package", key), "take another name")
		}
	}
	if used := es.MetadataSize(es.Metadata(q.RunID, es.Manifest{}, q.further())); used > es.MaxMetadata-metadataReserve {
		return invalid(fmt.Sprintf("metadata of %d bytes", used), fmt.Sprintf("%d bytes are the most, since the manifest needs some", es.MaxMetadata-metadataReserve))
	}
	return nil
}

// metadataReserve is what is kept for the run's identifier and the totals of the manifest.
const metadataReserve = 320

// further are the entries of the metadata beside the manifest.
func (q CreateRequest) further() map[string]string {
	out := map[string]string{}
	for k, v := range q.Metadata {
		out[k] = v
	}
	if q.Pin {
		out[metaPinned] = "true"
	}
	return out
}

// run is one call of Create.
type run struct {
	*Repo
	req      CreateRequest
	name     string
	begun    bool      // a request that begins the snapshot was sent
	apart    bool      // the name has got a suffix, since another run took it in the same second
	limit    time.Time // of the wait for others
	reporter *reporter

	info          es.SnapshotInfo // as it was seen last
	before, after map[string]es.IndexDocuments
	uncounted     error // why there is no count after
}

// Create implements SnapshotRepo.
func (r *Repo) Create(ctx context.Context, req CreateRequest) (*Snapshot, error) {
	w := &run{Repo: r, req: req.withDefaults()}
	snap, err := w.create(ctx)
	if ctx.Err() != nil && err != nil && w.begun {
		err = w.leave(ctx, err)
	}
	return snap, nuvlaops.Wrap("snapshot.Create", r.resource(w.name), err)
}

func (w *run) create(ctx context.Context) (*Snapshot, error) {
	now := w.now()
	if err := w.req.validate(now); err != nil {
		return nil, err
	}
	w.name = w.req.Name
	if w.name == "" {
		w.name = Name(w.req.Prefix, now)
	}
	w.limit = now.Add(w.req.BusyTimeout)
	w.reporter = newReporter(w.req, w.Repo.resource(w.name), w.now)
	earlier, err := w.prepare(ctx)
	switch {
	case err != nil:
		return nil, err
	case earlier != "":
		w.adopted(ctx, earlier)
		w.before = nil
		err = w.follow(ctx)
	default:
		err = w.take(ctx)
	}
	if err != nil {
		return nil, err
	}
	return w.conclude(ctx)
}

// prepare looks for an earlier snapshot of this run and for those of others, and counts the documents, all at once. It
// returns the name of the earlier one, or "".
func (w *run) prepare(ctx context.Context) (earlier string, err error) {
	if w.req.RunID == "" {
		w.req.RunID = rand.Text()
	} else if earlier, err = w.findEarlier(ctx); err != nil || earlier != "" {
		return earlier, err
	}
	var both sync.WaitGroup
	var waited bool
	var busy, uncounted error
	both.Go(func() { waited, busy = others{w.otherRunning, w.req, w.limit, w.reporter, w.now}.wait(ctx) })
	both.Go(func() { w.before, uncounted = w.count(ctx) })
	both.Wait()
	if busy != nil {
		return "", busy
	}
	if waited { // the count is old by now
		w.before, uncounted = w.count(ctx)
	}
	if uncounted == nil && len(w.before) == 0 && !w.req.GlobalState && !w.req.Partial {
		uncounted = &nuvlaops.Error{Reason: "no index matches " + strings.Join(w.req.Indices, ", "),
			Hint: "an empty snapshot would pass for a good one: check the patterns and that this is the right cluster", Err: nuvlaops.ErrNotFound}
	}
	return "", uncounted
}

// adopted makes the snapshot of this name the one of this run.
func (w *run) adopted(ctx context.Context, name string) {
	w.name, w.begun = name, true
	w.log.InfoContext(ctx, "snapshot adopted", "repository", w.Repo.name, "snapshot", name, "run", w.req.RunID)
}

// findEarlier names the snapshot that an earlier call of this run began; "" when there is none.
func (w *run) findEarlier(ctx context.Context) (string, error) {
	names := []string{w.name}
	if w.req.Name == "" {
		names = namesNear(w.req.Prefix, w.now())
	}
	for info, err := range w.conn.Snapshots(ctx, w.Repo.name, es.SnapshotQuery{Names: names, WithoutIndices: true, Descending: true}) {
		switch {
		case err != nil:
			return "", fmt.Errorf("look for an earlier snapshot of this run: %w", w.explain(ctx, err))
		case info.RunID() == w.req.RunID:
			return info.Name, nil
		}
	}
	return "", nil
}

// count counts the documents. Shards without a primary cannot be counted, nor snapshotted: Elasticsearch would answer 500,
// and may leave no record of the snapshot.
func (w *run) count(ctx context.Context) (map[string]es.IndexDocuments, error) {
	red, err := w.conn.MissingPrimaries(ctx, w.req.Indices...)
	switch {
	case err != nil:
		return nil, err
	case len(red) == 0:
		return w.conn.CountDocuments(ctx, w.req.Indices...)
	case w.req.Partial:
		return w.conn.VisibleDocuments(ctx, w.req.Indices...)
	}
	return nil, &nuvlaops.Error{Reason: "primary shards are missing of " + shorten(red), Err: nuvlaops.ErrRefused,
		Hint: "ask _cluster/allocation/explain why; a partial snapshot, where it is allowed, takes the other shards, and is an error all the same"}
}

func shorten(names []string) string {
	const most = 5
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

func (w *run) otherRunning(ctx context.Context) (*Snapshot, error) {
	running, err := w.conn.RunningSnapshots(ctx, w.Repo.name)
	// One of this run was begun by another host in this moment: it will be found under its name.
	running = slices.DeleteFunc(running, func(i es.SnapshotInfo) bool { return i.RunID() == w.req.RunID })
	switch {
	case err != nil:
		return nil, fmt.Errorf("look for running snapshots: %w", w.explain(ctx, err))
	case len(running) == 0:
		return nil, nil
	}
	return fromInfo(running[0]), nil
}

// conclude judges what the server shows.
func (w *run) conclude(ctx context.Context) (*Snapshot, error) {
	snap := fromInfo(w.info)
	if err := snap.problem(); err != nil {
		return snap, err
	}
	if w.before != nil {
		after, err := w.after, w.uncounted
		if after == nil && err == nil {
			after, err = w.count(ctx)
		}
		if errors.Is(err, nuvlaops.ErrRefused) { // the snapshot holds all the same what had its primaries when it began
			w.log.WarnContext(ctx, "documents not counted again", "repository", w.Repo.name, "snapshot", snap.Name, "error", err)
			after, err = nil, nil
		}
		if err != nil {
			return snap, fmt.Errorf("the snapshot is complete, but documents could not be counted again: %w", err)
		}
		snap.Manifest = wholeManifest(w.info, w.before, after)
		if err := verifyContents(*snap, w.before, after); err != nil {
			return snap, err
		}
	} else if err := w.holdsItsManifest(ctx, *snap); err != nil {
		return snap, err
	}
	if w.req.Manifest != nil && snap.Manifest != nil {
		if err := snap.Manifest.write(w.req.Manifest); err != nil {
			return snap, fmt.Errorf("the snapshot is complete, but its manifest could not be written: %w", err)
		}
	}
	w.reporter.done(*snap)
	return snap, nil
}

// Bounds of what Create does after its context has ended: a prompt return matters more than a complete answer.
const (
	leaveTimeout = 2 * time.Second
	abortTimeout = 30 * time.Second
)

// notListed is all that is known of a snapshot whose request may still be on its way.
const notListed = "the snapshot is not listed: it was not begun, or not yet"

// leave says what happens to the snapshot now that the context has ended.
func (w *run) leave(ctx context.Context, cause error) error {
	detached := context.WithoutCancel(ctx)
	if w.req.Abort {
		return w.abort(detached, cause)
	}
	detached, cancel := context.WithTimeout(detached, leaveTimeout)
	defer cancel()
	out := &nuvlaops.Error{Err: cause, Hint: fmt.Sprintf("a call of the same run, %s, waits for it", w.req.RunID)}
	info, err := w.appears(detached)
	switch {
	case errors.Is(err, nuvlaops.ErrNotFound):
		out.Reason = notListed
	case err != nil:
		out.Reason = "whether the snapshot goes on in the server is not known"
	case info.Running():
		out.Reason = "the snapshot goes on in the server"
	default:
		out.Reason = "the snapshot has ended " + info.State
	}
	out.Reason = fmt.Sprintf("%v: %s", context.Cause(ctx), out.Reason)
	return out
}

func (w *run) abort(ctx context.Context, cause error) error {
	ctx, cancel := context.WithTimeout(ctx, abortTimeout)
	defer cancel()
	info, err := w.appears(ctx)
	switch {
	case errors.Is(err, nuvlaops.ErrNotFound):
		return &nuvlaops.Error{Reason: "the context ended: " + notListed, Hint: "see whether one of run " + w.req.RunID + " appears", Err: cause}
	case err == nil && !info.Running(): // another host may have recorded it
		return &nuvlaops.Error{Reason: "the context ended and the snapshot, which had ended " + info.State + " before, is kept",
			Hint: fmt.Sprintf("a call of the same run, %s, checks it", w.req.RunID), Err: cause}
	case err == nil:
		if err = w.deleteBatch(ctx, []string{w.name}); err == nil {
			w.log.InfoContext(ctx, "snapshot aborted", "repository", w.Repo.name, "snapshot", w.name)
		}
	}
	if err != nil {
		return &nuvlaops.Error{Reason: fmt.Sprintf("the snapshot could not be aborted: %v", err),
			Hint: "look for " + w.name + " and delete it", Err: cause}
	}
	return &nuvlaops.Error{Reason: "the context ended and the snapshot was aborted", Err: cause}
}

// appears looks for the snapshot, for a moment also when it is not there: the request may still be on its way. One of this
// name that another run took is not it.
func (w *run) appears(ctx context.Context) (info es.SnapshotInfo, err error) {
	for range 3 {
		info, err = w.conn.Snapshot(ctx, w.Repo.name, w.name)
		if err == nil && info.RunID() != w.req.RunID {
			return info, &nuvlaops.Error{Reason: "the name is taken by another run", Err: nuvlaops.ErrNotFound}
		}
		if !errors.Is(err, nuvlaops.ErrNotFound) {
			return info, err
		}
		time.Sleep(100 * time.Millisecond)
	}
	return info, err
}
