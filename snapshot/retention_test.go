package snapshot_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/snapshot"
	"github.com/nuvla/nuvlaops/snapshot/snapshottest"
)

var day0 = time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC)

func taken(at time.Time) snapshot.Snapshot {
	name := snapshot.Name("", at)
	return snapshot.Snapshot{Name: name, UUID: "uuid of " + name, Repository: "r", RunID: "run", State: snapshot.Success, Start: at, End: at.Add(time.Second),
		Shards: snapshot.Shards{Total: 3, Successful: 3}}
}

func in(s snapshot.Snapshot, state string) snapshot.Snapshot {
	s.State = state
	if state != snapshot.Success {
		s.Shards.Successful--
		s.Shards.Failed++
	}
	return s
}

func kept(t *testing.T, p snapshot.Policy, all []snapshot.Snapshot) []string {
	t.Helper()
	plan, err := p.Plan(all)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, d := range plan.Decisions {
		if d.Keep {
			out = append(out, strings.TrimPrefix(d.Name, snapshot.DefaultPrefix))
		}
	}
	return out
}

func TestAPolicyKeepsTheNewestOfEachPeriod(t *testing.T) {
	var hours []snapshot.Snapshot // of three days, one an hour
	for h := range 72 {
		hours = append(hours, taken(day0.Add(time.Duration(h)*time.Hour)))
	}
	one := func(p snapshot.Policy) snapshot.Policy { p.MinComplete = 1; return p }
	for _, tc := range []struct {
		name   string
		policy snapshot.Policy
		want   []string
	}{
		{"last", one(snapshot.Policy{Last: 2}), []string{"2026-03-04t103000z", "2026-03-04t113000z"}},
		{"daily", one(snapshot.Policy{Daily: 3}), []string{"2026-03-02t233000z", "2026-03-03t233000z", "2026-03-04t113000z"}},
		{"hourly and daily", one(snapshot.Policy{Hourly: 2, Daily: 2}), []string{"2026-03-03t233000z", "2026-03-04t103000z", "2026-03-04t113000z"}},
		{"weekly: 1 March is a Sunday", one(snapshot.Policy{Weekly: 9}), []string{"2026-03-01t233000z", "2026-03-04t113000z"}},
		{"monthly", one(snapshot.Policy{Monthly: 9}), []string{"2026-03-04t113000z"}},
		{"within", one(snapshot.Policy{Within: time.Hour}), []string{"2026-03-04t103000z", "2026-03-04t113000z"}},
		{"the least number", snapshot.Policy{Yearly: 1, MinComplete: 2}, []string{"2026-03-04t103000z", "2026-03-04t113000z"}},
		{"a pin", one(snapshot.Policy{Last: 1, Pins: []string{"*03-02t0030*"}}), []string{"2026-03-02t003000z", "2026-03-04t113000z"}},
	} {
		if diff := cmp.Diff(tc.want, kept(t, tc.policy, hours)); diff != "" {
			t.Errorf("%s: %s", tc.name, diff)
		}
	}
}

// The default prefix begins those that are near at hand for a second schedule.
func TestAPolicyLeavesAloneWhatALongerPrefixNames(t *testing.T) {
	var all []snapshot.Snapshot
	for day := range 3 {
		whole, jobs := taken(day0.AddDate(0, 0, day)), taken(day0.AddDate(0, 0, day).Add(15*time.Minute))
		jobs.Name = snapshot.Name("snapshot.jobs-", jobs.Start)
		all = append(all, whole, jobs)
	}
	all[0].Name = "snapshot.before-upgrade"
	for prefix, want := range map[string][]string{
		"snapshot.":      {"jobs-2026-03-01t124500z", "2026-03-02t123000z", "jobs-2026-03-02t124500z", "2026-03-03t123000z", "jobs-2026-03-03t124500z"},
		"snapshot.jobs-": {"before-upgrade", "2026-03-02t123000z", "jobs-2026-03-02t124500z", "2026-03-03t123000z", "jobs-2026-03-03t124500z"},
	} {
		if diff := cmp.Diff(want, kept(t, snapshot.Policy{Daily: 2, MinComplete: 1, Prefix: prefix}, all)); diff != "" {
			t.Errorf("%s: %s", prefix, diff)
		}
	}
}

// Without the dot the dated names are of a longer prefix, and a policy would remove none of them, without a word.
func TestAPrefixThatLacksItsDotIsRefused(t *testing.T) {
	all := []snapshot.Snapshot{taken(day0), taken(day0.Add(time.Hour)), taken(day0.Add(2 * time.Hour))}
	all[1].Name = "snapshot.before-upgrade"
	p := snapshot.Policy{Last: 1, MinComplete: 1, Prefix: "snapshot"}
	if _, err := p.Plan(all); !errors.Is(err, nuvlaops.ErrInvalid) || !strings.Contains(err.Error(), `"snapshot."`) {
		t.Errorf("got %v", err)
	}
	all[0].Name = snapshot.Name("snapshot", day0) // one of its own
	for _, prefix := range []string{"snapshot", "another"} {
		p.Prefix = prefix
		if _, err := p.Plan(all); err != nil {
			t.Errorf("%s: %v", prefix, err)
		}
	}
}

