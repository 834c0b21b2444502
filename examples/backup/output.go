package main

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/internal/units"
	"github.com/nuvla/nuvlaops/snapshot"
)

// output prints the lines that today's script prints, or JSON lines.
type output struct {
	text   io.Writer // nil with JSON
	log    *slog.Logger
	screen *cli.Screen // nil without -progress
	busy   string      // what was waited for last
}

func newOutput(c *config, stdout, stderr io.Writer) *output {
	var screen *cli.Screen
	if c.progress {
		screen = cli.NewScreen(stderr)
		stdout, stderr = screen.Over(stdout), screen.Over(stderr)
	}
	o := &output{text: stdout, log: slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn})), screen: screen}
	if c.json {
		o.text, o.log = nil, slog.New(slog.NewJSONHandler(stdout, nil))
	}
	return o
}

// info says what is neither a success nor a failure.
func (o *output) info(message string, args ...any) {
	if o.text == nil {
		o.log.Info(message, args...)
		return
	}
	var b strings.Builder
	for i := 0; i+1 < len(args); i += 2 {
		fmt.Fprintf(&b, ", %v %v", args[i], args[i+1])
	}
	fmt.Fprintf(o.text, "%s%s\n", message, b.String())
}

// progress says once of each wait for what it is, and the rest on the screen.
func (o *output) progress(p nuvlaops.Progress) {
	if strings.HasPrefix(p.Phase, "waiting ") && o.busy != p.Phase {
		o.busy = p.Phase
		o.info(p.Phase, "busy", p.Message)
	}
	if o.screen != nil {
		o.screen.Progress(p)
	}
}

// result prints the one line that every run ends with.
func (o *output) result(name string, r *snapshot.CycleReport, took time.Duration, err error) {
	if r != nil {
		for _, w := range r.Change.Warnings {
			o.log.Warn(w)
		}
	}
	switch {
	case o.text != nil && err == nil:
		fmt.Fprintf(o.text, "Nuvla ES Backup Successful. %s. %s\n", name, sentence(r, took))
	case o.text != nil:
		fmt.Fprintf(o.text, "FAILURE %s: %s\n", name, strings.ReplaceAll(err.Error(), "\n", "; "))
	case err == nil:
		o.log.Info("backup successful", attributes(name, r, took)...)
	default:
		o.log.Error("backup failed", append(attributes(name, r, took), "error", err.Error(), "exit_code", cli.ExitCode(err))...)
	}
}

// sentence is what a person wants to know of a snapshot.
func sentence(r *snapshot.CycleReport, took time.Duration) string {
	s := r.Snapshot
	out := fmt.Sprintf("%s, %d of %d shards", s.State, s.Shards.Successful, s.Shards.Total)
	if s.Manifest != nil {
		out += fmt.Sprintf(", %d documents", s.Manifest.Documents)
	}
	if s.Bytes > 0 {
		out += ", " + units.Bytes(s.Bytes)
	}
	out += fmt.Sprintf(" in %.1fs", took.Seconds())
	if n := len(r.Removed); n > 0 {
		out += fmt.Sprintf("; %d older ones removed", n)
	}
	return out
}

func attributes(name string, r *snapshot.CycleReport, took time.Duration) []any {
	out := []any{"snapshot", name, "seconds", took.Seconds()}
	if r == nil || r.Snapshot == nil {
		return out
	}
	s := r.Snapshot
	out = append(out, "repository", s.Repository, "uuid", s.UUID, "state", s.State, "shards", s.Shards.Total, "shards_failed", s.Shards.Total-s.Shards.Successful, "bytes", s.Bytes)
	if s.Manifest != nil {
		out = append(out, "documents", s.Manifest.Documents)
	}
	if len(r.Removed) > 0 {
		out = append(out, "removed", r.Removed)
	}
	for _, step := range r.Steps {
		out = append(out, slog.Float64(step.Name+"_seconds", step.Took.Seconds()))
	}
	return out
}
