package snapshot

import (
	"context"
	"fmt"
	"slices"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
)

// holdsItsManifest is for a snapshot that was adopted: the call that began it may have found that an index is missing. One
// that is gone by now was deleted while the snapshot ran.
func (w *run) holdsItsManifest(ctx context.Context, s Snapshot) error {
	missing := s.MissingIndices()
	if len(missing) == 0 {
		return nil
	}
	there, err := w.conn.VisibleDocuments(ctx, w.req.Indices...)
	if err != nil {
		return fmt.Errorf("the snapshot is complete, but its indices could not be compared with those that are there: %w", err)
	}
	for _, name := range missing {
		if _, still := there[name]; still {
			return notInSnapshot(name)
		}
	}
	return nil
}

// verifyContents compares the indices of the snapshot with those that were there before and after.
func verifyContents(s Snapshot, before, after map[string]es.IndexDocuments) error {
	for name, b := range before {
		a, still := after[name]
		if still && a.UUID == b.UUID && !slices.Contains(s.Indices, name) {
			return notInSnapshot(name)
		}
	}
	return nil
}

func notInSnapshot(index string) error {
	return &nuvlaops.Error{Reason: "index " + index + " is not in the snapshot", Err: nuvlaops.ErrVerification,
		Hint: "take another one, and look for what changed the index meanwhile"}
}
