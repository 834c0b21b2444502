package restore

import (
	"context"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/nuvla/nuvlaops/internal/units"
)

const (
	settingMaxShards  = "cluster.max_shards_per_node"
	settingEnable     = "cluster.routing.allocation.enable"
	settingThreshold  = "cluster.routing.allocation.disk.threshold_enabled"
	settingLow        = "cluster.routing.allocation.disk.watermark.low"
	defaultMaxShards  = 1000
	assumedWatermark  = 0.85      // Elasticsearch's default of the low watermark
	largestHeadroom   = 200 << 30 // of the default low watermark, since 8.4
	allocationNone    = "none"
	allocationReplica = "replicas"
)

// findCapacity looks at what would let primaries wait for ever: no allocation, too many shards, too little disk.
func (r *Repo) findCapacity(ctx context.Context, p *Plan) error {
	s, err := r.conn.EffectiveSettings(ctx, settingMaxShards, settingEnable, settingThreshold, settingLow)
	if err != nil {
		return err
	}
	if e := s[settingEnable]; e == allocationNone || e == allocationReplica {
		p.add(SeverityError, CodeAllocation, "", "set "+settingEnable+" to all", "the allocation of primaries is switched off: %s is %s", settingEnable, e)
	}
	if err := r.findShardLimit(ctx, p, s); err != nil {
		return err
	}
	return r.findDisk(ctx, p, s[settingLow], s[settingThreshold] == "false")
}

// findShardLimit counts what is sure: primaries, and replicas where the request says how many.
func (r *Repo) findShardLimit(ctx context.Context, p *Plan, s map[string]string) error {
	limit, err := strconv.Atoi(s[settingMaxShards])
	if err != nil {
		limit = defaultMaxShards
	}
	limit *= max(1, p.Cluster.DataNodes)
	open, err := r.conn.OpenShards(ctx)
	if err != nil {
		return err
	}
	want := p.Shards
	if p.Request.Replicas != nil {
		want *= 1 + *p.Request.Replicas
	}
	if p.Request.Replace {
		want *= 2 // what is restored beside, and its clone
	}
	switch {
	case open+want > limit:
		p.add(SeverityError, CodeShardLimit, "", "raise "+settingMaxShards+", or restore fewer indices or replicas",
			"%s are open and %d more would be, over the limit of %d", plural(open, "shard"), want, limit)
	case p.Request.Replicas == nil && open+3*want > limit:
		p.add(SeverityWarning, CodeShardLimit, "", "say how many replicas to restore", "%s are open and %d primaries come, replicas besides; the limit is %d", plural(open, "shard"), want, limit)
	}
	return nil
}

// findDisk compares the bytes to restore with what is free on all nodes below the low watermark: above it a node gets no
// primary that comes from a snapshot.
func (r *Repo) findDisk(ctx context.Context, p *Plan, low string, off bool) error {
	disks, err := r.conn.Disks(ctx)
	if err != nil || len(disks) == 0 {
		return err
	}
	p.Room = &Room{}
	var room, largest, shard int64
	need := p.Bytes
	for _, d := range disks {
		p.Room.Available += d.Available
		if off {
			continue
		}
		reserved := reserve(low, d.Total)
		p.Room.Reserved += reserved
		free := max(0, d.Available-reserved)
		room, largest = room+free, max(largest, free)
	}
	if off {
		return nil
	}
	for _, i := range p.Indices {
		shard = max(shard, i.Bytes/int64(max(1, i.Shards)))
		if p.Request.Replace { // a clone takes no room, but Elasticsearch reckons with it
			need = max(need, p.Bytes+i.Bytes)
		}
	}
	switch {
	case need > room:
		p.add(SeverityError, CodeDisk, "", "free disk space, add a node, or restore fewer indices",
			"%s are to be restored, and %s are free below the low watermark (%s)", units.Bytes(need), units.Bytes(room), low)
	case shard > largest:
		p.add(SeverityError, CodeDisk, "", "free disk space on one node", "a shard of %s is to be restored, and no node has more than %s free below the low watermark (%s)",
			units.Bytes(shard), units.Bytes(largest), low)
	case need > room/10*9:
		p.add(SeverityWarning, CodeDisk, "", "", "%s are to be restored, and %s are free below the low watermark (%s)", units.Bytes(need), units.Bytes(room), low)
	}
	return nil
}

