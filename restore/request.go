package restore

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Request says what to restore. The zero value but for Snapshot restores nuvla-* into a cluster that has none of it.
type Request struct {
	// Snapshot is the name of the snapshot.
	Snapshot string `json:"snapshot"`
	// Indices are patterns of indices and data streams; one that begins with '-' takes away. Default nuvla-*.
	Indices []string `json:"indices,omitempty"`
	// RenamePrefix, when not empty, restores beside what is there: each index under its name with this before it.
	RenamePrefix string `json:"rename_prefix,omitempty"`
	// Replace restores in the place of indices that are there. Each is restored beside them first (restoring-ID-NAME), and
	// they are deleted only when every primary of every index is proven: until then nothing that is there is touched. What
	// replaces them is cloned within the server and dates from that moment; the aliases of what was there are kept, those of
	// the snapshot are not restored, nor are its blocks of changes (index.blocks.read_only, metadata): an index with one can
	// neither be cloned nor deleted. It needs the room for both, and twice the shards.
	// An index that is read-only cannot be deleted, and is refused (index_read_only).
	//
	// Data streams are not replaced: one that is there is refused (data_stream_exists). Elasticsearch can exchange the indices of
	// a data stream in one step, but not the one that is written to, and neither rename nor clone a data stream; so there
	// would be a moment with nothing there. Delete the data stream by hand and restore then, if nothing in it is needed: it may be
	// one that a service has made anew, and empty. Or restore beside it with RenamePrefix and reindex from there; but a time
	// series takes no documents from before its first index.
	Replace bool `json:"replace,omitempty"`
	// OtherShards says that an index may be replaced by one of another number of primary shards.
	OtherShards bool `json:"other_shards,omitempty"`
	// Replicas, when not nil, replaces index.number_of_replicas.
	Replicas *int `json:"replicas,omitempty"`
	// Settings are further index settings to replace, by their full names; an empty value takes one back to its default.
	Settings map[string]string `json:"settings,omitempty"`
	// WithoutAliases leaves the aliases of the indices out. They are left out as well when indices are renamed, or they
	// would point to the original and to its copy.
	WithoutAliases bool `json:"without_aliases,omitempty"`
	// GlobalState restores also templates, pipelines, ILM policies and persistent settings, over what is there.
	GlobalState bool `json:"global_state,omitempty"`
	// PlainStreams restores the indices of data streams as indices of their own: no data stream is made, and no template is
	// needed.
	PlainStreams bool `json:"plain_streams,omitempty"`
	// Checksums lets each shard compare its files with their Lucene checksums when it is opened, after the restore and at
	// each later start: index.shard.check_on_startup is set to checksum, and stays so. It costs a read of all files.
	Checksums bool `json:"checksums,omitempty"`
	// AllowPartial restores also from a snapshot in which shards are missing: indices that miss one are left out, and so are
	// data streams, whole, unless their indices are restored as indices of their own (PlainStreams).
	AllowPartial bool `json:"allow_partial,omitempty"`
	// DocumentTolerance is the share of documents by which an index may differ from the manifest, since it may have been
	// written to while the snapshot was taken: less than 1, and of a small index one document. Default 0.02; negative means not
	// one. An index whose documents are all gone is never tolerated. One that has grown is, whatever the share, unless not one is, or
	// VerifyOptions.Documents says how many it may hold at most.
	DocumentTolerance float64 `json:"document_tolerance,omitempty"`
}

// checkSetting is what lets a shard check its files when it is opened.
const checkSetting = "index.shard.check_on_startup"

// replicasSetting is what Replicas replaces.
const replicasSetting = "index.number_of_replicas"

// otherReplicas reports whether the settings say another number than Replicas.
func (q Request) otherReplicas() bool {
	value, given := q.Settings[replicasSetting]
	return q.Replicas != nil && given && value != strconv.Itoa(*q.Replicas)
}

// checks reports whether the restored shards check their files.
func (q Request) checks() bool {
	return q.Checksums || q.Settings[checkSetting] == "checksum" || q.Settings[checkSetting] == "true"
}

func (q Request) withDefaults() Request {
	if len(q.Indices) == 0 {
		q.Indices = []string{"nuvla-*"}
	}
	switch {
	case q.DocumentTolerance == 0:
		q.DocumentTolerance = 0.02
	case q.DocumentTolerance < 0:
		q.DocumentTolerance = -1 // not 0, which is the default again when the request of a plan is planned
	}
	if q.RenamePrefix != "" {
		q.WithoutAliases = true
	}
	return q
}

var prefixForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,99}$`)

// isName tells the name of one snapshot from a pattern, a list and a word of Elasticsearch's, such as _all.
func isName(s string) bool {
	return s != "" && !strings.ContainsAny(s, `\/*?"<>|,# `) && !strings.ContainsAny(s[:1], "_-+")
}

// Validate returns an error that matches ErrInvalid for a request that makes no sense.
func (q Request) Validate() error {
	switch {
	case !isName(q.Snapshot):
		return invalid(fmt.Sprintf("snapshot name %q is not one name", q.Snapshot), "choose the snapshot first")
	case q.RenamePrefix != "" && !prefixForm.MatchString(q.RenamePrefix):
		return invalid(fmt.Sprintf("rename prefix %q", q.RenamePrefix), "lower-case letters, digits, dots, hyphens and underscores, beginning with a letter or digit")
	case !(q.DocumentTolerance < 1): // NaN too, which has no form in JSON
		return invalid(fmt.Sprintf("a document tolerance of %v", q.DocumentTolerance), "a share less than 1, such as 0.02")
	case q.Checksums && q.Settings[checkSetting] != "":
		return invalid("Checksums beside the setting "+checkSetting, "say one of the two")
	case q.Replicas != nil && *q.Replicas < 0:
		return invalid(fmt.Sprintf("%d replicas", *q.Replicas), "0 or more")
	case q.otherReplicas():
		return invalid("Replicas beside another "+replicasSetting, "say one of the two")
	case q.RenamePrefix != "" && q.Replace:
		return invalid("Replace together with a rename prefix", "say one of the two")
	case q.Replace && q.blocksChanges():
		return errBlocksChanges
	case q.OtherShards && !q.Replace:
		return invalid("OtherShards without Replace", "only an index that is replaced has shards to compare")
	case q.RenamePrefix != "" && q.GlobalState:
		return invalid("global state together with renamed indices", "it would change what the originals use: restore it by itself")
	}
	for _, p := range q.Indices {
		if _, err := path.Match(strings.TrimPrefix(p, "-"), ""); err != nil || strings.ContainsAny(p, ", ") || p == "" {
			return invalid(fmt.Sprintf("pattern %q", p), "one pattern with * an entry")
		}
	}
	for name := range q.Settings {
		if !strings.HasPrefix(name, "index.") || name == "index.number_of_shards" || name == "index.version.created" {
			return invalid(fmt.Sprintf("setting %q cannot be replaced", name), "full names of index settings, such as index.number_of_replicas; shards cannot change")
		}
	}
	return nil
}

// blocksChanges reports whether the settings of the request keep what is restored from being cloned or deleted.
func (q Request) blocksChanges() bool {
	return slices.ContainsFunc(deletionBlocks, func(name string) bool { return q.Settings[name] != "" && q.Settings[name] != "false" })
}

var errBlocksChanges = invalid("a block of changes among the settings, with Replace or for a drill", "set it afterwards: an index with one can neither be cloned nor deleted")

// Selects reports whether the patterns let an index or a data stream through; the last that matches decides.
func (q Request) Selects(name string) bool {
	in := false
	for _, p := range q.withDefaults().Indices {
		pattern, negative := strings.CutPrefix(p, "-")
		if ok, _ := path.Match(pattern, name); ok {
			in = !negative
		}
	}
	return in
}

// tolerance is the share of documents by which an index may differ.
func (q Request) tolerance() float64 { return max(0, q.DocumentTolerance) }

// target is the name under which an index is restored. Backing indices of data streams keep their .ds- in front.
func (q Request) target(name, stream string) string {
	if rest, found := strings.CutPrefix(name, ".ds-"); found && stream != "" && q.RenamePrefix != "" {
		return ".ds-" + q.RenamePrefix + rest
	}
	return q.RenamePrefix + name
}

// makes reports whether a restore may make an index of this name.
func (q Request) makes(name string) bool {
	original, ours := strings.CutPrefix(name, q.RenamePrefix)
	if rest, found := strings.CutPrefix(name, ".ds-"+q.RenamePrefix); found && !ours {
		original, ours = ".ds-"+rest, true
	}
	if m := backingForm.FindStringSubmatch(original); m != nil && q.Selects(m[1]) {
		return ours
	}
	return ours && q.Selects(original)
}

var backingForm = regexp.MustCompile(`^(?:(?:shrink|partial|restored|downsample|fm-clone)-[^.]*)?\.ds-(.+)-\d{4}\.\d{2}\.\d{2}-\d{6,}$`)

// streamOf finds the data stream that an index backs, by its name: a snapshot's description does not say.
func streamOf(index string, streams []string) string {
	if m := backingForm.FindStringSubmatch(index); m != nil && slices.Contains(streams, m[1]) {
		return m[1]
	}
	return ""
}

// streamOf finds the data stream that an index of the snapshot backs. What ILM is just making of such an index, downsampled, is
// named like it and hidden like it, and backs nothing until it takes its place: a snapshot of all indices may hold both.
func (s *Snapshot) streamOf(index string) string {
	stream, at := streamOf(index, s.DataStreams), strings.Index(index, ".ds-")
	source := func(other string) bool { return strings.HasSuffix(other, index[at:]) && madeOf(index, other) }
	if stream != "" && at > 0 && slices.ContainsFunc(s.Indices, source) {
		return ""
	}
	return stream
}

// madeOf reports whether ILM makes an index of this name of the other one: it puts something before its name, or, of one that is
// downsampled already, a longer interval in the place of the other.
func madeOf(index, other string) bool {
	return strings.HasSuffix(index, "-"+other) || (interval(other) > 0 && interval(index) > interval(other))
}

var downsampledForm = regexp.MustCompile(`^downsample-(\d+)(ms|[smhd])-`)

// interval is by which an index of this name is downsampled; 0 when it is not.
func interval(index string) time.Duration {
	m := downsampledForm.FindStringSubmatch(index)
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1])
	units := map[string]time.Duration{"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}
	return time.Duration(n) * units[m[2]]
}
