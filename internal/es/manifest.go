package es

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Keys of a snapshot's metadata that this SDK writes. All values are strings, readable with curl.
const (
	metaTakenBy  = "taken_by"
	metaRunID    = "run_id"
	metaPrefix   = "documents_prefix"
	metaDocs     = "documents"
	metaTotal    = "documents_total"
	metaIndices  = "documents_indices"
	metaDigest   = "documents_digest"
	takenBy      = "nuvlaops"
	wholeName    = "/" // before a name that does not begin with the common prefix; no index name may hold it
	metaOverhead = 6   // bytes that an entry may cost beside its key and its value
)

// MaxMetadata is Elasticsearch's limit on a snapshot's metadata, in bytes of its own binary form.
const MaxMetadata = 1024

// Manifest says how many documents each index held right before its snapshot began. An index that is written to
// meanwhile may hold others in the snapshot.
type Manifest struct {
	// Documents by index. Where the 1,024 bytes of a snapshot's metadata did not hold all, the smallest are left out.
	Documents map[string]int64
	// Total is the number of documents of all indices, Indices the number of indices: those left out included.
	Total   int64
	Indices int
	// Digest is over all indices and their documents, those left out included: compare it with Digest of other counts.
	Digest string
}

// NewManifest makes the manifest of these counts.
func NewManifest(documents map[string]int64) Manifest {
	m := Manifest{Documents: maps.Clone(documents), Indices: len(documents), Digest: Digest(documents)}
	for _, n := range documents {
		m.Total += n
	}
	return m
}

// Whole reports whether no index is left out.
func (m Manifest) Whole() bool { return len(m.Documents) == m.Indices }

// Digest is a short digest of documents by index, the same for the same counts.
func Digest(documents map[string]int64) string {
	h := sha256.New()
	for _, index := range slices.Sorted(maps.Keys(documents)) {
		fmt.Fprintf(h, "%s=%d\n", index, documents[index])
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// Metadata makes the metadata of a snapshot from the identifier of its run and its manifest, within MaxMetadata beside
// further entries. The largest indices come first; what does not fit is left out and counted.
func Metadata(runID string, m Manifest, further map[string]string) map[string]any {
	out := map[string]any{metaTakenBy: takenBy, metaRunID: runID}
	for k, v := range further {
		out[k] = v
	}
	if m.Indices == 0 {
		return out
	}
	prefix := commonPrefix(m.Documents)
	out[metaPrefix], out[metaDigest] = prefix, m.Digest
	out[metaTotal], out[metaIndices] = strconv.FormatInt(m.Total, 10), strconv.Itoa(m.Indices)
	room := MaxMetadata - MetadataSize(out) - len(metaDocs) - metaOverhead
	out[metaDocs] = packDocuments(m.Documents, prefix, room)
	return out
}

// MetadataSize is at least what Elasticsearch will count for these entries of strings.
func MetadataSize(metadata map[string]any) int {
	size := metaOverhead
	for k, v := range metadata {
		size += len(k) + len(fmt.Sprint(v)) + metaOverhead
	}
	return size
}

func packDocuments(documents map[string]int64, prefix string, room int) string {
	names := slices.SortedFunc(maps.Keys(documents), func(a, b string) int {
		if d := documents[b] - documents[a]; d != 0 {
			return int(max(-1, min(1, d)))
		}
		return strings.Compare(a, b)
	})
	var b strings.Builder
	for _, name := range names {
		short, found := strings.CutPrefix(name, prefix)
		if !found {
			short = wholeName + name
		}
		entry := short + "=" + strconv.FormatInt(documents[name], 10)
		if b.Len()+1+len(entry) > room {
			break // a smaller index with a shorter name might fit; but then nobody could say which are missing
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(entry)
	}
	return b.String()
}

// commonPrefix is the beginning up to a '-' that most names share: "nuvla-".
func commonPrefix(documents map[string]int64) string {
	votes := map[string]int{}
	for name := range documents {
		if i := strings.IndexByte(name, '-'); i > 0 {
			votes[name[:i+1]]++
		}
	}
	best := ""
	for _, p := range slices.Sorted(maps.Keys(votes)) {
		if votes[p] > votes[best] {
			best = p
		}
	}
	return best
}

// RunID is the identifier of the run of this SDK that took the snapshot; empty when another tool did.
func (s SnapshotInfo) RunID() string {
	if s.text(metaTakenBy) != takenBy {
		return ""
	}
	return s.text(metaRunID)
}

// Manifest returns the documents by index that the snapshot's metadata hold, and false when there are none, or none that could be.
func (s SnapshotInfo) Manifest() (Manifest, bool) {
	if s.text(metaTakenBy) != takenBy || s.text(metaDigest) == "" {
		return Manifest{}, false
	}
	m := Manifest{Documents: map[string]int64{}, Digest: s.text(metaDigest)}
	var err1, err2 error
	m.Total, err1 = strconv.ParseInt(s.text(metaTotal), 10, 64)
	m.Indices, err2 = strconv.Atoi(s.text(metaIndices))
	if err1 != nil || err2 != nil || m.Total < 0 {
		return Manifest{}, false
	}
	for _, entry := range strings.Fields(s.text(metaDocs)) {
		at := strings.LastIndexByte(entry, '=')
		if at < 0 {
			return Manifest{}, false
		}
		n, err := strconv.ParseInt(entry[at+1:], 10, 64)
		if err != nil || n < 0 {
			return Manifest{}, false
		}
		name, whole := strings.CutPrefix(entry[:at], wholeName)
		if !whole {
			name = s.text(metaPrefix) + name
		}
		m.Documents[name] = n
	}
	if m.Indices < len(m.Documents) {
		return Manifest{}, false
	}
	return m, true
}

func (s SnapshotInfo) text(key string) string {
	v, _ := s.Metadata[key].(string)
	return v
}

// ReservedMetadata are the keys that Metadata writes.
func ReservedMetadata() []string {
	return []string{metaTakenBy, metaRunID, metaPrefix, metaDocs, metaTotal, metaIndices, metaDigest}
}
