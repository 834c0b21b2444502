package snapshot

import (
	"context"
	"errors"
	"slices"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
)

// Unreadable names the snapshots that the repository has and cannot describe, since an object of theirs is damaged or gone.
// List leaves them out, as Elasticsearch does. What is removed or ends meanwhile is none of them. It reads the names, and where
// some of them are not among those that the caller says that List has yielded, lists those, and reads the names once more. Errors: as
// List, and ErrRepository where the store lets nothing be read, which damages no snapshot.
func (r *Repo) Unreadable(ctx context.Context, listed ...string) ([]string, error) {
	names, err := r.unreadable(ctx, listed)
	return names, nuvlaops.Wrap("snapshot.Unreadable", r.name, err)
}

func (r *Repo) unreadable(ctx context.Context, listed []string) ([]string, error) {
	names, err := r.conn.SnapshotNames(ctx, r.name)
	if err != nil {
		return nil, r.explain(ctx, err)
	}
	described := map[string]bool{}
	for _, name := range listed {
		described[name] = true
	}
	known := func(name string) bool { return described[name] }
	if names = slices.DeleteFunc(names, known); len(names) == 0 {
		return nil, nil
	}
	for s, err := range r.List(ctx, Filter{Names: names}) {
		if err != nil {
			return nil, err
		}
		described[s.Name] = true
	}
	if names = slices.DeleteFunc(names, known); len(names) == 0 {
		return nil, nil
	}
	still, err := r.conn.SnapshotNames(ctx, r.name)
	if err != nil {
		return nil, r.explain(ctx, err)
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !slices.Contains(still, name) })
	if len(names) > 0 {
		if _, err := r.get(ctx, names[0]); refused(err) {
			return nil, err
		}
	}
	return names, nil
}

// refused tells a store that is away, or a key that may not read, from an object that is damaged or gone.
func refused(err error) bool {
	var server *es.ServerError
	return errors.Is(err, nuvlaops.ErrRepository) && errors.As(err, &server) && !server.Has("no_such_file_exception")
}
