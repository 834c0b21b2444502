package snapshot

import (
	"context"
	"slices"

	"github.com/nuvla/nuvlaops"
)

// Unreadable names the snapshots that the repository has and cannot describe, since an object of theirs is damaged or gone.
// List leaves them out, as Elasticsearch does. It reads the list twice, and once more where it finds some: what is removed or
// ends meanwhile is none of them. Errors: as List.
func (r *Repo) Unreadable(ctx context.Context) ([]string, error) {
	names, err := r.unreadable(ctx)
	return names, nuvlaops.Wrap("snapshot.Unreadable", r.name, err)
}

func (r *Repo) unreadable(ctx context.Context) ([]string, error) {
	names, err := r.conn.SnapshotNames(ctx, r.name)
	if err != nil {
		return nil, r.explain(ctx, err)
	}
	described := map[string]bool{}
	for s, err := range r.List(ctx, Filter{}) {
		if err != nil {
			return nil, err
		}
		described[s.Name] = true
	}
	names = slices.DeleteFunc(names, func(name string) bool { return described[name] })
	if len(names) == 0 {
		return nil, nil
	}
	still, err := r.conn.SnapshotNames(ctx, r.name)
	if err != nil {
		return nil, r.explain(ctx, err)
	}
	return slices.DeleteFunc(names, func(name string) bool { return !slices.Contains(still, name) }), nil
}
