package cli

import (
	"context"
	"strings"
)

// NoteUnreadable says which snapshots a list leaves out since they cannot be described. listed are those that it has.
func NoteUnreadable(ctx context.Context, screen *Screen, repo interface {
	Unreadable(ctx context.Context, listed ...string) ([]string, error)
}, listed []string) error {
	names, err := repo.Unreadable(ctx, listed...)
	if err == nil && len(names) > 0 {
		screen.Printf("UNREADABLE, and not in the list: %s. Objects of theirs are damaged or gone: put them back from a copy of the "+
			"repository, or delete these snapshots", strings.Join(names, ", "))
	}
	return err
}
