package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/internal/units"
	"github.com/nuvla/nuvlaops/snapshot"
)

// list prints a table row by row, so a long list costs no memory but for its names.
func (p *program) list(ctx context.Context) error {
	listing := p.listTable
	if p.json {
		listing = p.listJSON
	}
	names, err := listing(ctx)
	if err != nil {
		return err
	}
	return cli.NoteUnreadable(ctx, p.screen, p.bare, names)
}

// listTable returns the names that it has printed.
func (p *program) listTable(ctx context.Context) (names []string, err error) {
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tSTATE\tSTARTED\tTOOK\tSHARDS\tDOCUMENTS\tNOTES")
	for s, err := range p.repo.List(ctx, p.filter) {
		if err != nil && len(names) == 0 { // a table of nothing would say that there is none
			return nil, err
		}
		if err != nil {
			return nil, errors.Join(w.Flush(), err)
		}
		row(w, s)
		if names = append(names, s.Name); len(names)%1000 == 0 {
			if err := w.Flush(); err != nil {
				return nil, err
			}
		}
	}
	return names, w.Flush()
}

// named is the snapshot that was named.
func (p *program) named(ctx context.Context) (*snapshot.Snapshot, error) {
	s, err := p.repo.Get(ctx, p.names[0])
	if errors.Is(err, nuvlaops.ErrNotFound) {
		err = fmt.Errorf("%w: see snapshots list for the names", err)
	}
	return s, err
}

func row(w *tabwriter.Writer, s snapshot.Snapshot) {
	documents, took := "-", "-"
	if s.Manifest != nil {
		documents = strconv.FormatInt(s.Manifest.Documents, 10)
	}
	if !s.End.IsZero() {
		took = s.Duration().Round(100 * time.Millisecond).String()
	}
	fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d/%d\t%s\t%s\n", nuvlaops.OneLine(s.Name), nuvlaops.OneLine(s.State), s.Start.UTC().Format(time.RFC3339), took,
		s.Shards.Successful, s.Shards.Total, documents, strings.Join(notes(s), ", "))
}

// notes are what retention looks at beside the rules.
func notes(s snapshot.Snapshot) []string {
	var out []string
	if s.Pinned {
		out = append(out, "pinned")
	}
	if s.Verified != nil {
		out = append(out, "restored by a drill "+s.Verified.At.UTC().Format("2006-01-02"))
	}
	if !s.Ours() {
		out = append(out, "of another tool")
	}
	return out
}

// listJSON prints one array, an element at a time, and returns the names in it.
func (p *program) listJSON(ctx context.Context) (names []string, err error) {
	sep := "["
	for s, err := range p.repo.List(ctx, p.filter) {
		if err != nil {
			return nil, err
		}
		raw, err := json.Marshal(s)
		if err != nil {
			return nil, err
		}
		if _, err := fmt.Fprintf(p.stdout, "%s\n%s", sep, raw); err != nil {
			return nil, err
		}
		sep, names = ",", append(names, s.Name)
	}
	if sep == "[" {
		fmt.Fprint(p.stdout, sep)
	}
	_, err = fmt.Fprint(p.stdout, "\n]\n")
	return names, err
}

func (p *program) show(ctx context.Context) error {
	s, err := p.named(ctx)
	if err != nil {
		return err
	}
	if p.json {
		return p.print(s)
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%s\t%s\n", name, nuvlaops.OneLine(fmt.Sprintf(format, args...)))
	}
	line("name", "%s", s.Name)
	line("repository", "%s", s.Repository)
	line("uuid", "%s", s.UUID)
	line("state", "%s", s.State)
	line("started", "%s", s.Start.UTC().Format(time.RFC3339))
	if !s.End.IsZero() {
		line("ended", "%s", s.End.UTC().Format(time.RFC3339))
	}
	line("shards", "%d of %d", s.Shards.Successful, s.Shards.Total)
	line("size", "%s", units.Bytes(s.Bytes))
	line("indices", "%d", len(s.Indices))
	if len(s.DataStreams) > 0 {
		line("data streams", "%s", strings.Join(s.DataStreams, ", "))
	}
	line("global state", "%v", s.GlobalState)
	if s.Manifest != nil {
		line("documents", "%d", s.Manifest.Documents)
	}
	line("taken by", "%s", takenBy(s))
	if n := notes(*s); len(n) > 0 {
		line("notes", "%s", strings.Join(n, ", "))
	}
	for _, f := range s.Failures {
		line("missing", "%s[%d]: %s", f.Index, f.Shard, f.Reason)
	}
	return w.Flush()
}

func takenBy(s *snapshot.Snapshot) string {
	if s.Ours() {
		return "run " + s.RunID
	}
	return "another tool"
}

func (p *program) print(v any) error {
	enc := json.NewEncoder(p.stdout)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// verified is what verify prints with -json.
type verified struct {
	Repository string              `json:"repository"`
	Nodes      []string            `json:"nodes"`
	Snapshots  []*snapshot.Checked `json:"snapshots"`
	Error      string              `json:"error,omitempty"`
}

// verify looks at all that were named, and fails with the first failure.
func (p *program) verify(ctx context.Context) error {
	out := verified{Repository: p.repository, Snapshots: []*snapshot.Checked{}}
	err := p.check(ctx, &out)
	if err != nil {
		out.Error = err.Error()
	}
	if p.json {
		return errors.Join(err, p.print(out))
	}
	if len(out.Nodes) > 0 {
		fmt.Fprintf(p.stdout, "repository %s: verified by %s\n", p.repository, strings.Join(out.Nodes, ", "))
	}
	for _, c := range out.Snapshots {
		fmt.Fprintf(p.stdout, "%s: %s, %d of %d shards, %d files, %s\n", nuvlaops.OneLine(c.Snapshot.Name), c.Snapshot.State, c.Shards, c.Snapshot.Shards.Total, c.Files, units.Bytes(c.Bytes))
	}
	return err
}

func (p *program) check(ctx context.Context, out *verified) (err error) {
	if out.Nodes, err = p.bare.Verify(ctx); err != nil {
		return err
	}
	names := p.names
	if len(names) == 0 {
		newest, err := p.newest(ctx)
		if err != nil {
			return err
		}
		names = []string{newest}
	}
	for _, name := range names {
		c, failed := p.bare.Check(ctx, name)
		if failed == nil {
			out.Snapshots = append(out.Snapshots, c)
		}
		if err == nil {
			err = failed
		}
	}
	return err
}

func (p *program) newest(ctx context.Context) (string, error) {
	for s, err := range p.bare.List(ctx, snapshot.Filter{Complete: true, NewestFirst: true}) {
		return s.Name, err
	}
	return "", &nuvlaops.Error{Op: "verify", Resource: p.repository, Reason: "no snapshot is complete", Hint: "take one", Err: nuvlaops.ErrNotFound}
}
