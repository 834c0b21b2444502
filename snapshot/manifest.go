package snapshot

import (
	"encoding/json"
	"io"
	"slices"
	"time"

	"github.com/nuvla/nuvlaops/internal/es"
)

const metaPinned = "pinned"

// Manifest says how many documents each index held around a snapshot, so that a restore can be checked. An index that
// nobody wrote to meanwhile has the same number before and after, and in the snapshot; of one that only grew the snapshot
// holds a number between the two.
//
// What is known before is also in the snapshot's metadata, as far as its 1,024 bytes go: List and Get return that, with
// the smallest indices left out. The whole is returned by the Create that began the snapshot, and written where
// CreateRequest.Manifest says.
type Manifest struct {
	Repository string    `json:"repository"`
	Snapshot   string    `json:"snapshot"`
	UUID       string    `json:"uuid"`
	RunID      string    `json:"run_id"`
	Start      time.Time `json:"start"`
	End        time.Time `json:"end,omitzero"`
	// Indices by name.
	Indices map[string]IndexManifest `json:"indices"`
	// LeftOut is the number of indices that are not in Indices, for lack of room in the metadata.
	LeftOut int `json:"left_out,omitempty"`
	// Documents of all indices before, those left out included.
	Documents int64 `json:"documents"`
	// Digest of the documents by index before, those left out included: the same for the same counts. Sixteen hexadecimal digits of
	// a SHA-256.
	Digest string `json:"digest"`
}

// IndexManifest is the number of documents of one index, nested ones included.
type IndexManifest struct {
	UUID   string `json:"uuid,omitempty"`
	Before int64  `json:"before"`
	// After is nil when it is not known: the snapshot's metadata are written at its start.
	After *int64 `json:"after,omitempty"`
}

// manifestOf is what the metadata of a snapshot hold.
func manifestOf(i es.SnapshotInfo, m es.Manifest) *Manifest {
	out := &Manifest{Repository: i.Repository, Snapshot: i.Name, UUID: i.UUID, RunID: i.RunID(), Start: i.Start, End: i.End,
		Indices: make(map[string]IndexManifest, len(m.Documents)), LeftOut: m.Indices - len(m.Documents), Documents: m.Total, Digest: m.Digest}
	for name, n := range m.Documents {
		out.Indices[name] = IndexManifest{Before: n}
	}
	return out
}

// wholeManifest is what Create has counted. Without a count after, After stays nil.
func wholeManifest(i es.SnapshotInfo, before, after map[string]es.IndexDocuments) *Manifest {
	out := manifestOf(i, es.NewManifest(counts(before)))
	for name, b := range before {
		im := IndexManifest{UUID: b.UUID, Before: b.Documents}
		if a, there := after[name]; there && a.UUID == b.UUID {
			im.After = &a.Documents
		}
		out.Indices[name] = im
	}
	return out
}

// MissingIndices names, in order, what the manifest has counted and the snapshot does not hold: an index that was deleted right
// before the snapshot began, or one that it missed. It needs the names of the indices, as Get returns them.
func (s Snapshot) MissingIndices() []string {
	if s.Manifest == nil {
		return nil
	}
	var missing []string
	for name := range s.Manifest.Indices {
		if !slices.Contains(s.Indices, name) {
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
	return missing
}

func counts(documents map[string]es.IndexDocuments) map[string]int64 {
	out := make(map[string]int64, len(documents))
	for name, d := range documents {
		out[name] = d.Documents
	}
	return out
}

func (m *Manifest) write(to io.Writer) error {
	enc := json.NewEncoder(to)
	enc.SetIndent("", "  ")
	return enc.Encode(m)
}
