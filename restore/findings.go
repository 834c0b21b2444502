package restore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
)

// Severity of a finding.
const (
	// SeverityError stops Apply.
	SeverityError = "error"
	// SeverityWarning is shown.
	SeverityWarning = "warning"
	// SeverityInfo is what Apply will take care of.
	SeverityInfo = "info"
)

// Codes of findings, with the severities that each may have.
const (
	CodeIncomplete      = "snapshot_not_complete"             // error; warning with Request.AllowPartial
	CodeNothing         = "nothing_selected"                  // error
	CodeVersion         = "snapshot_version"                  // error; of an old snapshot warning, since no description has the version of each index; info where it is not known
	CodeLeftover        = "replacement_left"                  // warning: another restore has left an index beside what it was to replace
	CodePolicy          = "ilm_policy_missing"                // warning
	CodeFilters         = "allocation_filters"                // error: of the cluster and of the request; those of the snapshot's indices are in no description
	CodeReplaced        = "index_replaced"                    // warning: it is deleted
	CodeReadOnly        = "index_read_only"                   // error: what is replaced cannot be deleted
	CodeShardsDiffer    = "index_shards_differ"               // error, unless Request.OtherShards
	CodeOpenIndex       = "index_exists_open"                 // error
	CodeClosedIndex     = "index_exists_closed"               // error
	CodeReplicas        = "replicas_cannot_be_assigned"       // warning
	CodeSnapshotRunning = "snapshot_running"                  // warning: in this repository
	CodeRestoreRunning  = "restore_running"                   // warning
	CodeILM             = "ilm_running"                       // info
	CodeWritable        = "repository_writable"               // warning
	CodeLimit           = "repository_restore_limit"          // warning: it holds beside ApplyOptions.BytesPerSecond
	CodeNoGlobalState   = "no_global_state"                   // error
	CodeGlobalState     = "global_state_overwrites"           // warning
	CodeUnknownBacking  = "data_stream_without_known_indices" // warning
	CodeInterrupted     = "restore_interrupted"               // info of this plan, warning of another, error while that puts replacements into their places
	CodeShardLimit      = "shard_limit"                       // error; warning where replicas may reach it
	CodeNameClash       = "name_clash"                        // error
	CodeStreamExists    = "data_stream_exists"                // error
	CodeTemplate        = "template_missing"                  // warning: of a data stream
	CodeDisk            = "disk_space"                        // error; warning above nine tenths of the room
	CodeAllocation      = "allocation_disabled"               // error
	CodeChecksums       = "checksums_at_each_start"           // info
)

// Finding is one thing that stands in the way of a restore, or that is good to know before it.
type Finding struct {
	Severity string `json:"severity"`
	Code     string `json:"code"`
	// Resource is what it is about: an index, a snapshot.
	Resource string `json:"resource,omitempty"`
	Text     string `json:"text"`
	Hint     string `json:"hint,omitempty"`
}

func (p *Plan) add(severity, code, resource, hint, format string, args ...any) {
	p.Findings = append(p.Findings, Finding{Severity: severity, Code: code, Resource: resource, Text: fmt.Sprintf(format, args...), Hint: hint})
}

// find reads the cluster and adds what it finds, the worst first.
func (r *Repo) find(ctx context.Context, p *Plan, cluster es.Cluster) error {
	p.findInSnapshot(cluster)
	if err := r.findSideBySide(ctx, p); err != nil {
		return err
	}
	order := []string{SeverityError, SeverityWarning, SeverityInfo}
	slices.SortStableFunc(p.Findings, func(a, b Finding) int {
		return slices.Index(order, a.Severity) - slices.Index(order, b.Severity)
	})
	return nil
}

