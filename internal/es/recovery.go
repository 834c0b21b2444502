package es

import (
	"context"
	"maps"

	"github.com/elastic/go-elasticsearch/v8/esapi"
)

// States of a shard in a running restore.
const (
	RestoreInit    = "INIT"
	RestoreStarted = "STARTED"
	RestoreSuccess = "SUCCESS"
	RestoreFailure = "FAILURE"
)

// RunningRestore is one restore of the cluster state. It disappears when all its shards have ended, well or not.
type RunningRestore struct {
	Snapshot   string         `json:"snapshot"`
	Repository string         `json:"repository"`
	State      string         `json:"state"`
	Shards     []RestoreShard `json:"shards"`
}

// RestoreShard is one shard of a running restore.
type RestoreShard struct {
	Index struct {
		Name string `json:"index_name"`
		UUID string `json:"index_uuid"`
	} `json:"index"`
	Shard int    `json:"shard"`
	State string `json:"state"`
}

// RunningRestores describes the restores that run.
func (c *Conn) RunningRestores(ctx context.Context) ([]RunningRestore, error) {
	var answer stateAnswer
	err := c.Read(ctx, func() esapi.Request {
		return esapi.ClusterStateRequest{Metric: []string{"customs"}, FilterPath: []string{"restore.snapshots.snapshot",
			"restore.snapshots.repository", "restore.snapshots.state", "restore.snapshots.shards.index.index_name",
			"restore.snapshots.shards.index.index_uuid", "restore.snapshots.shards.shard", "restore.snapshots.shards.state"}}
	}, &answer)
	return answer.Restore.Snapshots, err
}

// Recovery is the recovery of one primary.
type Recovery struct {
	Shard            int
	Stage            string // INIT, INDEX, VERIFY_INDEX, TRANSLOG, FINALIZE, DONE
	Source           Source
	Bytes, Recovered int64
}

type recoveryAnswer map[string]struct {
	Shards []struct {
		ID      int    `json:"id"`
		Type    string `json:"type"`
		Stage   string `json:"stage"`
		Primary bool   `json:"primary"`
		Source  Source `json:"source"`
		Index   struct {
			Size struct {
				Total     int64 `json:"total_in_bytes"`
				Recovered int64 `json:"recovered_in_bytes"`
			} `json:"size"`
		} `json:"index"`
	} `json:"shards"`
}

// Recoveries describes the recoveries of the primaries of these indices; all primaries that recover now when names is empty. A
// primary that waits or has failed has none. More names than fit into a request are chosen from an answer about all indices, of
// which those that are not there are left out; of fewer, all must be there.
func (c *Conn) Recoveries(ctx context.Context, names []string) (map[string][]Recovery, error) {
	active, asked := len(names) == 0, orAll(names)
	var answer recoveryAnswer
	err := c.Read(ctx, func() esapi.Request {
		return esapi.IndicesRecoveryRequest{Index: asked, ActiveOnly: &active, ExpandWildcards: "open,hidden", FilterPath: []string{
			"*.shards.id", "*.shards.type", "*.shards.stage", "*.shards.primary", "*.shards.source.repository",
			"*.shards.source.snapshot", "*.shards.source.restoreUUID", "*.shards.index.size.total_in_bytes",
			"*.shards.index.size.recovered_in_bytes"}}
	}, &answer)
	if err != nil {
		return nil, err
	}
	out := map[string][]Recovery{}
	for name, index := range answer {
		for _, s := range index.Shards {
			if !s.Primary {
				continue
			}
			s.Source.Type = s.Type
			out[name] = append(out[name], Recovery{Shard: s.ID, Stage: s.Stage, Source: s.Source,
				Bytes: s.Index.Size.Total, Recovered: s.Index.Size.Recovered})
		}
	}
	if !active {
		maps.DeleteFunc(out, notAmong[[]Recovery](names))
	}
	return out, nil
}
