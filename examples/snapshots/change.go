package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/snapshot"
)

// pruned is what prune prints with -json.
type pruned struct {
	*snapshot.Plan
	Removed []string `json:"removed"` // what is gone; nothing with -dry-run
}

func (p *program) prune(ctx context.Context) error {
	plan, err := snapshot.PlanPrune(ctx, p.repo, p.policy)
	if err != nil {
		return err
	}
	out := pruned{Plan: plan, Removed: []string{}}
	if !p.json {
		if _, err := fmt.Fprint(p.stdout, table(plan)); err != nil {
			return err
		}
	}
	var marks error
	if !p.dryRun && len(plan.Removed()) > 0 {
		if p.json && p.yes == "" {
			p.screen.Text(table(plan)) // what is confirmed
		}
		if err := p.confirm(ctx, fmt.Sprintf("%d snapshots will be removed.", len(plan.Removed()))); err != nil {
			return err
		}
		if out.Removed, err = snapshot.Prune(ctx, p.repo, plan); err != nil {
			if len(out.Removed) > 0 {
				p.screen.Printf("removed before it failed: %s", strings.Join(out.Removed, ", "))
			}
			return err
		}
		var uuids []string
		for _, d := range plan.Decisions {
			if !d.Keep {
				uuids = append(uuids, d.UUID)
			}
		}
		marks = p.forget(ctx, uuids)
	}
	if p.json {
		return errors.Join(marks, p.print(out))
	}
	_, err = fmt.Fprintf(p.stdout, "%d kept, %d to remove, %d removed\n", len(plan.Decisions)-len(plan.Removed()), len(plan.Removed()), len(out.Removed))
	return errors.Join(marks, err)
}

// forget removes the marks of what is gone. What is printed says that it is gone, whether that works or not.
func (p *program) forget(ctx context.Context, uuids []string) error {
	if err := cli.ForgetMarks(ctx, p.marks, uuids); err != nil {
		return fmt.Errorf("the snapshots are gone, but their marks are not (-marks): %w", err)
	}
	return nil
}

func table(plan *snapshot.Plan) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tSTATE\tSTARTED\t\tWHY")
	for _, d := range plan.Decisions {
		what := "remove"
		if d.Keep {
			what = "keep"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", nuvlaops.OneLine(d.Name), nuvlaops.OneLine(d.State), d.Start.UTC().Format(time.RFC3339), what, strings.Join(d.Reasons, ", "))
	}
	_ = w.Flush()
	return b.String()
}

func (p *program) pin(ctx context.Context) error {
	s, err := p.named(ctx)
	if err != nil {
		return err
	}
	err = snapshot.UpdateMarks(ctx, p.marks, func(m snapshot.Marks) error {
		m.Pin(s.Repository, s.Name, s.UUID, snapshot.Pin{At: time.Now().UTC().Truncate(time.Second), Reason: p.reason})
		return nil
	})
	if err != nil {
		return err
	}
	return p.said(ctx, s.Name, "pinned")
}

func (p *program) unpin(ctx context.Context) error {
	s, err := p.named(ctx)
	if err != nil {
		return err
	}
	if err := snapshot.UpdateMarks(ctx, p.marks, func(m snapshot.Marks) error { m.Unpin(s.UUID); return nil }); err != nil {
		return err
	}
	return p.said(ctx, s.Name, "unpinned")
}

// said prints what the snapshot is now, read again. One that was taken as pinned cannot be unpinned.
func (p *program) said(ctx context.Context, name, what string) error {
	s, err := p.repo.Get(ctx, name)
	switch {
	case err != nil:
		return err
	case s.Pinned != (what == "pinned"):
		return &nuvlaops.Error{Op: p.command, Resource: p.repository + "/" + name, Reason: "it was taken to be kept for good, which cannot be changed",
			Hint: "delete it with snapshots delete -pinned, if it must go", Err: nuvlaops.ErrRefused}
	case p.json:
		return p.print(s)
	}
	_, err = fmt.Fprintf(p.stdout, "%s is %s\n", name, what)
	return err
}

// delete removes what is named, when all of it is there or gone already, and none of it is pinned or running.
func (p *program) delete(ctx context.Context) error {
	for _, name := range p.names { // a pattern would delete what nobody has looked at
		if err := snapshot.ValidateName(name); err != nil {
			return cli.Usagef("%w", err)
		}
	}
	uuids, n, err := p.deletable(ctx)
	if err != nil {
		return err
	}
	if n > 0 {
		if err := p.confirm(ctx, fmt.Sprintf("%d snapshots will be removed.", n)); err != nil {
			return err
		}
	}
	if err := p.bare.Delete(ctx, p.names...); err != nil {
		return err
	}
	marks := p.forget(ctx, uuids)
	if p.json {
		return errors.Join(marks, p.print(map[string]any{"removed": p.names}))
	}
	_, err = fmt.Fprintf(p.stdout, "gone: %s\n", strings.Join(p.names, ", "))
	return errors.Join(marks, err)
}

// deletable counts what is there of the names, and returns the UUIDs of what can be described. What cannot, though it may be
// for a moment only, may be pinned.
func (p *program) deletable(ctx context.Context) (uuids []string, n int, err error) {
	refuse := func(name, reason, hint string) error {
		return &nuvlaops.Error{Op: "delete", Resource: p.repository + "/" + name, Reason: reason, Hint: hint, Err: nuvlaops.ErrRefused}
	}
	var listed []string
	for s, err := range p.repo.List(ctx, snapshot.Filter{Names: p.names}) {
		switch {
		case err != nil:
			return nil, 0, err
		case s.Pinned && !p.pinned:
			return nil, 0, refuse(s.Name, "it is pinned", "unpin it, or say -pinned")
		case s.Running():
			return nil, 0, refuse(s.Name, "it is running", "wait for its end")
		}
		uuids, listed = append(uuids, s.UUID), append(listed, s.Name)
	}
	missing := slices.DeleteFunc(slices.Clone(p.names), func(name string) bool { return slices.Contains(listed, name) })
	if len(missing) == 0 {
		return uuids, len(listed), nil
	}
	unreadable, err := p.bare.Unreadable(ctx, listed...)
	if err != nil {
		return nil, 0, err
	}
	for _, name := range unreadable {
		switch {
		case !slices.Contains(missing, name):
			continue
		case !p.pinned:
			return nil, 0, refuse(name, "it cannot be described, so that nobody knows whether it is pinned", "look again, or say -pinned")
		}
		listed = append(listed, name)
	}
	return uuids, len(listed), nil
}

// confirm asks for the name of the repository, unless -yes gave it.
func (p *program) confirm(ctx context.Context, what string) error {
	name := p.yes
	if name == "" {
		p.screen.Text(what + " Type the name of the repository to go on: ")
		var err error
		if name, err = cli.ReadLine(ctx, p.stdin); err != nil {
			return err
		}
	}
	if name != p.repository {
		return &nuvlaops.Error{Op: p.command, Resource: p.repository, Reason: fmt.Sprintf("%q is not the name of the repository", name),
			Hint: "nothing was removed; type " + p.repository + ", or give it with -yes", Err: nuvlaops.ErrRefused}
	}
	return nil
}
