package snapshot

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
)

// States of a snapshot.
const (
	InProgress   = "IN_PROGRESS"
	Success      = "SUCCESS"
	Partial      = "PARTIAL"      // shards are missing
	Failed       = "FAILED"       // as a whole; Snapshot.Reason says why
	Incompatible = "INCOMPATIBLE" // the cluster cannot read it: it is of another version
)

// Snapshot describes one snapshot. Its JSON form is stable.
type Snapshot struct {
	Name       string `json:"name"`
	Repository string `json:"repository"`
	UUID       string `json:"uuid"`
	State      string `json:"state"` // InProgress, Success, ...
	// Version of the node that took it.
	Version string    `json:"version,omitempty"`
	Start   time.Time `json:"start"`
	// End is zero while it runs.
	End time.Time `json:"end,omitzero"`
	// Indices by name; nil where they were not asked for (Filter.WithIndices).
	Indices     []string `json:"indices,omitempty"`
	DataStreams []string `json:"data_streams,omitempty"`
	GlobalState bool     `json:"global_state"`
	Shards      Shards   `json:"shards"`
	// Bytes of all its files, those shared with other snapshots included: what a restore reads. 0 where it is not known: a
	// list does not ask for it.
	Bytes    int64     `json:"bytes,omitempty"`
	Failures []Failure `json:"failures,omitempty"`
	// Reason says why it FAILED.
	Reason string `json:"reason,omitempty"`
	// RunID of the run of this SDK that took it; empty when another tool did.
	RunID string `json:"run_id,omitempty"`
	// Pinned says that it is kept for good: it was taken so, or marked so afterwards (WithMarks).
	Pinned bool `json:"pinned,omitempty"`
	// Verified is the drill that restored it; nil when there was none, or marks are not read (WithMarks).
	Verified *Verified `json:"verified,omitempty"`
	// Manifest of documents by index; nil when the snapshot has none.
	Manifest *Manifest `json:"manifest,omitempty"`
}

// Shards counts shards.
type Shards struct {
	Total      int `json:"total"`
	Successful int `json:"successful"`
	Failed     int `json:"failed"`
}

// Failure is one shard that is not in a snapshot.
type Failure struct {
	Index  string `json:"index"`
	Shard  int    `json:"shard"`
	Node   string `json:"node,omitempty"`
	Reason string `json:"reason"`
}

// Running reports whether the snapshot has not ended.
func (s Snapshot) Running() bool { return s.State == InProgress }

// Complete reports whether it can be restored whole: it ended in SUCCESS and no shard is missing.
func (s Snapshot) Complete() bool {
	return s.State == Success && s.Shards.Failed == 0 && s.Shards.Successful == s.Shards.Total && len(s.Failures) == 0
}

// Ours reports whether this SDK took it.
func (s Snapshot) Ours() bool { return s.RunID != "" }

// Duration is how long it took; 0 while it runs. Elasticsearch's clock is coarse.
func (s Snapshot) Duration() time.Duration {
	if s.End.IsZero() {
		return 0
	}
	return s.End.Sub(s.Start)
}

func fromInfo(i es.SnapshotInfo) *Snapshot {
	s := &Snapshot{Name: i.Name, Repository: i.Repository, UUID: i.UUID, State: i.State, Version: i.Version, Start: i.Start,
		End: i.End, Indices: i.Indices, DataStreams: i.DataStreams, GlobalState: i.GlobalState,
		Shards: Shards(i.Shards), Reason: i.Reason, RunID: i.RunID(), Pinned: i.Metadata[metaPinned] == "true"}
	for _, f := range i.Failures {
		s.Failures = append(s.Failures, Failure{f.Index, f.Shard, f.Node, f.Reason})
	}
	for _, d := range i.Details {
		s.Bytes += d.Bytes
	}
	if m, ok := i.Manifest(); ok {
		s.Manifest = manifestOf(i, m)
	}
	return s
}

// problem is nil for a complete snapshot, and otherwise an error that says what is missing.
func (s Snapshot) problem() error {
	if s.Complete() {
		return nil
	}
	if s.Running() {
		return &nuvlaops.Error{Reason: "the snapshot is still running", Err: nuvlaops.ErrBusy}
	}
	reason := fmt.Sprintf("the snapshot ended %s: %d of %d shards are missing", s.State, s.Shards.Total-s.Shards.Successful, s.Shards.Total)
	if s.Reason != "" {
		reason += ": " + s.Reason
	}
	if shown := s.shownFailures(); shown != "" {
		reason += ": " + shown
	}
	hint := s.storeHint()
	if hint == "" {
		hint = "see to the shards that are named"
	}
	return &nuvlaops.Error{Reason: reason, Err: nuvlaops.ErrPartial, Hint: hint + "; then take another one: this one is no backup of the shards that are missing"}
}

// storeHint is what helps where S3 did not take the files of a shard, which has nothing wrong with it; else "".
func (s Snapshot) storeHint() string {
	for _, f := range s.Failures {
		if sym, known := symptomOf(&es.ServerError{Chain: []es.Cause{{Reason: f.Reason}}}); known && sym.code != "" {
			return sym.fill(sym.hint, Settings{})
		}
	}
	return ""
}

// shownFailures are the first failures in words, each shard once.
func (s Snapshot) shownFailures() string {
	const most = 3
	var out []string
	for _, f := range s.Failures {
		line, _, _ := strings.Cut(f.Reason, "\n")
		if runes := []rune(line); len(runes) > 200 {
			line = string(runes[:200]) + "..."
		}
		out = append(out, fmt.Sprintf("%s[%d]: %s", f.Index, f.Shard, line))
	}
	slices.Sort(out)
	if len(out) > most {
		out = append(out[:most], fmt.Sprintf("and %d more", len(out)-most))
	}
	return strings.Join(out, "; ")
}
