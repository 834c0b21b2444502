package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/examples/internal/report"
	"github.com/nuvla/nuvlaops/internal/runbook"
	"github.com/nuvla/nuvlaops/internal/units"
	"github.com/nuvla/nuvlaops/restore"
	"github.com/nuvla/nuvlaops/stack"
)

// page says what is about to be done, on one page: String for people, JSON for programs. Times are UTC.
type page struct {
	mu sync.Mutex

	At time.Time `json:"at"`
	// Drill is the name of the copy that is made and removed, in a drill.
	Drill string `json:"drill,omitempty"`
	// Copied are the services of the core that the drill copies too.
	Copied []string `json:"copied,omitempty"`
	// Ready says that nothing that was looked at stands in the way.
	Ready bool `json:"ready"`
	// Took up: an earlier call began then, and has done these steps.
	Began time.Time `json:"began,omitzero"`
	Done  []string  `json:"done,omitempty"`
	// Broken steps had begun when the earlier call ended.
	Broken   []broken         `json:"broken_off,omitempty"`
	Checks   []check          `json:"checks"`
	Snapshot *report.Snapshot `json:"snapshot,omitempty"`
	// SeenThrough says which Elasticsearch shows the snapshot, or will.
	SeenThrough string            `json:"seen_through,omitempty"`
	Restore     *measured         `json:"restore,omitempty"`
	Stop        map[string]string `json:"stop"` // services by stack
	Wipe        []stack.Volume    `json:"wipe"`
	Keep        []stack.Kept      `json:"keep,omitempty"`
	Archive     string            `json:"archive,omitempty"`
	Queue       string            `json:"queue"`
	Steps       []pageStep        `json:"steps"`
	Budget      report.Budget     `json:"budget,omitzero"`
}

// check is one thing that was looked at. State is ok, note or refused.
type check struct {
	Name  string `json:"name"`
	State string `json:"state"`
	Text  string `json:"text"`
}

// rank orders the checks, which come side by side.
func (c check) rank() int {
	kind, _, _ := strings.Cut(c.Name, " ")
	order := []string{"WARNING", "engine", "stack", "images", "network", "core", "volumes", "-keep-old", "mark", "ZooKeeper", "Elasticsearch", "throw-away", "job", "repository", "snapshot"}
	if i := slices.Index(order, kind); i >= 0 {
		return i
	}
	return len(order)
}

// measured is how much would be restored.
type measured struct {
	Indices   int   `json:"indices"`
	Primaries int   `json:"primaries"`
	Bytes     int64 `json:"bytes"`
	// Documents in the snapshot's manifest, those of indices that it leaves out not counted.
	Documents int64 `json:"documents"`
}

type pageStep struct {
	Name    string `json:"name"`
	Title   string `json:"title"`
	LeftOut string `json:"left_out,omitempty"`
	// Before says what an earlier call has made of the step, and what this one does about it.
	Before string `json:"before,omitempty"`
}

// broken is a step that had begun when an earlier call ended.
type broken struct {
	Step    string    `json:"step"`
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended,omitzero"` // zero when the program was killed in it
	Error   string    `json:"error,omitempty"`
}

func (b broken) String() string {
	if b.Ended.IsZero() {
		return fmt.Sprintf("%s, begun %s, in which the program was killed or still is", b.Step, b.Started.UTC().Format(time.RFC3339))
	}
	return fmt.Sprintf("%s, begun %s, failed %s: %s", b.Step, b.Started.UTC().Format(time.RFC3339), b.Ended.UTC().Format(time.RFC3339), strings.ReplaceAll(b.Error, "\n", "; "))
}

func (p *page) good(name, text string) { p.add(check{name, "ok", text}) }
func (p *page) note(name, text string) { p.add(check{name, "note", text}) }

// bad notes what stands in the way, and returns it.
func (p *page) bad(name string, err error) error {
	p.add(check{name, "refused", err.Error()})
	return err
}

func (p *page) add(c check) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.Contains(p.Checks, c) { // as of one compose file for both stacks
		p.Checks = append(p.Checks, c)
	}
}

func (p *page) measured(plan *restore.Plan) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Restore = &measured{Indices: len(plan.Indices), Primaries: plan.Shards, Bytes: plan.Bytes}
	for _, i := range plan.Indices {
		if i.Documents != nil {
			p.Restore.Documents += *i.Documents
		}
	}
}

