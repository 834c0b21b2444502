package restore

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
)

// Plan is what Apply would do. It is plain data: it may be printed (String), kept as JSON and applied by another process.
type Plan struct {
	// ID is the same for plans that say the same of the same snapshot and cluster.
	ID         string    `json:"id"`
	Created    time.Time `json:"created"`
	Repository string    `json:"repository"`
	Cluster    Cluster   `json:"cluster"`
	Snapshot   Snapshot  `json:"snapshot"`
	Request    Request   `json:"request"`
	// Indices to restore, by name, backing indices of data streams among them.
	Indices     []PlannedIndex `json:"indices"`
	DataStreams []string       `json:"data_streams,omitempty"`
	// Shards is the number of primaries, Bytes the size in the snapshot.
	Shards   int       `json:"shards"`
	Bytes    int64     `json:"bytes"`
	Room     *Room     `json:"room,omitempty"`     // nil when no node says it
	Findings []Finding `json:"findings,omitempty"` // the worst first
}

// Room is what the disks of the nodes have for primaries, in bytes.
type Room struct {
	Available int64 `json:"available"`
	// Reserved is what stays free: above the low watermark a node gets no primary. 0 where the watermarks are switched off.
	Reserved int64 `json:"reserved"`
}

// Cluster is where the plan was made.
type Cluster struct {
	Name      string `json:"name"`
	UUID      string `json:"uuid"`
	Version   string `json:"version"`
	DataNodes int    `json:"data_nodes"`
}

// PlannedIndex is one index to restore.
type PlannedIndex struct {
	Name string `json:"name"`
	// Target is the name under which it is restored.
	Target string `json:"target"`
	// Stream is the data stream that it backs in the snapshot.
	Stream string `json:"data_stream,omitempty"`
	Shards int    `json:"shards"`
	Bytes  int64  `json:"bytes"`
	// Replaces is the UUID of the index that is there and is replaced, of ReplacesShards primaries; empty for none.
	Replaces       string `json:"replaces,omitempty"`
	ReplacesShards int    `json:"replaces_shards,omitempty"`
	// Documents right before the snapshot; nil when the manifest does not say.
	Documents *int64 `json:"documents,omitempty"`
}

// Plan says what a restore would do.
func (r *Repo) Plan(ctx context.Context, req Request) (*Plan, error) {
	req = req.withDefaults()
	if err := req.Validate(); err != nil {
		return nil, nuvlaops.Wrap("restore.Plan", r.resource(req.Snapshot), err)
	}
	p, err := r.plan(ctx, req)
	return p, nuvlaops.Wrap("restore.Plan", r.resource(req.Snapshot), err)
}

func (r *Repo) plan(ctx context.Context, req Request) (*Plan, error) {
	p, cluster, err := r.describe(ctx, req)
	if err == nil {
		err = r.find(ctx, p, cluster)
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// describe is a plan without findings.
func (r *Repo) describe(ctx context.Context, req Request) (*Plan, es.Cluster, error) {
	var snap *Snapshot
	var cluster es.Cluster
	err := sideBySide(func() (err error) {
		if snap, err = r.complete(ctx, req.Snapshot, req.AllowPartial); isPartial(err) {
			return nil // a finding
		}
		return err
	}, func() (err error) {
		cluster, err = r.conn.Cluster(ctx)
		return err
	})
	if err != nil {
		return nil, es.Cluster{}, err
	}
	p := &Plan{Created: r.now().UTC(), Repository: r.name, Snapshot: *snap, Request: req,
		Cluster: Cluster{Name: cluster.Name, UUID: cluster.UUID, Version: cluster.Version, DataNodes: cluster.DataNodes}}
	p.choose(snap)
	if err := r.readReplaced(ctx, p); err != nil {
		return nil, es.Cluster{}, err
	}
	p.ID = p.identity()
	return p, cluster, nil
}

// choose fills in what the request's patterns choose of the snapshot.
func (p *Plan) choose(snap *Snapshot) {
	var streams []string
	lost := p.lostStreams(snap)
	for _, s := range snap.DataStreams {
		if p.Request.Selects(s) && !slices.Contains(lost, s) {
			streams = append(streams, s)
		}
	}
	slices.Sort(streams)
	failed := map[string]bool{}
	for _, f := range snap.failures {
		failed[f.Index] = true
	}
	for _, name := range snap.Indices {
		stream := snap.streamOf(name)
		switch {
		case stream != "" && !slices.Contains(streams, stream), stream == "" && !p.Request.Selects(name), failed[name]:
			continue
		}
		if p.Request.PlainStreams {
			stream = ""
		}
		i := PlannedIndex{Name: name, Target: p.Request.target(name, stream), Stream: stream,
			Shards: snap.details[name].Shards, Bytes: snap.details[name].Bytes}
		if n, ok := snap.Documents[name]; ok {
			i.Documents = &n
		}
		p.Indices = append(p.Indices, i)
		p.Shards, p.Bytes = p.Shards+i.Shards, p.Bytes+i.Bytes
	}
	slices.SortFunc(p.Indices, func(a, b PlannedIndex) int { return cmp.Compare(a.Name, b.Name) })
	if !p.Request.PlainStreams {
		p.DataStreams = streams
	}
}

// lostStreams are the data streams of which a shard is missing in the snapshot: Elasticsearch restores one whole or not at all.
func (p *Plan) lostStreams(snap *Snapshot) []string {
	var lost []string
	for _, index := range snap.lostIndices() {
		if s := snap.streamOf(index); s != "" && !p.Request.PlainStreams && !slices.Contains(lost, s) {
			lost = append(lost, s)
		}
	}
	return lost
}

func (p *Plan) identity() string {
	raw, _ := json.Marshal([]any{p.Repository, p.Cluster.UUID, p.Snapshot.UUID, p.Request, p.Indices, p.DataStreams})
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:8])
}

// targets are the names under which the plan's indices are to be found afterwards, in the order of the plan.
func (p *Plan) targets() []string {
	names := make([]string, len(p.Indices))
	for i, x := range p.Indices {
		names[i] = x.Target
	}
	return names
}

// names are all names that the plan is about: those, and those under which what replaces others is restored first.
func (p *Plan) names() []string {
	names := p.targets()
	for _, x := range p.Indices {
		if p.beside(x) {
			names = append(names, p.working(x))
		}
	}
	return names
}

// requested are the names for the server: data streams by their own names, not by their backing indices.
func (p *Plan) requested(missing map[string]bool) []string {
	var names []string
	for _, x := range p.Indices {
		name := x.Name
		if x.Stream != "" {
			name = x.Stream
		}
		if missing[x.Target] && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// validate tells a plan that was read from JSON from one that never was one.
func (p *Plan) validate(repository string) error {
	switch {
	case p == nil:
		return invalid("no plan", "call Plan first")
	case p.Repository != repository:
		return invalid("the plan is for repository "+p.Repository, "open that repository, or plan again")
	case p.ID == "" || p.ID != p.identity():
		return invalid("the plan was changed after it was made", "plan again with another request")
	}
	return nil
}

// refused is the error of a plan that must not be applied.
func (p *Plan) refused() error {
	var first *Finding
	n := 0
	for i := range p.Findings {
		if p.Findings[i].Severity == SeverityError {
			if n++; first == nil {
				first = &p.Findings[i]
			}
		}
	}
	if first == nil {
		return nil
	}
	reason := first.Text
	if n > 1 {
		reason += " (and " + plural(n-1, "more finding") + ")"
	}
	return &nuvlaops.Error{Reason: reason, Hint: first.Hint, Err: nuvlaops.ErrRefused}
}
