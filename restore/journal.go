package restore

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nuvla/nuvlaops/internal/es"
)

// journalSetting is where the cluster keeps our journal. Elasticsearch leaves everything below cluster.metadata to its
// users, and keeps it through restarts.
const journalSetting = "cluster.metadata.nuvlaops.restore"

// limitSetting is what is raised for the time of a restore: as a transient setting, so that it does not outlive a restart
// of the whole cluster.
const limitSetting = "indices.recovery.max_bytes_per_sec"

// journal is what a later call must know, of this process or of another one.
type journal struct {
	Plan         string    `json:"plan"`
	Repository   string    `json:"repository"`
	Snapshot     string    `json:"snapshot"`
	SnapshotUUID string    `json:"snapshot_uuid"`
	Started      time.Time `json:"started"`
	// Request is what the plan was made of, to make it again.
	Request *Request `json:"request,omitempty"`
	// Limit is the transient limit of recovery before it was raised, "" for none; nil when it is put back.
	Limit *string `json:"limit,omitempty"`
	// ILM says that it was running, and that we stop it.
	ILM bool `json:"ilm,omitempty"`
	// Global says that the global state was restored, where the plan asks for it.
	Global bool `json:"global,omitempty"`
	// Swapping says that all is proven, and that what it replaces is being deleted. No other restore may begin meanwhile: it
	// would write over this journal.
	Swapping bool `json:"swapping,omitempty"`
	// Abandoned says that what was half restored is deleted: nobody is to take it up but by applying the plan again.
	Abandoned bool `json:"abandoned,omitempty"`
	// Indices holds the beginnings of the UUIDs that the restore gave the plan's indices, in the plan's order, or expected.
	Indices string `json:"indices,omitempty"`
	// Ended is what Indices was when all was proven. What is lost of these since then is not half restored: it may have been
	// written to.
	Ended string `json:"ended,omitempty"`
	// Replaced holds those of the indices that the plan replaces, in its order; empty when it replaces none.
	Replaced string `json:"replaced,omitempty"`
}

// uuidLength is how much of a UUID is kept: 48 random bits, since the journal is a part of the cluster's state.
const uuidLength = 8

func (j *journal) pending() bool { return j.Limit != nil || j.ILM }

// expected stands for the UUID of an index that is not there when its restore is sent, until somebody sees which one it is.
const expected = "?"

// uuid is the beginning of the UUID of the plan's i-th index, "" when it is not known.
func (j *journal) uuid(i int) string {
	if j.expects(i) {
		return ""
	}
	return beginning(j.Indices, i)
}

func (j *journal) expects(i int) bool { return beginning(j.Indices, i) == expected }

func (j *journal) expectsAny() bool { return strings.Contains(j.Indices, expected) }

// beginning is the i-th of those that beginnings has put together.
func beginning(all string, i int) string {
	if at := i * uuidLength; at+uuidLength <= len(all) {
		return strings.Trim(all[at:at+uuidLength], ".")
	}
	return ""
}

// among is that one of the beginnings that a UUID has, "" when it is of none.
func among(all, uuid string) string {
	for i := range len(all) / uuidLength {
		if known := beginning(all, i); known != "" && strings.HasPrefix(uuid, known) {
			return known
		}
	}
	return ""
}

func beginnings(uuids []string) string {
	var b strings.Builder
	for _, u := range uuids {
		b.WriteString((u + strings.Repeat(".", uuidLength))[:uuidLength])
	}
	return b.String()
}

// remember keeps the UUIDs of the plan's indices and reports whether that is news. An empty one leaves what is known.
func (j *journal) remember(uuids []string) bool {
	uuids = slices.Clone(uuids)
	for i, u := range uuids {
		if u == "" {
			uuids[i] = beginning(j.Indices, i)
		}
	}
	text := beginnings(uuids)
	if text == j.Indices || strings.Trim(text, ".") == "" {
		return false
	}
	j.Indices = text
	return true
}

// running reports whether the server is restoring what the journal is about: another restore would write over it.
func (j *journal) running(restores []es.RunningRestore) bool {
	for shard, state := range runningShards(restores, j.Repository, j.Snapshot) {
		if state != es.RestoreSuccess && state != es.RestoreFailure && (j.expectsAny() || among(j.Indices, shard.uuid) != "") {
			return true
		}
	}
	return false
}

// readJournal returns nil when there is none.
func (r *Repo) readJournal(ctx context.Context) (*journal, error) {
	settings, err := r.conn.ClusterSettings(ctx)
	if err != nil {
		return nil, err
	}
	return r.journalIn(settings), nil
}

// journalIn: a journal that cannot be read is none; it is ours alone, so nobody else wrote it. A transient one is newer: it
// is there while the global state is restored, which puts the journal of the snapshot's time into the persistent settings.
func (r *Repo) journalIn(s es.ClusterSettings) *journal {
	for _, text := range []string{s.Transient[r.journalKey], s.Persistent[r.journalKey]} {
		var j journal
		if text != "" && json.Unmarshal([]byte(text), &j) == nil && j.Plan != "" {
			return &j
		}
	}
	return nil
}

func (j *journal) text() (string, error) {
	raw, err := json.Marshal(j)
	return string(raw), err
}

// writeJournal changes the journal and the limit in one request: never one without the other. A nil limit leaves it.
func (r *Repo) writeJournal(ctx context.Context, j *journal, limit *string) error {
	text, err := j.text()
	if err != nil {
		return err
	}
	transient := map[string]any{r.journalKey: nil}
	switch {
	case limit != nil && *limit != "":
		transient[limitSetting] = *limit
	case limit != nil:
		transient[limitSetting] = nil
	}
	if err := r.conn.PutClusterSettings(ctx, map[string]any{r.journalKey: text}, transient); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	return nil
}
