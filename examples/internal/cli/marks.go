package cli

import (
	"context"
	"slices"

	"github.com/nuvla/nuvlaops/snapshot"
)

// ForgetMarks removes the marks of snapshots that are gone. Where none of them is marked the file is only read: whoever prunes
// need not be allowed to write what others have pinned.
func ForgetMarks(ctx context.Context, path string, uuids []string) error {
	marks, err := snapshot.ReadMarks(path)
	if err != nil {
		return err
	}
	marked := func(uuid string) bool { _, found := marks[uuid]; return found }
	if !slices.ContainsFunc(uuids, marked) {
		return nil
	}
	return snapshot.UpdateMarks(ctx, path, func(m snapshot.Marks) error {
		for _, uuid := range uuids {
			delete(m, uuid)
		}
		return nil
	})
}
