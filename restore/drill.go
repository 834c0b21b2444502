package restore

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/units"
)

// DrillOptions says what a drill tries. The zero value tries the latest complete snapshot.
type DrillOptions struct {
	// Select chooses the snapshot.
	Select Selector
	// Indices are patterns, as in Request. Default nuvla-*.
	Indices []string
	// Settings are further index settings of the scratch indices, as in Request. Those that make an index scratch cannot be
	// others: index.hidden, index.lifecycle.name, index.number_of_replicas, index.auto_expand_replicas, and the mark of the drill.
	Settings map[string]string
	// Checksums lets each shard compare its files with their checksums once more, as in Request.
	Checksums bool
	// DocumentTolerance is as in Request.
	DocumentTolerance float64
	// Verify is what to verify beside the primaries.
	Verify VerifyOptions
	// Budget is the longest that the restore and its verification may take, 0 for no limit, below it ErrInvalid. A drill that takes
	// longer runs to its end, since its time is worth knowing, and then fails.
	Budget time.Duration
	// By says to others who drills. Default: this process and host.
	By string
	// Progress is called about once a second, never by two goroutines at a time.
	Progress func(nuvlaops.Progress)
}

// DrillReport is what a drill found. It is plain data.
type DrillReport struct {
	// ID is in the names of the drill's scratch indices.
	ID      string    `json:"id"`
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended"`
	// Proven says that the snapshot came back whole: each primary, and all that was asked to be verified. It is true also
	// when that took longer than the budget, or when scratch indices could not be removed.
	Proven bool `json:"proven"`
	// RTO is the time from the beginning of the restore to the end of its verification. The cluster's own limits of recovery
	// held: a real restore raises them.
	RTO        time.Duration `json:"-"` // rto_seconds in JSON
	Budget     time.Duration `json:"-"` // budget_seconds in JSON
	OverBudget bool          `json:"over_budget,omitempty"`
	// Restore is the report of the restore into scratch indices; nil when it did not begin.
	Restore *Report `json:"restore,omitempty"`
	// Swept are scratch indices of drills before that were ended half-way, Removed is how many of this drill were removed.
	Swept   []string `json:"swept,omitempty"`
	Removed int      `json:"removed"`
	// Left are scratch indices that could not be removed. The next drill removes them.
	Left []string `json:"left,omitempty"`
	// Snapshot that was tried, nil when none was found. Cluster is where.
	Snapshot *Snapshot `json:"snapshot,omitempty"`
	Cluster  string    `json:"cluster,omitempty"`
}

// inJSON is the report with its durations in seconds.
func (r *DrillReport) inJSON() any {
	type plain DrillReport
	return &struct {
		*plain
		RTO    *units.Seconds `json:"rto_seconds"`
		Budget *units.Seconds `json:"budget_seconds,omitzero"`
	}{(*plain)(r), (*units.Seconds)(&r.RTO), (*units.Seconds)(&r.Budget)}
}

// MarshalJSON encodes durations in seconds.
func (r DrillReport) MarshalJSON() ([]byte, error) { return json.Marshal(r.inJSON()) }

// UnmarshalJSON decodes what MarshalJSON has encoded.
func (r *DrillReport) UnmarshalJSON(raw []byte) error { return json.Unmarshal(raw, r.inJSON()) }

// Drill tries whether a snapshot can be restored: it restores it beside what is there, verifies it, measures that, and
// removes it. In another cluster it is the Drill of a Repo that was made with that cluster's Client.
//
// No original is touched. The scratch indices have names of their own, drill-nuvlaops-TIME-RANDOM-NAME, no replicas and no
// aliases; they are hidden, so that no pattern of others finds them, and ILM does not know them. Indices of data streams
// become indices of their own. Limits and ILM stay as they are.
//
// Removed is only what proves to be scratch by its name and by a setting that the restore itself gave it; so the next drill
// finds what a killed one left, and takes it away before anything else. Two drills at once are kept apart by a claim in
// the cluster's settings (cluster.metadata.nuvlaops.drill.claim) that the running one renews; the claim of a killed one
// counts as given up when it was not renewed for half a minute.
//
// The report is returned beside an error as soon as the drill has begun. Errors: ErrBusy (another drill or a restore runs),
// ErrVerification (a shard has failed, documents are missing, or the budget was passed), ErrRefused (a finding of the
// plan stands in the way: no disk, say), ErrConflict (another drill has taken over), ErrInvalid (an option), and those of Choose.
func (r *Repo) Drill(ctx context.Context, opts DrillOptions) (*DrillReport, error) {
	report, err := r.drillOnce(ctx, opts)
	resource := r.resource(opts.Select.Name)
	if report != nil && report.Snapshot != nil {
		resource = r.resource(report.Snapshot.Name)
	}
	return report, nuvlaops.Wrap("restore.Drill", resource, err)
}