// reserve is what must stay free of a disk: a share that may be used ("85%", "0.85"), or bytes that stay free ("10gb").
func reserve(low string, total int64) int64 {
	if percent, found := strings.CutSuffix(low, "%"); found {
		if v, err := strconv.ParseFloat(percent, 64); err == nil {
			return share(v/100, total)
		}
	}
	if v, err := strconv.ParseFloat(low, 64); err == nil && v <= 1 {
		return share(v, total)
	}
	if bytes, ok := parseBytes(low); ok && low != "" {
		return bytes
	}
	return share(assumedWatermark, total)
}

// share keeps the rest free, but no more than a large disk's headroom.
func share(used float64, total int64) int64 {
	return min(int64((1-used)*float64(total)), largestHeadroom)
}

// findNames looks for aliases and data streams that bear the names of what would be made, and for the templates of data
// streams.
func (r *Repo) findNames(ctx context.Context, p *Plan) error {
	aliases, streams, err := r.conn.AliasesAndStreams(ctx)
	if err != nil {
		return err
	}
	var names, made []string
	for _, i := range p.Indices {
		names = append(names, i.Target)
		if slices.Contains(streams, i.Target) {
			p.add(SeverityError, CodeNameClash, i.Target, "delete the data stream, or restore with a rename prefix", "a data stream of this name is there")
		}
		if stream := streamOf(i.Target, streams); stream != "" && i.Replaces != "" {
			p.add(SeverityError, CodeStreamExists, i.Target, "restore beside it with a rename prefix, or delete the data stream it belongs to",
				"it is an index of data stream %s, which is there, and data streams are not replaced", stream)
		}
	}
	for _, s := range p.DataStreams {
		made = append(made, p.Request.RenamePrefix+s)
	}
	indices, _, err := r.conn.IndexStates(ctx, made)
	if err != nil {
		return err
	}
	for _, target := range made {
		names = append(names, target)
		if _, there := indices[target]; there {
			p.add(SeverityError, CodeNameClash, target, "delete the index, or restore with a rename prefix", "an index that bears the name of a data stream is there")
		}
		if slices.Contains(streams, target) && !slices.ContainsFunc(p.Findings, func(f Finding) bool { return f.Code == CodeInterrupted }) {
			hint := "delete the data stream and restore then, if nothing in it is needed, as when a service has made it anew and empty; or restore beside it with a rename prefix, " +
				"and reindex what you need from there (a time series takes no documents from before its first index)"
			if p.Request.Replace {
				p.add(SeverityError, CodeStreamExists, target, hint, "a data stream of this name is there, and data streams are not replaced: Elasticsearch cannot put another one into its place in one step")
			} else {
				p.add(SeverityError, CodeStreamExists, target, hint, "a data stream of this name is there")
			}
		}
	}
	for _, name := range names {
		if slices.Contains(aliases, name) {
			p.add(SeverityError, CodeNameClash, name, "remove the alias, or restore with a rename prefix", "an alias of this name is there")
		}
	}
	return r.findTemplates(ctx, p)
}

func (r *Repo) findTemplates(ctx context.Context, p *Plan) error {
	if len(p.DataStreams) == 0 || p.Request.GlobalState {
		return nil
	}
	patterns, err := r.conn.StreamTemplates(ctx)
	if err != nil {
		return err
	}
	for _, s := range p.DataStreams {
		target := p.Request.RenamePrefix + s
		matches := func(pattern string) bool { ok, _ := path.Match(pattern, target); return ok }
		if !slices.ContainsFunc(patterns, matches) {
			p.add(SeverityWarning, CodeTemplate, target, "make the index template, or restore the global state", "no index template makes this data stream: it is restored, and fails at its next rollover")
		}
	}
	return nil
}
