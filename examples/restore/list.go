package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/snapshot"
)

// list shows the snapshots, the newest first, with what drills have found.
func (p *program) list(ctx context.Context) error {
	all := []snapshot.Snapshot{} // empty is [], not null
	var names []string
	for s, err := range p.snapshots.List(ctx, snapshot.Filter{NewestFirst: true}) {
		if err != nil {
			return err
		}
		all, names = append(all, s), append(names, s.Name)
	}
	if err := cli.NoteUnreadable(ctx, p.screen, p.bare, names); err != nil {
		return err
	}
	if p.json {
		enc := json.NewEncoder(p.stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(all)
	}
	_, err := fmt.Fprint(p.stdout, table(all))
	return err
}

func table(all []snapshot.Snapshot) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SNAPSHOT\tSTATE\tBEGAN\tSHARDS\tDOCUMENTS\tDRILL\tRTO")
	for _, s := range all {
		state := s.State
		if s.State == snapshot.Success && !s.Complete() {
			state = "INCOMPLETE"
		}
		documents, drill, rto := "-", "-", "-"
		if s.Manifest != nil {
			documents = fmt.Sprint(s.Manifest.Documents)
		}
		if v := s.Verified; v != nil {
			drill, rto = v.At.UTC().Format(time.RFC3339), time.Duration(v.RTO*float64(time.Second)).Round(100*time.Millisecond).String()
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d/%d\t%s\t%s\t%s\n", nuvlaops.OneLine(s.Name), nuvlaops.OneLine(state), s.Start.UTC().Format(time.RFC3339),
			s.Shards.Successful, s.Shards.Total, documents, drill, rto)
	}
	_ = w.Flush()
	return b.String()
}

// names are the snapshots that a drill has restored.
func (p *program) names(ctx context.Context) ([]string, error) {
	names := []string{} // none is not the same as any
	for s, err := range p.snapshots.List(ctx, snapshot.Filter{Complete: true}) {
		if err != nil {
			return nil, err
		}
		if s.Verified != nil {
			names = append(names, s.Name)
		}
	}
	return names, nil
}
