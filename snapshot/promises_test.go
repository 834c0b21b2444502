package snapshot_test

import (
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/snapshot"
)

// promises checks what a plan must never break, by means of its own.
func promises(t *testing.T, p snapshot.Policy, all []snapshot.Snapshot, plan *snapshot.Plan) {
	t.Helper()
	removed := map[string]bool{}
	for _, d := range plan.Decisions {
		if len(d.Reasons) == 0 {
			t.Errorf("%s has no reason", d.Name)
		}
		if !d.Keep {
			removed[d.Name] = true
		}
	}
	if len(plan.Decisions) != len(all) || len(removed) > max(p.MaxDelete, 1) && p.MaxDelete > 0 || len(removed) > 100 && p.MaxDelete == 0 {
		t.Errorf("%d decisions on %d snapshots, %d removed", len(plan.Decisions), len(all), len(removed))
	}
	var newest, verified *snapshot.Snapshot
	before, after := 0, 0
	for i, s := range all {
		own := s.RunID != "" || p.Others
		switch {
		case removed[s.Name] && (s.State == snapshot.InProgress || s.Pinned || !own || !strings.HasPrefix(s.Name, p.Prefix)):
			t.Errorf("%+v is removed", s)
		case removed[s.Name] && slices.ContainsFunc(p.Pins, func(pin string) bool { ok, _ := path.Match(pin, s.Name); return ok }):
			t.Errorf("%s is removed, which is pinned", s.Name)
		}
		if s.State != snapshot.Success || s.Shards.Failed > 0 || !own || !strings.HasPrefix(s.Name, p.Prefix) {
			continue
		}
		before++
		if !removed[s.Name] {
			after++
		}
		newer := func(than *snapshot.Snapshot) bool {
			return than == nil || s.Start.After(than.Start) || (s.Start.Equal(than.Start) && s.Name > than.Name)
		}
		if newer(newest) {
			newest = &all[i]
		}
		if s.Verified != nil && newer(verified) {
			verified = &all[i]
		}
	}
	if verified != nil && removed[verified.Name] {
		t.Errorf("%s is removed, the newest one that a drill has restored", verified.Name)
	}
	least := p.MinComplete
	if least == 0 {
		least = 3
	}
	if after < min(before, max(least, 1)) {
		t.Errorf("%d complete ones are left of %d, want %d", after, before, least)
	}
	if newest != nil && removed[newest.Name] {
		t.Errorf("the newest complete one, %s, is removed", newest.Name)
	}
	for _, s := range all {
		if newest != nil && removed[s.Name] && s.Complete() && p.Within > 0 && newest.Start.Sub(s.Start) <= p.Within {
			t.Errorf("%s is removed, which is within %v", s.Name, p.Within)
		}
	}
}

// Two years of hourly snapshots with outages, failures, pins, foreign ones and a clock that jumps back, pruned after each.
func TestTwoYearsOfHourlySnapshotsBreakNoPromise(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	policy := snapshot.Policy{Last: 3, Hourly: 24, Daily: 7, Weekly: 5, Monthly: 12, Yearly: 3, Within: 6 * time.Hour, Pins: []string{"*-01t00*"}, MaxDelete: 10}
	var all []snapshot.Snapshot
	months, at := map[string]bool{}, day0
	for hour := range 2 * 365 * 24 {
		at = at.Add(time.Hour)
		switch {
		case r.IntN(500) == 0:
			at = at.Add(-2 * time.Hour) // the clock jumps back
		case r.IntN(1000) == 0:
			at = at.AddDate(0, 0, 3) // an outage
		}
		s := taken(at.Add(time.Duration(hour%60) * time.Second))
		if slices.ContainsFunc(all, func(o snapshot.Snapshot) bool { return o.Name == s.Name }) {
			continue
		}
		switch r.IntN(40) {
		case 0:
			s = in(s, snapshot.Partial)
		case 1:
			s = in(s, snapshot.Failed)
		case 2:
			s.RunID = ""
		case 3:
			s.Verified = &snapshot.Verified{At: at} // by a drill, right away
		}
		if s.Complete() && s.Ours() {
			months[s.Start.Format("2006-01")] = true
		}
		all = append(all, s)
		plan, err := policy.Plan(all)
		if err != nil {
			t.Fatal(err)
		}
		promises(t, policy, all, plan)
		if t.Failed() {
			t.FailNow()
		}
		gone := plan.Removed()
		all = slices.DeleteFunc(all, func(s snapshot.Snapshot) bool { return slices.Contains(gone, s.Name) })
		all = slices.DeleteFunc(all, func(s snapshot.Snapshot) bool { return !s.Ours() && at.Sub(s.Start) > 48*time.Hour }) // their owner prunes too
	}
	got := map[string]bool{}
	for _, s := range all {
		if s.Complete() {
			got[s.Start.Format("2006-01")] = true
		}
	}
	if len(got) < 12 || len(months) < 24 {
		t.Errorf("%d months are left of %d, want 12 at least", len(got), len(months))
	}
	if len(all) > 200 {
		t.Errorf("%d snapshots are left", len(all))
	}
}

func FuzzPlan(f *testing.F) {
	f.Add(uint64(1), 30, 1, 2, 3, 4, 5, 6, int64(7200), 3, 100, false)
	f.Add(uint64(2), 300, 0, 0, 0, 0, 0, 1, int64(0), 1, 5, true)
	f.Fuzz(func(t *testing.T, seed uint64, n, last, hourly, daily, weekly, monthly, yearly int, within int64, least, most int, others bool) {
		r := rand.New(rand.NewPCG(seed, 1))
		var all []snapshot.Snapshot
		for i := range min(max(n, 0), 300) {
			s := taken(day0.Add(time.Duration(r.IntN(1e6)) * time.Minute))
			s.Name = fmt.Sprintf("%s-%d", s.Name, i)
			s = in(s, []string{snapshot.Success, snapshot.Success, snapshot.Partial, snapshot.Failed, snapshot.InProgress}[r.IntN(5)])
			s.Pinned = r.IntN(10) == 0
			if r.IntN(5) == 0 {
				s.RunID = ""
			}
			if r.IntN(8) == 0 {
				s.Verified = &snapshot.Verified{}
			}
			all = append(all, s)
		}
		p := snapshot.Policy{Last: last, Hourly: hourly, Daily: daily, Weekly: weekly, Monthly: monthly, Yearly: yearly,
			Within: time.Duration(within), MinComplete: least, MaxDelete: most, Others: others}
		plan, err := p.Plan(all)
		if err != nil {
			return
		}
		promises(t, p, all, plan)
		shuffled := slices.Clone(all)
		r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		again, err := p.Plan(shuffled)
		if diff := cmp.Diff(plan, again); err != nil || diff != "" {
			t.Errorf("the order matters: %v %s", err, diff)
		}
		if gone := plan.Removed(); len(gone) < plan.Policy.MaxDelete {
			left := slices.DeleteFunc(all, func(s snapshot.Snapshot) bool { return slices.Contains(gone, s.Name) })
			if next, err := p.Plan(left); err != nil || len(next.Removed()) > 0 {
				t.Errorf("pruned once more, %v are removed, %v", next.Removed(), err)
			}
		}
	})
}
