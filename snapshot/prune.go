package snapshot

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nuvla/nuvlaops"
)

// PlanPrune reads the snapshots of a repository and decides on each. It changes nothing. Errors: ErrInvalid (the policy), and
// those of List.
func PlanPrune(ctx context.Context, repo SnapshotRepo, policy Policy) (*Plan, error) {
	plan, _, err := planPrune(ctx, repo, policy)
	return plan, err
}

// planPrune returns beside the plan what it was made of.
func planPrune(ctx context.Context, repo SnapshotRepo, policy Policy) (*Plan, []Snapshot, error) {
	if err := policy.Validate(); err != nil {
		return nil, nil, nuvlaops.Wrap("snapshot.PlanPrune", "policy", err)
	}
	all, err := collect(ctx, repo)
	if err != nil {
		return nil, nil, err
	}
	plan, err := policy.Plan(all)
	return plan, all, err
}

func collect(ctx context.Context, repo SnapshotRepo) ([]Snapshot, error) {
	var all []Snapshot
	for s, err := range repo.List(ctx, Filter{}) {
		if err != nil {
			return nil, err
		}
		if s.Manifest != nil { // the rest is not needed, and most of the memory of a long list
			s.Manifest = &Manifest{Documents: s.Manifest.Documents}
		}
		all = append(all, s)
	}
	return all, nil
}

// Prune removes what the plan removes, and returns the names that are gone, also beside an error of a deletion (none, where
// the repository cannot be listed then). It refuses with ErrConflict a plan that is stale: when a snapshot has appeared, has
// changed, or is gone that the plan keeps. What the plan removes may be gone already, so a call after a crash or a lost reply
// ends the work. A plan that was tampered with so that it breaks one of its policy's promises is ErrRefused, no plan ErrInvalid.
// Other errors: those of List and Delete.
func Prune(ctx context.Context, repo SnapshotRepo, plan *Plan) ([]string, error) {
	if plan == nil {
		return nil, nuvlaops.Wrap("snapshot.Prune", "", invalid("no plan", "make one with PlanPrune"))
	}
	all, err := collect(ctx, repo)
	if err != nil {
		return nil, err
	}
	return prune(ctx, repo, plan, all)
}

// prune is Prune by the snapshots that are there now.
func prune(ctx context.Context, repo SnapshotRepo, plan *Plan, all []Snapshot) ([]string, error) {
	if err := plan.stillHolds(all); err != nil {
		return nil, nuvlaops.Wrap("snapshot.Prune", plan.Repository, err)
	}
	removed := plan.Removed()
	if len(removed) == 0 {
		return nil, nil
	}
	err := repo.Delete(ctx, removed...)
	if err != nil && !errors.Is(err, errFilesStay) {
		return gone(ctx, repo, removed), err
	}
	return removed, err
}

// gone are those of the names that are there no more, as far as the repository can be listed. One batch is deleted as a whole or
// not at all.
func gone(ctx context.Context, repo SnapshotRepo, names []string) []string {
	several := 0
	for range batches(names) {
		several++
	}
	if several < 2 {
		return nil
	}
	left, err := namesLeft(ctx, repo, names)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return slices.Contains(left, name) })
}

// namesLeft goes by the repository's own list of names, where there is one: List leaves out what cannot be described, as while
// the store is away that a deletion has failed for.
func namesLeft(ctx context.Context, repo SnapshotRepo, names []string) (left []string, err error) {
	if m, is := repo.(marked); is {
		repo = m.SnapshotRepo
	}
	if r, is := repo.(*Repo); is {
		return r.existing(ctx, names)
	}
	all, err := collect(ctx, repo)
	for _, s := range all {
		left = append(left, s.Name)
	}
	return left, err
}

// stillHolds compares the plan with what is there now.
func (p *Plan) stillHolds(all []Snapshot) error {
	now := map[string]Snapshot{}
	for _, s := range all {
		now[s.Name] = s
	}
	stale := func(name, what string) error {
		return &nuvlaops.Error{Reason: fmt.Sprintf("snapshot %s %s since the plan was made", name, what), Hint: "plan again", Err: nuvlaops.ErrConflict}
	}
	for _, d := range p.Decisions {
		s, there := now[d.Name]
		switch {
		case !there && !d.Keep: // it is gone already
		case !there:
			return stale(d.Name, "is gone")
		case s.UUID != d.UUID || s.State != d.State:
			return stale(d.Name, "has changed")
		}
		delete(now, d.Name)
	}
	for name := range now {
		return stale(name, "has appeared")
	}
	return p.recheck(all)
}

// recheck plans again what is there: each removal of it must be one that the policy still wants.
func (p *Plan) recheck(all []Snapshot) error {
	again, err := p.Policy.Plan(all)
	if err != nil {
		return err
	}
	kept := map[string]bool{}
	for _, d := range again.Decisions {
		kept[d.Name] = d.Keep
	}
	for _, name := range p.Removed() {
		if kept[name] {
			return &nuvlaops.Error{Reason: "the plan removes " + name + ", which its policy keeps", Hint: "plan again", Err: nuvlaops.ErrRefused}
		}
	}
	return nil
}
