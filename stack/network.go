package stack

import (
	"context"
	"fmt"
	"slices"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/poll"
)

// checkNetwork says whether an external network is there, and is an error when it cannot be used by services, or by side
// containers that join it.
func (s *Swarm) checkNetwork(ctx context.Context, name string, joined bool) (bool, error) {
	if name == "host" || name == "bridge" || name == "none" {
		return true, nil // of every engine
	}
	found, err := s.findNetwork(ctx, name)
	if err != nil || found == nil {
		return false, err
	}
	return true, usable(*found, joined)
}

// findNetwork returns nil when there is no network of this name. One that was made a moment ago has no driver yet, which
// is waited for.
func (s *Swarm) findNetwork(ctx context.Context, name string) (found *network.Network, err error) {
	ctx, cancel := limited(ctx, settle)
	defer cancel()
	err = poll.Until(ctx, poll.Interval{First: soonest}, func(ctx context.Context) (bool, string, error) {
		list, err := read(ctx, s, name, func(ctx context.Context) (client.NetworkListResult, error) {
			return s.api.NetworkList(ctx, client.NetworkListOptions{Filters: make(client.Filters).Add("name", name)})
		})
		if err != nil {
			return false, "", err
		}
		found = nil
		i := slices.IndexFunc(list.Items, func(n network.Summary) bool { return n.Name == name }) // the filter takes parts of names
		if i < 0 {
			return true, "", nil
		}
		found = &list.Items[i].Network
		return found.Driver != "", "network " + name + " to be made", nil
	})
	return found, err
}

func usable(n network.Network, joined bool) error {
	what := ""
	switch {
	case n.Driver != "overlay" || n.Scope != "swarm":
		what = fmt.Sprintf("is no overlay of the swarm (driver %s, scope %s)", n.Driver, n.Scope)
	case joined && !n.Attachable:
		what = "is not attachable, so that side containers cannot join it"
	default:
		return nil
	}
	return &nuvlaops.Error{Resource: n.Name, Reason: "network " + n.Name + " " + what, Err: nuvlaops.ErrRefused,
		Hint: fmt.Sprintf("when nothing uses it: docker network rm %s && docker network create --driver overlay --attachable %s", n.Name, n.Name)}
}

// createNetwork makes an attachable overlay. A reply that was lost is decided by looking.
func (s *Swarm) createNetwork(ctx context.Context, name string) error {
	_, err := s.api.NetworkCreate(ctx, name, client.NetworkCreateOptions{Driver: "overlay", Scope: "swarm", Attachable: true})
	there, lookErr := s.checkNetwork(ctx, name, true)
	switch {
	case lookErr != nil:
		return lookErr
	case there:
		s.opts.Logger.InfoContext(ctx, "network created", "network", name)
		return nil
	case err != nil:
		return explain(name, err)
	}
	return &nuvlaops.Error{Resource: name, Reason: "the network is not there after its creation", Err: nuvlaops.ErrVerification}
}