// findSideBySide reads what does not depend on each other at once, and keeps the order of the findings. Names come after the
// indices, whose findings they ask for.
func (r *Repo) findSideBySide(ctx context.Context, p *Plan) error {
	groups := [][]func(context.Context, *Plan) error{{r.findIndices, r.findGlobalState, r.findNames}, {r.findCapacity}, {r.findFilters},
		{r.findRunning}, {r.findILM, r.findPolicies}, {r.findRepository}, {r.findJournal}}
	found := make([]Plan, len(groups))
	var all []func() error
	for i, group := range groups {
		found[i] = *p
		found[i].Findings = nil
		all = append(all, func() error {
			for _, check := range group {
				if err := check(ctx, &found[i]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := sideBySide(all...)
	for _, f := range found {
		p.Findings = append(p.Findings, f.Findings...)
		p.Room = cmp.Or(p.Room, f.Room)
	}
	return err
}

// findInSnapshot needs nothing but what is read already.
func (p *Plan) findInSnapshot(cluster es.Cluster) {
	name, s := p.Snapshot.Name, &p.Snapshot
	lost := p.lostStreams(s)
	switch {
	case s.State == es.StatePartial && p.Request.AllowPartial:
		p.add(SeverityWarning, CodeIncomplete, name, "", "%d of %d shards are missing; indices and data streams that miss one are left out: %s",
			s.Failed, s.Shards, some(append(s.lostIndices(), lost...)))
	case s.State != es.StateSuccess || s.Failed > 0:
		p.add(SeverityError, CodeIncomplete, name, "choose another snapshot", "the snapshot is %s, %d of %d shards are missing", s.State, s.Failed, s.Shards)
	}
	if len(p.Indices) == 0 {
		p.add(SeverityError, CodeNothing, name, "check the patterns", "%s selects none of %d indices", strings.Join(p.Request.Indices, " "), len(s.Indices))
	}
	if newer, known := s.newerThan(cluster); newer {
		p.add(SeverityError, CodeVersion, name, "restore into a cluster of that version or a later one",
			"the snapshot was taken by version %s, this cluster is %s and cannot read it", s.Version, cluster.Version)
	} else if !known {
		p.add(SeverityInfo, CodeVersion, name, "", "the version of the snapshot, %q, cannot be compared with the cluster's, %s", s.Version, cluster.Version)
	}
	p.findOldIndices(cluster)
	p.findReplicas()
	for _, stream := range s.DataStreams {
		of := func(i PlannedIndex) bool { return s.streamOf(i.Name) == stream }
		if p.Request.Selects(stream) && !slices.Contains(lost, stream) && !slices.ContainsFunc(p.Indices, of) {
			p.add(SeverityWarning, CodeUnknownBacking, stream, "", "none of the snapshot's indices is named as one of data stream %s", stream)
		}
	}
	if p.Request.checks() {
		p.add(SeverityInfo, CodeChecksums, "", "to end that, close the indices and take "+checkSetting+" away", "each shard checks its files when it is opened, also at each later start")
	}
}

func (p *Plan) findReplicas() {
	want := -1
	if p.Request.Replicas != nil {
		want = *p.Request.Replicas
	}
	if n := p.Cluster.DataNodes; want >= n {
		p.add(SeverityWarning, CodeReplicas, "", fmt.Sprintf("choose at most %d replicas", max(0, n-1)),
			"%s cannot hold %s: health stays yellow; primaries are waited for, never green", plural(n, "data node"), plural(want, "replica"))
	} else if want < 0 && n == 1 {
		p.add(SeverityWarning, CodeReplicas, "", "restore with 0 replicas", "one data node cannot hold replicas: if the indices have any, "+
			"health stays yellow; primaries are waited for, never green")
	}
}

func (s *Snapshot) lostIndices() []string {
	var names []string
	for _, f := range s.failures {
		if !slices.Contains(names, f.Index) {
			names = append(names, f.Index)
		}
	}
	slices.Sort(names)
	return names
}

// newerThan says whether the cluster is too old for the snapshot, and whether that is known. What tells is the index version. Its
// name is that of a node (8.5.1), a range (8.11.0-8.11.4), or what an older server makes of a later one (8.19.8-[9107000]).
func (s *Snapshot) newerThan(c es.Cluster) (newer, known bool) {
	if needs := s.indexVersion(); needs > 0 && c.IndexVersion > 0 {
		return needs > c.IndexVersion, true
	}
	first, _, _ := strings.Cut(s.Version, "-")
	if strings.Count(first, ".") != 2 {
		return false, false
	}
	version, v := es.ParseVersion(first), es.ParseVersion(c.Version)
	return !v.AtLeast(version.Major, version.Minor), true
}

// findOldIndices: a cluster reads indices that were created by its own major version or by the one before. By which the
// snapshot's indices were created no answer of Elasticsearch says, up to 8.19: index_details has shards and bytes, _status
// has files and bytes. By no later one than the snapshot was taken by.
func (p *Plan) findOldIndices(c es.Cluster) {
	taken, major := p.Snapshot.major(), es.ParseVersion(c.Version).Major
	switch name := p.Snapshot.Name; {
	case taken == 0 || taken >= major:
	case taken == major-1:
		p.add(SeverityWarning, CodeVersion, name, "", "the snapshot was taken by version %d: of its indices, those that were created by version %d or earlier cannot be restored into version %d",
			taken, taken-1, major)
	default:
		p.add(SeverityError, CodeVersion, name, fmt.Sprintf("restore into version %d and reindex there", taken+1),
			"the snapshot was taken by version %d, and version %d reads such indices as an archive only", taken, major)
	}
}

// major is 8 for 8.5.1 and for the index version 8500003; 0 when it is not known.
func (s *Snapshot) major() int {
	if needs := s.indexVersion(); needs > 0 {
		return needs / 1_000_000
	}
	return es.ParseVersion(s.Version).Major
}

// indexVersion is the one that the snapshot needs, which some servers say as its version only; 0 when it is not known.
func (s *Snapshot) indexVersion() int {
	if n, err := strconv.Atoi(s.Version); err == nil && s.needs == 0 {
		return n
	}
	return s.needs
}

func (r *Repo) findIndices(ctx context.Context, p *Plan) error {
	j, err := r.readJournal(ctx)
	if err != nil {
		return err
	}
	w, err := r.inspect(ctx, p, j)
	if err != nil {
		return err
	}
	p.findReplaced()
	mine := j != nil && j.Plan == p.ID
	for _, x := range w {
		i := x.planned
		if x.readOnly {
			p.add(SeverityError, CodeReadOnly, i.Target, readOnlyHint, "the index that is there is read-only, and could not be deleted")
		}
		switch there := x.standing != absent; {
		case there && mine && !x.since && (x.standing != foreign || x.forgotten):
			p.add(SeverityInfo, CodeInterrupted, i.Target, "", "an earlier call of this plan has begun to restore it; it is taken up")
		case p.beside(i):
		case there && x.open:
			p.add(SeverityError, CodeOpenIndex, i.Target, i.wayOut(), "an open index of this name is there")
		case there:
			p.add(SeverityError, CodeClosedIndex, i.Target, i.wayOut(), "a closed index of this name is there, and would be overwritten")
		}
	}
	return nil
}

// wayOut is what to do when its name is taken.
func (i PlannedIndex) wayOut() string {
	if i.Stream != "" { // an index of a data stream is not deleted by itself
		return "restore beside it with a rename prefix, or delete the data stream it belongs to"
	}
	return "restore beside it with a rename prefix, or in its place (replace), which deletes it when all is proven"
}

func (r *Repo) findRunning(ctx context.Context, p *Plan) error {
	running, err := r.conn.RunningSnapshots(ctx, r.name)
	if err != nil {
		return fmt.Errorf("read running snapshots: %w", err)
	}
	for _, s := range running {
		p.add(SeverityWarning, CodeSnapshotRunning, s.Name, "wait for its end: it takes bandwidth, and who takes snapshots here may write here", "a snapshot is running in this repository")
	}
	restores, err := r.conn.RunningRestores(ctx)
	if err != nil {
		return fmt.Errorf("read running restores: %w", err)
	}
	for _, x := range restores {
		p.add(SeverityWarning, CodeRestoreRunning, x.Repository+"/"+x.Snapshot, "if it is yours, apply its own plan again to take it up", "a restore of %s is running", plural(len(x.Shards), "shard"))
	}
	return nil
}

func (r *Repo) findILM(ctx context.Context, p *Plan) error {
	mode, err := r.conn.ILMMode(ctx)
	switch {
	case errors.Is(err, nuvlaops.ErrUnsupported):
		return nil
	case err != nil:
		return err
	case mode != es.ILMStopped:
		p.add(SeverityInfo, CodeILM, "", "", "ILM runs; it is stopped for the time of the restore, and will then act on restored data by its original age")
	}
	return nil
}

func (r *Repo) findRepository(ctx context.Context, p *Plan) error {
	settings, err := r.conn.RepositorySettings(ctx, r.name)
	if err != nil {
		return fmt.Errorf("read repository: %w", err)
	}
	if settings["readonly"] != "true" && settings["read_only"] != "true" {
		p.add(SeverityWarning, CodeWritable, r.name, "register it read-only while another cluster may write to it", "the repository is writable: two clusters that write to it corrupt it")
	}
	if limit := settings["max_restore_bytes_per_sec"]; limit != "" {
		p.add(SeverityWarning, CodeLimit, r.name, "", "the repository itself limits restores to %s a second on each node", limit)
	}
	return nil
}

func (r *Repo) findJournal(ctx context.Context, p *Plan) error {
	j, err := r.readJournal(ctx)
	if err != nil {
		return err
	}
	left, _, err := r.conn.IndexStates(ctx, []string{besidePrefix + "*"})
	if err != nil {
		return fmt.Errorf("read indices: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(left)) {
		if !strings.HasPrefix(name, besidePrefix+p.ID+"-") {
			p.add(SeverityWarning, CodeLeftover, name, "attach to that restore to finish it, abandon it, or delete the index", "another restore has left it beside what it was to replace")
		}
	}
	if j != nil && j.Swapping && j.Plan != p.ID {
		p.add(SeverityError, CodeInterrupted, j.Repository+"/"+j.Snapshot, "attach to it, so that it is finished", "a restore that began %s is putting replacements into their places",
			j.Started.Format("2006-01-02 15:04:05Z07:00"))
	} else if j != nil && j.pending() {
		p.add(SeverityWarning, CodeInterrupted, j.Repository+"/"+j.Snapshot, "apply its own plan again, or go on when the server restores it no more: Apply puts back what it left",
			"a restore that began %s has not put back everything it changed", j.Started.Format("2006-01-02 15:04:05Z07:00"))
	}
	return nil
}

// plural counts regular nouns, and indices.
func plural(n int, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case strings.HasSuffix(noun, "index"):
		return fmt.Sprintf("%d %sindices", n, strings.TrimSuffix(noun, "index"))
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
