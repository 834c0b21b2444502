// Package restoretest helps to test what uses package restore: a Restorer in memory, and what every Restorer must do.
package restoretest

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/restore"
)

// Target is a Restorer to be held to its contract.
type Target struct {
	Restorer restore.Restorer
	// Older and Latest are names of complete snapshots, in the order of their starts.
	Older, Latest string
	// Patterns select in Latest exactly the indices of Documents, two at least; none is in the cluster, and each holds
	// this many documents, one at least, also by the snapshot's manifest.
	Patterns  []string
	Documents map[string]int64
	// Make makes an index of this name that has nothing to do with the snapshot; Remove removes one.
	Make, Remove func(t *testing.T, index string)
}

func (x Target) request() restore.Request {
	return restore.Request{Snapshot: x.Latest, Indices: x.Patterns}
}

func (x Target) names() []string { return slices.Sorted(maps.Keys(x.Documents)) }

// Conformance fails the test where the Restorer that open returns does not keep the contract of restore.Restorer. open is
// called for each subtest and returns a fresh target.
func Conformance(t *testing.T, open func(t *testing.T) Target) {
	for _, c := range []struct {
		name string
		run  func(t *testing.T, x Target)
	}{
		{"chooses the latest, by name, and at or before a time", chooses},
		{"restores what a plan says, and finds it done when called again", restores},
		{"verifies what the caller knows, and says what does not hold", verifies},
		{"takes up what is missing, and says so before", takesUp},
		{"refuses what is there already, and leaves it alone", refuses},
		{"refuses an index that appeared after the plan", conflicts},
		{"replaces what is there when it is asked to", replaces},
		{"refuses what makes no sense, and what is no plan of its own", refusesNonsense},
		{"ends with its context", ends},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

func chooses(t *testing.T, x Target) {
	latest, err := x.Restorer.Choose(t.Context(), restore.Selector{})
	if err != nil || latest.Name != x.Latest {
		t.Fatalf("Choose the latest: %v, %v, want %s", latest, err, x.Latest)
	}
	older, err := x.Restorer.Choose(t.Context(), restore.Selector{Name: x.Older})
	if err != nil || older.Name != x.Older || older.Start.After(latest.Start) {
		t.Fatalf("Choose by name: %v, %v, want %s", older, err, x.Older)
	}
	for before, want := range map[time.Time]string{older.Start: x.Older, latest.Start: x.Latest, latest.Start.Add(-time.Millisecond): x.Older} {
		if got, err := x.Restorer.Choose(t.Context(), restore.Selector{Before: before}); err != nil || got.Name != want {
			t.Errorf("Choose at or before %s: %v, %v, want %s", before, got, err, want)
		}
	}
	for _, among := range [][]string{{x.Older}, {x.Older, "no-such-snapshot"}} {
		if got, err := x.Restorer.Choose(t.Context(), restore.Selector{Among: among}); err != nil || got.Name != x.Older {
			t.Errorf("Choose among %v: %v, %v, want %s", among, got, err, x.Older)
		}
	}
	for _, none := range []restore.Selector{{Name: "no-such-snapshot"}, {Among: []string{}}, {Name: x.Latest, Among: []string{x.Older}}, {Before: older.Start.Add(-time.Millisecond)}, {Name: x.Latest, Before: older.Start.Add(-time.Millisecond)}} {
		if _, err := x.Restorer.Choose(t.Context(), none); !errors.Is(err, nuvlaops.ErrNotFound) {
			t.Errorf("Choose %+v: %v, want ErrNotFound", none, err)
		}
	}
}

func mustPlan(t *testing.T, x Target, req restore.Request) *restore.Plan {
	t.Helper()
	p, err := x.Restorer.Plan(t.Context(), req)
	if err != nil {
		t.Fatalf("Plan: %v", err)
	}
	return p
}

func errorFindings(p *restore.Plan) (codes []string) {
	for _, f := range p.Findings {
		if f.Severity == restore.SeverityError {
			codes = append(codes, f.Code)
		}
	}
	return codes
}

func restores(t *testing.T, x Target) {
	plan := mustPlan(t, x, x.request())
	var planned []string
	for _, i := range plan.Indices {
		planned = append(planned, i.Target)
	}
	if d := cmp.Diff(x.names(), planned); d != "" {
		t.Fatalf("planned indices (-want +got):\n%s", d)
	}
	if again := mustPlan(t, x, x.request()); again.ID != plan.ID || len(errorFindings(plan)) > 0 {
		t.Errorf("planned again: %s, want %s; findings %v", again.ID, plan.ID, plan.Findings)
	}
	raw, err := json.Marshal(plan)
	var read restore.Plan
	if err != nil || json.Unmarshal(raw, &read) != nil {
		t.Fatalf("plan as JSON: %v", err)
	}
	var last nuvlaops.Progress
	report, err := x.Restorer.Apply(t.Context(), &read, restore.ApplyOptions{Progress: func(p nuvlaops.Progress) {
		if p.Done < last.Done || p.Bytes < last.Bytes || p.Done > p.Total {
			t.Errorf("progress went from %+v to %+v", last, p)
		}
		last = p
	}})
	if err != nil {
		t.Fatalf("Apply a plan that was read from JSON: %v", err)
	}
	x.right(t, report)
	again, err := x.Restorer.Apply(t.Context(), plan, restore.ApplyOptions{})
	if err != nil || again.AlreadyThere != len(x.Documents) {
		t.Errorf("applied again: %v, %d already there, want %d", err, again.AlreadyThere, len(x.Documents))
	}
	verified, err := x.Restorer.Verify(t.Context(), plan, restore.VerifyOptions{})
	if err != nil {
		t.Fatalf("Verify: %v", err)
	}
	x.right(t, verified)
}

// right checks a report against the target's documents.
func (x Target) right(t *testing.T, r *restore.Report) {
	t.Helper()
	got := map[string]int64{}
	for _, i := range r.Indices {
		if i.Documents != nil && i.State == restore.IndexProven && i.Proven == i.Shards {
			got[i.Target] = *i.Documents
		}
	}
	if d := cmp.Diff(x.Documents, got); d != "" || !r.OK() {
		t.Errorf("documents of proven indices (-want +got):\n%s\n%s", d, r)
	}
}

func verifies(t *testing.T, x Target) {
	plan := mustPlan(t, x, x.request())
	if _, err := x.Restorer.Apply(t.Context(), plan, restore.ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	index := x.names()[0]
	n := x.Documents[index]
	few := n - 1
	all := restore.Query{Name: "all of them", Index: index, Min: n, Max: &n}
	for name, c := range map[string]struct {
		opts restore.VerifyOptions
		want string // in the reason of the one failure
	}{
		"a range that holds":    {opts: restore.VerifyOptions{Documents: map[string]restore.DocumentRange{index: {Min: n, Max: n + 5}}}},
		"a range that does not": {restore.VerifyOptions{Documents: map[string]restore.DocumentRange{index: {Min: 2 * n, Max: 3 * n}}}, "documents where"},
		"queries that hold":     {opts: restore.VerifyOptions{Queries: []restore.Query{all, {Name: "any", Index: index}}}},
		"too few hits":          {restore.VerifyOptions{Queries: []restore.Query{all, {Name: "more", Index: index, Min: n + 1}}}, "query more finds"},
		"too many hits":         {restore.VerifyOptions{Queries: []restore.Query{all, {Name: "less", Index: index, Max: &few}}}, "query less finds"},
	} {
		report, err := x.Restorer.Verify(t.Context(), plan, c.opts)
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if !errors.Is(err, nuvlaops.ErrVerification) || len(report.Failures) != 1 || !strings.Contains(report.Failures[0].Reason, c.want) {
			t.Errorf("%s: %v, %v, want ErrVerification for %q", name, err, report.Failures, c.want)
		}
	}
}

func takesUp(t *testing.T, x Target) {
	plan := mustPlan(t, x, x.request())
	if _, err := x.Restorer.Apply(t.Context(), plan, restore.ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	lost := x.names()[0]
	x.Remove(t, lost)
	report, err := x.Restorer.Verify(t.Context(), plan, restore.VerifyOptions{})
	if !errors.Is(err, nuvlaops.ErrVerification) || len(report.Failures) != 1 || report.Failures[0].Index != lost {
		t.Fatalf("Verify without %s: %v, %v, want ErrVerification that names it", lost, err, report)
	}
	report, err = x.Restorer.Apply(t.Context(), plan, restore.ApplyOptions{})
	if err != nil || report.AlreadyThere != len(x.Documents)-1 {
		t.Fatalf("applied again: %v, %v", err, report)
	}
	x.right(t, report)
}

func refuses(t *testing.T, x Target) {
	mine := x.names()[0]
	x.Make(t, mine)
	plan := mustPlan(t, x, x.request())
	if d := cmp.Diff([]string{restore.CodeOpenIndex}, errorFindings(plan)); d != "" {
		t.Errorf("findings (-want +got):\n%s", d)
	}
	if _, err := x.Restorer.Apply(t.Context(), plan, restore.ApplyOptions{}); !errors.Is(err, nuvlaops.ErrRefused) {
		t.Errorf("Apply: %v, want ErrRefused", err)
	}
	report, err := x.Restorer.Verify(t.Context(), plan, restore.VerifyOptions{})
	if !errors.Is(err, nuvlaops.ErrVerification) || report.Indices[0].State != restore.IndexUnknown || report.Indices[1].State != restore.IndexMissing {
		t.Errorf("Verify: %v, %v, want the first index as it was and the second missing", err, report)
	}
	empty := mustPlan(t, x, restore.Request{Snapshot: x.Latest, Indices: []string{"no-such-index"}})
	if _, err := x.Restorer.Verify(t.Context(), empty, restore.VerifyOptions{}); !errors.Is(err, nuvlaops.ErrVerification) || !strings.Contains(err.Error(), "no index") {
		t.Errorf("Verify a plan that selects nothing: %v, want ErrVerification that says so", err)
	}
}

func refusesNonsense(t *testing.T, x Target) {
	plan := mustPlan(t, x, x.request())
	selects, adds, renames := *plan, *plan, *plan
	selects.Request.Indices = []string{x.names()[1]}
	adds.Request.Settings = map[string]string{"index.refresh_interval": "5s"}
	renames.Indices = slices.Clone(plan.Indices)
	renames.Indices[0].Target = "another"
	for name, p := range map[string]*restore.Plan{"no plan": nil, "a plan of nothing": {}, "other indices": &selects, "other settings": &adds, "another target": &renames} {
		if _, err := x.Restorer.Apply(t.Context(), p, restore.ApplyOptions{}); !errors.Is(err, nuvlaops.ErrInvalid) {
			t.Errorf("Apply %s: %v, want ErrInvalid", name, err)
		}
		if _, err := x.Restorer.Verify(t.Context(), p, restore.VerifyOptions{}); !errors.Is(err, nuvlaops.ErrInvalid) {
			t.Errorf("Verify %s: %v, want ErrInvalid", name, err)
		}
	}
	two := 2
	for _, req := range []restore.Request{{}, {Snapshot: "a,b"},
		{Snapshot: x.Latest, Replicas: &two, Settings: map[string]string{"index.number_of_replicas": "1"}}, {Snapshot: x.Latest, Settings: map[string]string{"index.number_of_shards": "1"}},
		{Snapshot: x.Latest, DocumentTolerance: 2}, {Snapshot: x.Latest, DocumentTolerance: math.NaN()}} {
		if _, err := x.Restorer.Plan(t.Context(), req); !errors.Is(err, nuvlaops.ErrInvalid) {
			t.Errorf("Plan %+v: %v, want ErrInvalid", req, err)
		}
	}
	for _, name := range []string{"*", x.Latest + "*", x.Older + "," + x.Latest, "_all"} {
		if s, err := x.Restorer.Choose(t.Context(), restore.Selector{Name: name}); !errors.Is(err, nuvlaops.ErrInvalid) {
			t.Errorf("Choose %s: %+v, %v, want ErrInvalid", name, s, err)
		}
	}
	index, less := x.names()[0], int64(1)
	for name, opts := range map[string]restore.VerifyOptions{
		"a range backwards":       {Documents: map[string]restore.DocumentRange{index: {Min: 2, Max: 1}}},
		"a query without a name":  {Queries: []restore.Query{{Index: index}}},
		"a query backwards":       {Queries: []restore.Query{{Name: "q", Index: index, Min: 2, Max: &less}}},
		"a query on what is none": {Queries: []restore.Query{{Name: "q", Index: "no-such-index"}}},
		"a query in no JSON":      {Queries: []restore.Query{{Name: "q", Index: index, Query: json.RawMessage("{")}}},
	} {
		if _, err := x.Restorer.Verify(t.Context(), plan, opts); !errors.Is(err, nuvlaops.ErrInvalid) {
			t.Errorf("Verify with %s: %v, want ErrInvalid", name, err)
		}
	}
}

func conflicts(t *testing.T, x Target) {
	plan := mustPlan(t, x, x.request())
	x.Make(t, x.names()[1])
	if _, err := x.Restorer.Apply(t.Context(), plan, restore.ApplyOptions{}); !errors.Is(err, nuvlaops.ErrConflict) {
		t.Errorf("Apply: %v, want ErrConflict", err)
	}
	report, err := x.Restorer.Verify(t.Context(), plan, restore.VerifyOptions{})
	if err == nil || report.Indices[0].State != restore.IndexMissing || report.Indices[1].State != restore.IndexUnknown {
		t.Errorf("after the conflict: %v, %v, want nothing restored", err, report)
	}
}

func replaces(t *testing.T, x Target) {
	x.Make(t, x.names()[0])
	req := x.request()
	req.Replace, req.OtherShards = true, true
	plan := mustPlan(t, x, req)
	if got := errorFindings(plan); len(got) > 0 {
		t.Fatalf("findings %v", got)
	}
	for already := range 2 { // the same plan twice is done once
		report, err := x.Restorer.Apply(t.Context(), plan, restore.ApplyOptions{})
		if err != nil || report.AlreadyThere != already*len(x.Documents) {
			t.Fatalf("Apply: %v, %v", err, report)
		}
		x.right(t, report)
	}
	if again := mustPlan(t, x, req); again.ID == plan.ID {
		t.Error("planned again, what was replaced would not be replaced again")
	}
	refused := mustPlan(t, x, req)
	x.Remove(t, x.names()[1])
	x.Make(t, x.names()[1])
	if _, err := x.Restorer.Apply(t.Context(), refused, restore.ApplyOptions{}); !errors.Is(err, nuvlaops.ErrConflict) {
		t.Errorf("Apply onto another index than the plan saw: %v, want ErrConflict", err)
	}
}

func ends(t *testing.T, x Target) {
	plan := mustPlan(t, x, x.request())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := x.Restorer.Apply(ctx, plan, restore.ApplyOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Apply: %v, want context.Canceled", err)
	}
	if _, err := x.Restorer.Choose(ctx, restore.Selector{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Choose: %v, want context.Canceled", err)
	}
	report, err := x.Restorer.Apply(t.Context(), plan, restore.ApplyOptions{})
	if err != nil {
		t.Fatalf("Apply after a cancelled one: %v", err)
	}
	x.right(t, report)
}
