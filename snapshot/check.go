package snapshot

import (
	"context"
	"errors"
	"fmt"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/nuvla/nuvlaops"
)

// Checked is what Check has read.
type Checked struct {
	Snapshot *Snapshot `json:"snapshot"`
	Shards   int       `json:"shards"`
	Files    int64     `json:"files"`
	Bytes    int64     `json:"bytes"`
}

// Check reads from the repository what a restore begins with: the description of the snapshot and, for each of its shards,
// the list of its files, which costs a read for each shard. The files themselves are not read: that is what a restore drill
// is for. What was read is returned beside an error once the snapshot is described. Errors: ErrInvalid (a name), ErrNotFound,
// ErrPartial for a snapshot that is not complete, ErrBusy for one that runs, ErrVerification when the lists do not hold what the
// description says, ErrConflict when another one has its name meanwhile, ErrRepository.
func (r *Repo) Check(ctx context.Context, name string) (*Checked, error) {
	c, err := r.check(ctx, name)
	return c, nuvlaops.Wrap("snapshot.Check", r.resource(name), err)
}

func (r *Repo) check(ctx context.Context, name string) (*Checked, error) {
	s, err := r.get(ctx, name)
	if err != nil {
		return nil, err
	}
	c := &Checked{Snapshot: s}
	if err := s.problem(); err != nil {
		return c, err
	}
	var answer struct {
		Snapshots []struct {
			UUID  string `json:"uuid"`
			Stats struct {
				Total struct {
					Files int64 `json:"file_count"`
					Bytes int64 `json:"size_in_bytes"`
				} `json:"total"`
			} `json:"stats"`
			Shards struct{ Done, Total int } `json:"shards_stats"`
		} `json:"snapshots"`
	}
	err = r.conn.Read(ctx, func() esapi.Request {
		return esapi.SnapshotStatusRequest{Repository: r.name, Snapshot: []string{name},
			FilterPath: []string{"snapshots.uuid", "snapshots.shards_stats", "snapshots.stats.total"}}
	}, &answer)
	if errors.Is(err, nuvlaops.ErrNotFound) { // of the file that is named: the snapshot itself is there
		if _, gone := r.get(ctx, name); gone != nil {
			return c, gone
		}
		return c, &nuvlaops.Error{Reason: fmt.Sprintf("a list of files is gone: %v", err), Err: nuvlaops.ErrVerification,
			Hint: "take another snapshot, and look for who removes files from the repository"}
	}
	if err != nil {
		return c, fmt.Errorf("read the lists of files: %w", r.explain(ctx, err))
	}
	if len(answer.Snapshots) != 1 || answer.Snapshots[0].UUID != s.UUID {
		return c, &nuvlaops.Error{Reason: "the snapshot was replaced meanwhile", Hint: "check again", Err: nuvlaops.ErrConflict}
	}
	found := answer.Snapshots[0]
	c.Shards, c.Files, c.Bytes = found.Shards.Done, found.Stats.Total.Files, found.Stats.Total.Bytes
	if c.Shards != s.Shards.Total || (s.Bytes > 0 && c.Bytes != s.Bytes) {
		return c, &nuvlaops.Error{Reason: fmt.Sprintf("the lists of %d shards hold %d bytes; the snapshot says %d shards and %d bytes", c.Shards, c.Bytes, s.Shards.Total, s.Bytes),
			Hint: "take another snapshot, and restore this one only when there is no other", Err: nuvlaops.ErrVerification}
	}
	return c, nil
}
