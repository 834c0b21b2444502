package restore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
)

// findPolicies looks for the ILM policies that the templates of the data streams name. Which policy an index of the snapshot
// has is known only when it is restored: Apply's report says it then.
func (r *Repo) findPolicies(ctx context.Context, p *Plan) error {
	if len(p.DataStreams) == 0 || p.Request.GlobalState {
		return nil
	}
	if _, err := r.conn.ILMMode(ctx); err != nil {
		if errors.Is(err, nuvlaops.ErrUnsupported) {
			return nil
		}
		return err
	}
	global, err := r.conn.GlobalState(ctx)
	if err != nil {
		return err
	}
	for _, s := range p.DataStreams {
		target := p.Request.RenamePrefix + s
		policy, err := r.conn.TemplatePolicy(ctx, target)
		if err != nil {
			return err
		}
		if policy != "" && !slices.Contains(global[es.Policies], policy) {
			p.add(SeverityWarning, CodePolicy, target, "make the policy, or restore the global state",
				"the template of this data stream names ILM policy %s, which is not there: ILM would stop on its next index", policy)
		}
	}
	return nil
}

// missingPolicies says which policies the restored indices name that are not there. A data stream is named itself: it
// has hundreds of indices after a year.
func (a *application) missingPolicies(ctx context.Context, w world) error {
	used := map[string][]string{}
	for _, x := range w {
		name := x.planned.Target
		if x.planned.Stream != "" {
			name = a.plan.Request.RenamePrefix + x.planned.Stream
		}
		if x.policy != "" && !slices.Contains(used[x.policy], name) {
			used[x.policy] = append(used[x.policy], name)
		}
	}
	if len(used) == 0 {
		return nil
	}
	global, err := a.conn.GlobalState(ctx)
	if err != nil {
		return err
	}
	for _, policy := range slices.Sorted(maps.Keys(used)) {
		if !slices.Contains(global[es.Policies], policy) {
			a.report.NotVerified = append(a.report.NotVerified, fmt.Sprintf("ILM policy %s is not there, and ILM stops with an error on: %s", policy, some(used[policy])))
		}
	}
	return nil
}