// begin says what an earlier call has done.
func (p *page) begin(r *recovery) {
	p.At, p.Budget = r.now().UTC(), r.cfg.budget
	if r.cfg.drill {
		p.Drill = r.cfg.db
	}
	for _, rec := range r.journal.Records() {
		if rec.State == runbook.Done {
			p.Done = append(p.Done, rec.Step)
		} else {
			p.Broken = append(p.Broken, broken{rec.Step, rec.Started.UTC(), rec.Ended.UTC(), rec.Error})
		}
	}
	if len(p.Done)+len(p.Broken) > 0 {
		p.Began = r.remembered().Started
	}
}

// end says what will be done, from what was found.
func (p *page) end(r *recovery) {
	slices.SortStableFunc(p.Checks, func(a, b check) int { return a.rank() - b.rank() })
	p.Ready = !slices.ContainsFunc(p.Checks, func(c check) bool { return c.State == "refused" })
	p.Snapshot, p.SeenThrough = r.chosen(), r.seenThrough()
	if r.cfg.drill {
		if r.found.core != nil {
			p.Copied = r.copiedServices()
		}
		p.Queue = "the open jobs of the snapshot, in the copy"
		p.addSteps(r)
		return
	}
	stopped := map[string][]stack.Service{}
	if r.stops("stop-core") {
		stopped[r.cfg.core] = r.found.core.Services
	}
	if r.stops("stop-db") {
		stopped[r.cfg.db] = slices.Concat(stopped[r.cfg.db], r.meantOf(r.found.db))
	}
	p.Stop = map[string]string{}
	for name, services := range stopped {
		p.Stop[name] = orNotThere(services)
	}
	if r.comes("keep-old") {
		p.Archive = r.cfg.keepOld
	}
	if r.found.wipe != nil && r.comes("wipe") {
		p.Wipe, p.Keep = r.found.wipe.Volumes, r.found.wipe.Kept
	}
	p.Queue = "the open jobs of the snapshot, counted when it is restored"
	if r.found.jobsSeen {
		p.Queue = fmt.Sprintf("%d open jobs", r.found.openJobs)
	}
	if why := r.cfg.leftOut("queue"); why != "" {
		p.Queue = "as it is then: step queue is " + why
	}
	p.addSteps(r)
}

func (p *page) addSteps(r *recovery) {
	for _, s := range r.steps() {
		p.Steps = append(p.Steps, pageStep{s.Name, s.Title, s.LeftOut, r.madeOf(s)})
	}
}

// madeOf says what an earlier call has made of a step, and what the next one does about it.
func (r *recovery) madeOf(s runbook.Step) string {
	switch done := r.done(s.Name); {
	case done && s.Again && s.LeftOut == "":
		return "done by the call before, and proven again"
	case done:
		return "done by the call before"
	case r.began(s.Name) && s.LeftOut == "":
		return "broken off, and gone on with from what is there"
	}
	return ""
}

// seenThrough says which Elasticsearch shows the snapshot.
func (r *recovery) seenThrough() string {
	switch {
	case r.cfg.drill:
		return "the Elasticsearch of the copy, once it serves"
	case r.cfg.only == onlyZK:
		return ""
	case r.found.alive && r.page.Restore != nil:
		return "the Elasticsearch that lives"
	case r.found.aside && r.page.Restore != nil:
		return "a throw-away Elasticsearch, for this plan; a recovery starts one as well"
	case r.done("wipe"):
		return "the Elasticsearch that is restored into"
	case r.sighted():
		return "an earlier call, " + r.remembered().Seen.UTC().Format(time.RFC3339)
	case r.mustLook() && r.cfg.leftOut("look") == "":
		return "a throw-away Elasticsearch, in step look: before that, no volume is removed"
	}
	return "nothing yet"
}

// stops says whether a stack is stopped: once more as long as the wipe is to come.
func (r *recovery) stops(step string) bool {
	return r.comes(step) || r.comes("wipe") && r.cfg.leftOut(step) == ""
}

// comes says whether a step is still to be run.
func (r *recovery) comes(step string) bool { return !r.done(step) && r.cfg.leftOut(step) == "" }

// MarshalJSON is a page without its lock.
func (p *page) MarshalJSON() ([]byte, error) {
	type plain page
	return json.Marshal((*plain)(p))
}