// A name may hold what is a class in a pattern.
func TestAPinIsAlsoTheNameItself(t *testing.T) {
	all := []snapshot.Snapshot{taken(day0), taken(day0.Add(time.Hour))}
	all[0].Name = "snapshot.release[2]"
	if diff := cmp.Diff([]string{"release[2]", "2026-03-01t133000z"}, kept(t, snapshot.Policy{Last: 1, MinComplete: 1, Pins: []string{all[0].Name}}, all)); diff != "" {
		t.Error(diff)
	}
}

func TestOnlyCompleteSnapshotsHoldAPlace(t *testing.T) {
	at := func(h int) snapshot.Snapshot { return taken(day0.Add(time.Duration(h) * time.Hour)) }
	foreign := at(1)
	foreign.RunID = ""
	lying := at(4)
	lying.Shards.Failed, lying.Shards.Successful = 1, 2 // SUCCESS, and a shard is missing
	pinned := at(2)
	pinned.Pinned = true
	all := []snapshot.Snapshot{at(0), foreign, pinned, at(3), lying, in(at(5), snapshot.Partial), at(6), in(at(7), snapshot.Failed), in(at(8), snapshot.InProgress)}
	plan, err := snapshot.Policy{Last: 2, MinComplete: 1}.Plan(all)
	if err != nil {
		t.Fatal(err)
	}
	got := map[int]string{}
	for i, d := range plan.Decisions {
		got[i] = fmt.Sprint(d.Keep, " ", strings.Join(d.Reasons, ", "))
	}
	want := map[int]string{
		0: "false no rule keeps it",
		1: "true somebody else's",
		2: "true it is pinned",
		3: "true last",
		4: "false it is SUCCESS, and a newer one is complete",
		5: "false it is PARTIAL, and a newer one is complete",
		6: "true the newest complete one, last",
		7: "true newer than the newest complete one",
		8: "true it is running",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAnOutageExpiresNothing(t *testing.T) {
	all := []snapshot.Snapshot{taken(day0), taken(day0.Add(time.Hour)), taken(day0.AddDate(-3, 0, 0))}
	if got := kept(t, snapshot.Policy{Within: 2 * time.Hour, MinComplete: 1}, all); len(got) != 2 {
		t.Errorf("kept %v", got) // although all of them are older than two hours by now
	}
}

// lister is a repository that lists.
type lister struct {
	snapshot.SnapshotRepo
	all []snapshot.Snapshot
}

func (l lister) List(context.Context, snapshot.Filter) iter.Seq2[snapshot.Snapshot, error] {
	return func(yield func(snapshot.Snapshot, error) bool) {
		for _, s := range l.all {
			if !yield(s, nil) {
				return
			}
		}
	}
}

// A server that has lost its data is started again, and backed up every hour: the last backup of the data outlives that.
func TestBackupsOfNextToNothingDoNotExpireTheLastOneOfTheData(t *testing.T) {
	holds := func(hour int, documents int64) snapshot.Snapshot {
		s := taken(day0.Add(time.Duration(hour) * time.Hour))
		s.Manifest = &snapshot.Manifest{Documents: documents, Indices: map[string]snapshot.IndexManifest{"nuvla-job": {Before: documents}}}
		return s
	}
	for name, tt := range map[string]struct {
		before, once, after int64
		want                string // the oldest that is kept
	}{
		"lost":                           {50_000, 12, 12, snapshot.Name("", day0.Add(9*time.Hour))},
		"lost, and services come and go": {50_000, 36, 12, snapshot.Name("", day0.Add(9*time.Hour))},
		"lost to the last":               {50_000, 0, 0, snapshot.Name("", day0.Add(9*time.Hour))},
		"somewhat fewer":                 {50_000, 25_000, 25_000, snapshot.Name("", day0.Add(97*time.Hour))},
		"nobody has counted":             {-1, 12, 12, snapshot.Name("", day0.Add(97*time.Hour))},
		"lost to the last index, and backed up with the global state": {50_000, -1, -1, snapshot.Name("", day0.Add(9*time.Hour))},
	} {
		var repo lister
		for hour := range 100 {
			s := holds(hour, tt.after)
			switch {
			case hour < 10:
				s = holds(hour, tt.before)
			case hour == 50:
				s = holds(hour, tt.once)
			}
			if s.Manifest.Documents < 0 {
				s.Manifest = nil
			}
			repo.all = append(repo.all, s)
		}
		plan, err := snapshot.PlanPrune(t.Context(), repo, snapshot.Policy{Last: 3, MaxDelete: 1000})
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(plan.Decisions, func(d snapshot.Decision) bool { return d.Keep })
		if plan.Decisions[i].Name != tt.want || len(plan.Removed()) < 95 {
			t.Errorf("%s: kept from %s on, %q, %d are removed, want %s", name, plan.Decisions[i].Name, plan.Decisions[i].Reasons, len(plan.Removed()), tt.want)
		}
	}
}

// A backup of another tool does not say what it holds, also when it is the newest.
func TestABackupOfAnotherToolDoesNotLetTheLastOneOfTheDataExpire(t *testing.T) {
	all := []snapshot.Snapshot{taken(day0), taken(day0.Add(time.Hour)), taken(day0.Add(2 * time.Hour))}
	all[0].Manifest, all[1].Manifest = &snapshot.Manifest{Documents: 50_000}, &snapshot.Manifest{Documents: 12}
	all[2].RunID = ""
	want := []string{"2026-03-01t123000z", "2026-03-01t143000z"}
	if diff := cmp.Diff(want, kept(t, snapshot.Policy{Last: 1, MinComplete: 1, Others: true}, all)); diff != "" {
		t.Error(diff)
	}
}

// What others have taken holds no place either.
func TestThreeCompleteOnesOfOursAreKeptAndAHundredRemovedWhereNothingElseIsSaid(t *testing.T) {
	var all []snapshot.Snapshot
	for h := range 110 {
		all = append(all, taken(day0.Add(time.Duration(h)*time.Hour)))
	}
	for h := range 5 {
		other := taken(day0.Add(time.Duration(200+h) * time.Hour))
		other.RunID = ""
		all = append(all, other)
	}
	plan, err := snapshot.Policy{Last: 1}.Plan(all)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, s := range all[:100] {
		want = append(want, s.Name)
	}
	if diff := cmp.Diff(want, plan.Removed()); diff != "" {
		t.Errorf("removed (-want +got):\n%s", diff)
	}
	if plan, err = (snapshot.Policy{Last: 1}).Plan(all[100:]); err != nil {
		t.Fatal(err)
	}
	want = nil
	for _, s := range all[100:107] {
		want = append(want, s.Name)
	}
	if diff := cmp.Diff(want, plan.Removed()); diff != "" {
		t.Errorf("removed, of fewer (-want +got):\n%s", diff)
	}
}

func TestAPolicyWithoutARuleIsInvalid(t *testing.T) {
	for _, p := range []snapshot.Policy{{}, {MinComplete: 5}, {Last: -1}, {Last: 1, Within: -1}, {Last: 1, Pins: []string{"["}}, {Last: 1, Pins: []string{""}}} {
		if _, err := p.Plan(nil); !errors.Is(err, nuvlaops.ErrInvalid) {
			t.Errorf("%+v: %v", p, err)
		}
	}
}

func TestAStalePlanIsRefused(t *testing.T) {
	policy := snapshot.Policy{Last: 2, MinComplete: 1}
	for _, tc := range []struct {
		name   string
		change func(*snapshottest.Fake, *snapshot.Plan)
		kind   error
		left   int
	}{
		{"nothing changed", func(*snapshottest.Fake, *snapshot.Plan) {}, nil, 2},
		{"what it removes is gone", func(f *snapshottest.Fake, p *snapshot.Plan) { _ = f.Delete(t.Context(), p.Removed()[0]) }, nil, 2},
		{"one appeared", func(f *snapshottest.Fake, _ *snapshot.Plan) { f.Add(taken(day0.Add(time.Minute))) }, nuvlaops.ErrConflict, 6},
		{"one that it keeps is gone", func(f *snapshottest.Fake, _ *snapshot.Plan) {
			_ = f.Delete(t.Context(), snapshot.Name("", day0.Add(4*time.Hour)))
		}, nuvlaops.ErrConflict, 4},
		{"another one has the name", func(_ *snapshottest.Fake, p *snapshot.Plan) { p.Decisions[0].UUID = "other" }, nuvlaops.ErrConflict, 5},
		{"one was in another state", func(_ *snapshottest.Fake, p *snapshot.Plan) { p.Decisions[0].State = snapshot.Partial }, nuvlaops.ErrConflict, 5},
		{"it was tampered with", func(_ *snapshottest.Fake, p *snapshot.Plan) { p.Decisions[4].Keep = false }, nuvlaops.ErrRefused, 5},
		{"it decides twice on one", func(_ *snapshottest.Fake, p *snapshot.Plan) {
			again := p.Decisions[4]
			again.Keep = false
			p.Decisions = append(p.Decisions, again)
		}, nuvlaops.ErrRefused, 5},
	} {
		fake := &snapshottest.Fake{}
		if _, err := fake.Ensure(t.Context(), snapshot.Settings{FS: &snapshot.FS{Location: "/x"}}); err != nil {
			t.Fatal(err)
		}
		for h := range 5 {
			fake.Add(taken(day0.Add(time.Duration(h) * time.Hour)))
		}
		plan, err := snapshot.PlanPrune(t.Context(), fake, policy)
		if err != nil {
			t.Fatal(err)
		}
		tc.change(fake, plan)
		_, err = snapshot.Prune(t.Context(), fake, plan)
		if (tc.kind == nil) != (err == nil) || (tc.kind != nil && !errors.Is(err, tc.kind)) {
			t.Errorf("%s: got %v, want %v", tc.name, err, tc.kind)
		}
		left := 0
		for range fake.List(t.Context(), snapshot.Filter{}) {
			left++
		}
		if left != tc.left {
			t.Errorf("%s: %d are left, want %d", tc.name, left, tc.left)
		}
	}
}