// drill is one call of Drill.
type drill struct {
	*Repo  // for scratch indices
	opts   DrillOptions
	report *DrillReport
	lost   bool // the claim: another drill may have scratch indices
}

func (r *Repo) drillOnce(ctx context.Context, opts DrillOptions) (*DrillReport, error) {
	if opts.Budget < 0 {
		return nil, invalid(fmt.Sprintf("a budget of %s", opts.Budget), "0 for no limit, or more")
	}
	if err := opts.Select.Validate(); err != nil {
		return nil, err
	}
	scratch := *r
	scratch.journalKey, scratch.scratch = drillJournalSetting, true
	d := &drill{Repo: &scratch, opts: opts, report: &DrillReport{Started: r.now().UTC(), Budget: opts.Budget}}
	d.report.ID = newScratchID(d.report.Started)
	ours := d.settings()
	ours[replicasSetting] = "0"
	for _, name := range slices.Sorted(maps.Keys(ours)) {
		if value, given := opts.Settings[name]; given && value != ours[name] {
			return nil, invalid(fmt.Sprintf("setting %s of scratch indices is %q, not %q", name, ours[name], value), "leave it out")
		}
	}
	req := d.request("snapshot")
	if err := req.Validate(); err != nil { // all but the snapshot, which is not chosen yet
		return nil, err
	}
	if req.blocksChanges() {
		return nil, errBlocksChanges
	}
	claimed, release, err := d.claim(ctx, opts.By)
	if err != nil {
		return nil, err
	}
	err = d.clean(ctx, d.run(claimed))
	release()
	d.report.Ended = r.now().UTC()
	return d.report, err
}

// newScratchID is unique, and says when the drill began.
func newScratchID(began time.Time) string {
	var random [4]byte
	_, _ = rand.Read(random[:]) // never fails
	return began.Format("20060102t150405z") + "-" + hex.EncodeToString(random[:])
}

func (d *drill) run(ctx context.Context) (err error) {
	if d.report.Swept, _, err = d.remove(ctx, false); err != nil {
		return fmt.Errorf("remove what a drill before has left: %w", err)
	}
	if err := d.free(ctx); err != nil {
		return err
	}
	if d.report.Snapshot, err = d.choose(ctx, d.opts.Select); err != nil {
		return err
	}
	plan, err := d.plan(ctx, d.request(d.report.Snapshot.Name).withDefaults())
	if err != nil {
		return err
	}
	d.report.Cluster = plan.Cluster.Name
	if err := d.opts.Verify.Validate(plan); err != nil {
		return err
	}
	return d.try(ctx, plan)
}

// settings make an index scratch.
func (d *drill) settings() map[string]string {
	return map[string]string{
		markSetting:                  d.report.ID, // no node has this attribute, so that nothing is excluded
		"index.hidden":               "true",
		"index.lifecycle.name":       "",
		"index.auto_expand_replicas": "false",
	}
}

// request restores into scratch indices.
func (d *drill) request(snapshot string) Request {
	settings := maps.Clone(d.opts.Settings)
	if settings == nil {
		settings = map[string]string{}
	}
	maps.Copy(settings, d.settings())
	return Request{Snapshot: snapshot, Indices: d.opts.Indices, RenamePrefix: scratchPrefix(d.report.ID), Replicas: new(int),
		Settings: settings, PlainStreams: true, Checksums: d.opts.Checksums, DocumentTolerance: d.opts.DocumentTolerance,
		AllowPartial: d.opts.Select.AllowPartial}
}