// String is the page for people.
func (p *page) String() string {
	var b strings.Builder
	title := "RECOVERY"
	if p.Drill != "" {
		title = "DRILL"
	}
	fmt.Fprintf(&b, "\nPLAN OF THE %s, %s\n", title, p.At.Format(time.RFC3339))
	if !p.Began.IsZero() {
		fmt.Fprintf(&b, "\n  an earlier call is taken up\n    began     %s\n    done      %s\n", p.Began.Format(time.RFC3339), orNone(p.Done))
		for _, step := range p.Broken {
			fmt.Fprintf(&b, "    broken    %s\n", step)
		}
	}
	fmt.Fprintf(&b, "\n  what is there\n")
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, c := range p.Checks {
		mark := map[string]string{"ok": "ok", "note": "-", "refused": "NO"}[c.State]
		fmt.Fprintf(w, "    %s\t%s\t%s\n", mark, c.Name, nuvlaops.OneLine(c.Text))
	}
	_ = w.Flush()
	if len(p.Steps) == 0 { // it ended before the stacks were seen, so nothing can be said of what would be done
		return b.String()
	}
	p.deeds(&b)
	fmt.Fprintf(&b, "\n  the steps (side by side where they can)\n")
	for _, s := range p.Steps {
		said := s.Title
		if s.LeftOut != "" {
			said = "(" + s.LeftOut + ")"
		}
		if s.Before != "" {
			said += " (" + s.Before + ")"
		}
		fmt.Fprintf(w, "    %s\t%s\n", s.Name, said)
	}
	_ = w.Flush()
	return b.String()
}

func (p *page) deeds(b *strings.Builder) {
	fmt.Fprintf(b, "\n  what will be done\n")
	if p.Drill != "" {
		fmt.Fprintf(b, "    copy      the databases, as stack %s on a network of its own; production is only read\n", p.Drill)
		if len(p.Copied) > 0 {
			fmt.Fprintf(b, "    copy      of the core: %s, on the same network\n", strings.Join(p.Copied, ", "))
		}
		fmt.Fprintf(b, "    remove    that copy, whatever the end is\n")
		return
	}
	for _, name := range slices.Sorted(maps.Keys(p.Stop)) {
		fmt.Fprintf(b, "    stop      stack %s: %s\n", name, nuvlaops.OneLine(p.Stop[name]))
	}
	for _, v := range p.Wipe {
		size := "size not known"
		if v.Bytes >= 0 {
			size = units.Bytes(v.Bytes)
		}
		fmt.Fprintf(b, "    remove    volume %s on %s, %s\n", v.Name, v.Node, size)
	}
	if len(p.Wipe) == 0 {
		fmt.Fprintf(b, "    remove    no volume\n")
	}
	if p.Archive != "" {
		fmt.Fprintf(b, "    archive   the volumes to %s, before they are removed\n", p.Archive)
	}
	for _, k := range p.Keep {
		fmt.Fprintf(b, "    keep      %s\n", nuvlaops.OneLine(fmt.Sprintf("%s of service %s: %s", k.Target, k.Service, k.Why)))
	}
	if s := p.Snapshot; s != nil {
		deed := "restore   snapshot"
		if why := p.leftOut("restore"); why != "" {
			deed = "restore   nothing: " + why + ". Seen was"
		}
		fmt.Fprintf(b, "    %s %s of %s, taken %s (%s ago)\n", deed, nuvlaops.OneLine(s.Name), s.Repository, s.Started.Format(time.RFC3339), p.At.Sub(s.Started).Round(time.Second))
	}
	if p.SeenThrough != "" {
		fmt.Fprintf(b, "              seen through: %s\n", p.SeenThrough)
	}
	if m := p.Restore; m != nil {
		fmt.Fprintf(b, "              %d indices, %d primaries, %s, %d documents\n", m.Indices, m.Primaries, units.Bytes(m.Bytes), m.Documents)
	}
	fmt.Fprintf(b, "    queue     %s\n", p.Queue)
}

func (p *page) leftOut(step string) string {
	for _, s := range p.Steps {
		if s.Name == step {
			return s.LeftOut
		}
	}
	return ""
}

// question says what the name of the stack is asked for.
func (p *page) question(db string) string {
	switch {
	case p.Drill != "":
		return fmt.Sprintf("Stack %s will be made, and removed at the end.", p.Drill)
	case len(p.Wipe) == 0:
		return fmt.Sprintf("No volume of stack %s will be removed; its databases are recovered where they are.", db)
	}
	var names []string
	for _, v := range p.Wipe {
		names = append(names, v.Name)
	}
	return fmt.Sprintf("These volumes of stack %s will be removed, and what is in them lost: %s.", db, strings.Join(names, ", "))
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "nothing"
	}
	return strings.Join(list, ", ")
}

// names are those of services.
func names(services []stack.Service) []string {
	var all []string
	for _, service := range services {
		all = append(all, service.Name)
	}
	slices.Sort(all)
	return all
}

// orNotThere names the services that are stopped.
func orNotThere(services []stack.Service) string {
	if len(services) == 0 {
		return "nothing: it is not there"
	}
	return strings.Join(names(services), ", ")
}
