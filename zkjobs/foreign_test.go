package zkjobs_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/go-zookeeper/zk"
	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/zkjobs"
	"github.com/nuvla/nuvlaops/zkjobs/zkjobstest"
)

// Whoever may write to the queue's nodes may put anything there.
func TestEntriesThatAreNoneOfOursAreCountedShownAndPruned(t *testing.T) {
	onEach(t, func(t *testing.T, q *queue) {
		q.make()
		for name, data := range map[string][]byte{"x": nil, "entry-abc": []byte("job/a"), "entry-050-99999999999": []byte("job/a"), "entry--01-0000000001": []byte("\xff\xfe"),
			"entry-050-4294967295": []byte("job/\x1b[2J\n  warning: none"), "entry-000-0000000000": make([]byte, 1_000_000), "größe": []byte("null")} {
			must[string](t)(q.raw.Create(q.path+"/entries/"+name, data, 0, zk.WorldACL(zk.PermAll)))
		}
		q.put(50, "")
		q.put(50, strings.Repeat("job/", 100_000))
		r := q.rebuilder(zkjobstest.Jobs{job("a", 50, 1), job("b", 50, 2)})
		plan := must[*zkjobs.Plan](t)(r.Plan(t.Context(), zkjobs.PlanOptions{}))
		raw, err := json.Marshal(plan)
		if err != nil || len(raw) > 16<<10 {
			t.Errorf("%v, a plan of %d bytes", err, len(raw))
		}
		if text := plan.String(); strings.ContainsAny(text, "\x1b\x00") || strings.Contains(text, "\n  warning: none") || len(text) > 4<<10 {
			t.Errorf("%q", text[:min(len(text), 4<<10)])
		}
		res := must[*zkjobs.Result](t)(r.Apply(t.Context(), plan, zkjobs.ApplyOptions{Prune: true, Force: true, Move: true}))
		if diff := cmp.Diff([]string{"050 job/a", "050 job/b"}, q.ids()); diff != "" || !res.Report.OK() {
			t.Errorf("result %+v, queue (-want +got):\n%s", res, diff)
		}
	})
}