// free refuses while a real restore runs, or has left something to put back: the drill would slow it, and time nothing.
func (d *drill) free(ctx context.Context) error {
	real := *d.Repo
	real.journalKey = journalSetting
	j, err := real.readJournal(ctx)
	if err != nil {
		return err
	}
	if j != nil && j.pending() {
		return &nuvlaops.Error{Resource: j.Repository + "/" + j.Snapshot, Reason: "a restore was begun and has not ended",
			Hint: "apply its own plan again, and drill after it", Err: nuvlaops.ErrBusy}
	}
	running, err := d.conn.RunningRestores(ctx)
	if err != nil {
		return fmt.Errorf("read running restores: %w", err)
	}
	for _, x := range running {
		for _, s := range x.Shards {
			if scratchID(s.Index.Name) == "" {
				return &nuvlaops.Error{Resource: x.Repository + "/" + x.Snapshot, Reason: "a restore is running", Hint: "drill after its end", Err: nuvlaops.ErrBusy}
			}
		}
	}
	return nil
}

// try restores, verifies and measures.
func (d *drill) try(ctx context.Context, plan *Plan) error {
	a := &application{Repo: d.Repo, plan: plan, started: d.now(), verify: d.opts.Verify,
		opts: ApplyOptions{BytesPerSecond: -1, KeepGoing: true, Progress: d.opts.Progress}}
	err := a.run(ctx)
	took := d.now().Sub(a.started)
	if d.report.Restore = a.report; a.report == nil {
		return err
	}
	a.report.Took = took
	a.report.NotVerified = append(a.report.NotVerified, "a drill restores without aliases and global state, and data streams as indices")
	if s := d.report.Snapshot; s != nil && s.Larger != nil {
		a.report.NotVerified = append(a.report.NotVerified, fmt.Sprintf("whether the latest snapshot holds what it should: %v", s.Larger))
	}
	d.report.RTO = took
	d.report.OverBudget = d.opts.Budget > 0 && took > d.opts.Budget
	if err != nil {
		return d.failed(ctx, err)
	}
	d.report.Proven = a.report.OK()
	if d.report.OverBudget {
		return &nuvlaops.Error{Reason: fmt.Sprintf("the restore is right, and took %s, over the budget of %s", took.Round(time.Millisecond), d.opts.Budget),
			Hint: "look at the limits of recovery, the network and the size of the snapshot, or raise the budget", Err: nuvlaops.ErrVerification}
	}
	return nil
}

// failed says for a drill what the error of a restore says for a restore that can be taken up.
func (d *drill) failed(ctx context.Context, err error) error {
	var e *nuvlaops.Error
	switch {
	case ctx.Err() != nil:
		return &nuvlaops.Error{Reason: fmt.Sprintf("the drill was ended while it restored (%s)", context.Cause(ctx)),
			Hint: "its scratch indices are removed, by this call or the next", Err: err}
	case errors.Is(err, nuvlaops.ErrVerification) && errors.As(err, &e):
		out := *e
		out.Hint = "this snapshot does not come back whole: look at the report, see to the repository, and take another snapshot"
		return &out
	}
	return err
}

// clean removes all scratch indices, whatever the drill's end is, on a context of its own: the caller's may have ended. What
// others have left may have appeared only now, in a server that was slow to take their restores. When another drill has
// taken over, its scratch indices are in use.
func (d *drill) clean(ctx context.Context, err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeWithin)
	defer cancel()
	now, claimErr := d.readClaim(ctx)
	d.lost = claimErr != nil || (now != nil && now.Drill != d.report.ID)
	removed, left, failure := d.remove(ctx, d.report.Restore != nil && err != nil)
	d.report.Left = left
	for _, name := range removed {
		if scratchID(name) == d.report.ID {
			d.report.Removed++
		} else {
			d.report.Swept = append(d.report.Swept, name)
		}
	}
	if failure == nil {
		return err
	}
	return errors.Join(err, fmt.Errorf("scratch indices could not be removed (%d seen; the next drill removes them): %w", len(left), failure))
}
