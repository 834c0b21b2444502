package restore_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/restore"
)

// quick is how often the drills of tests renew their claim.
const quick = 300 * time.Millisecond

func (b *bench) drill(opts restore.DrillOptions) (*restore.DrillReport, error) {
	b.t.Helper()
	b.repo.SetClaimEvery(quick)
	if opts.Indices == nil {
		opts.Indices = b.patterns()
	}
	return b.repo.Drill(b.t.Context(), opts)
}

// fingerprint is all that the server says of this bench's indices, but for what time alone changes, and of its settings.
func (b *bench) fingerprint() string {
	b.t.Helper()
	state := b.do("GET", "/_cluster/state/metadata/*"+b.id+"-*?expand_wildcards=all&filter_path=metadata.indices", "")
	stats := b.do("GET", "/*"+b.id+"-*/_stats/docs,store?expand_wildcards=all&level=shards&filter_path=indices.*.uuid,indices.*.primaries.docs,indices.*.shards.*.seq_no,indices.*.shards.*.commit", "")
	settings := b.do("GET", "/_cluster/settings?flat_settings", "")
	aliases := b.do("GET", "/*"+b.id+"-*/_alias", "")
	out, err := json.MarshalIndent([]any{state, stats, settings, aliases}, "", " ")
	if err != nil {
		b.t.Fatal(err)
	}
	return string(out)
}

// scratch are the indices on the server that are named as a drill's.
func (b *bench) scratch() []string {
	b.t.Helper()
	var names []string
	for name := range b.do("GET", "/drill-*?expand_wildcards=all", "") {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func TestDrillProvesASnapshotAndLeavesTheOriginalsByteForByteAlone(t *testing.T) {
	at(t, places, func(t *testing.T, p place) {
		b := p.bench(t)
		b.fill(b.index("a"), 3, 60, 200)
		b.fill(b.index("b"), 1, 7, 10)
		b.do("POST", "/_aliases", `{"actions":[{"add":{"index":"`+b.index("a")+`","alias":"alias-`+b.id+`"}}]}`)
		b.snapshot("snap")
		b.do("POST", "/"+b.index("a")+"/_doc?refresh", `{"n":-1}`) // the original goes on: the drill must not take it for the copy
		b.do("POST", "/*"+b.id+"-*/_flush", "")
		before := b.fingerprint()
		report, err := b.drill(restore.DrillOptions{Checksums: true, Budget: time.Hour, Verify: restore.VerifyOptions{
			Queries: []restore.Query{{Name: "small numbers", Index: b.index("a"), Query: json.RawMessage(`{"range":{"n":{"lt":5}}}`), Min: 5}}}})
		if err != nil {
			t.Fatalf("%v\n%s", err, report)
		}
		if !report.Proven || report.OverBudget || report.RTO <= 0 || report.Removed != 2 || report.Restore.Documents != 67 || len(report.Left)+len(report.Swept) > 0 {
			t.Errorf("report:\n%s", report)
		}
		if d := cmp.Diff(before, b.fingerprint()); d != "" {
			t.Errorf("originals and settings (-before +after):\n%s", d)
		}
		if got := b.scratch(); len(got) > 0 {
			t.Errorf("left: %v", got)
		}
		raw, err := json.Marshal(report)
		var read restore.DrillReport
		if err != nil || json.Unmarshal(raw, &read) != nil || read.RTO != report.RTO || read.String() != report.String() {
			t.Errorf("report from JSON: %v\n%s", err, read.String())
		}
	})
}

func TestDrillOfADataStreamRestoresItsIndicesAlone(t *testing.T) {
	b := places[0].bench(t)
	stream := b.index("ts")
	b.do("PUT", "/_index_template/"+b.id, `{"index_patterns":["`+stream+`*"],"priority":500,"data_stream":{},"template":{"settings":{"number_of_shards":2,"number_of_replicas":0}}}`)
	b.do("POST", "/"+stream+"/_doc?op_type=create&refresh", `{"@timestamp":"2026-01-01T00:00:00Z"}`)
	b.snapshot("snap")
	report, err := b.drill(restore.DrillOptions{})
	if err != nil || report.Restore.Documents != 1 || report.Restore.Shards != 2 {
		t.Fatalf("%v\n%s", err, report)
	}
	if got := b.scratch(); len(got) > 0 {
		t.Errorf("left: %v", got)
	}
	if n := b.do("GET", "/"+stream+"/_count", "")["count"]; n != 1.0 {
		t.Errorf("the stream has %v documents, want 1", n)
	}
}

func TestDrillOverItsBudgetFailsAndStillProvesTheSnapshot(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("a"), 1, 7, 10)
	b.snapshot("snap")
	report, err := b.drill(restore.DrillOptions{Budget: time.Millisecond})
	if !errors.Is(err, nuvlaops.ErrVerification) || !strings.Contains(err.Error(), "over the budget of 1ms") {
		t.Fatalf("got %v, want ErrVerification", err)
	}
	if !report.Proven || !report.OverBudget || report.Removed != 1 {
		t.Errorf("report:\n%s", report)
	}
}

func TestDrillOfACorruptBlobNamesTheShardAndRemovesTheRest(t *testing.T) {
	b := places[0].bench(t)
	b.fill(b.index("good"), 3, 30, 100)
	b.fill(b.index("bad"), 3, 300, 2000)
	b.snapshot("snap")
	before := b.fingerprint()
	key, shard := b.biggestBlob(t)
	data, err := b.s3.GetObject(t.Context(), b.bucket(), key)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 0xff
	if err := b.s3.PutObject(t.Context(), b.bucket(), key, data); err != nil {
		t.Fatal(err)
	}
	report, err := b.drill(restore.DrillOptions{})
	if !errors.Is(err, nuvlaops.ErrVerification) || !strings.Contains(err.Error(), b.index("bad")+"["+shard+"]") {
		t.Fatalf("got %v, want ErrVerification that names the shard %s", err, shard)
	}
	if report.Proven || report.Removed != 2 || report.Restore.Proven != 5 {
		t.Errorf("report:\n%s", report)
	}
	if got := b.scratch(); len(got) > 0 {
		t.Errorf("left: %v", got)
	}
	if d := cmp.Diff(before, b.fingerprint()); d != "" {
		t.Errorf("originals and settings (-before +after):\n%s", d)
	}
}

func TestDrillThatIsCancelledRemovesItsIndices(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("big"), 3, 2000, 2000)
	b.snapshot("snap")
	b.slow()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	report, err := b.repo.Drill(ctx, restore.DrillOptions{Indices: b.patterns(), Progress: func(nuvlaops.Progress) { cancel() }})
	if !errors.Is(err, context.Canceled) || report.Proven || report.Removed != 1 || len(report.Left) > 0 {
		t.Fatalf("%v\n%s", err, report)
	}
	if got := b.scratch(); len(got) > 0 {
		t.Errorf("left: %v", got)
	}
}

func TestDrillRemovesOnlyWhatProvesToBeScratch(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("a"), 1, 7, 10)
	b.snapshot("snap")
	const id = "20260102t030405z-0123abcd"
	const mark = `"index.routing.allocation.exclude.nuvlaops_drill"`
	make := func(name, settings string) string {
		name += b.id + "-x"
		b.do("PUT", "/"+name, `{"settings":{"number_of_replicas":0`+settings+`}}`)
		return name
	}
	left := make("drill-nuvlaops-"+id+"-", `,"index.hidden":true,`+mark+`:"`+id+`"`)
	kept := []string{
		make("drill-nuvlaops-"+id+"-unmarked-", ""),
		make("drill-nuvlaops-"+id+"-another-", `,`+mark+`:"20260102t030405z-ffffffff"`),
		make("drill-nuvlaops-", `,`+mark+`:"`+id+`"`),
		make("drill-of-somebody-", `,`+mark+`:"`+id+`"`),
	}
	report, err := b.drill(restore.DrillOptions{})
	if err != nil {
		t.Fatalf("%v\n%s", err, report)
	}
	if d := cmp.Diff([]string{left}, report.Swept); d != "" {
		t.Errorf("removed of drills before (-want +got):\n%s", d)
	}
	slices.Sort(kept)
	if d := cmp.Diff(kept, b.scratch()); d != "" {
		t.Errorf("there afterwards (-want +got):\n%s", d)
	}
}

func TestDrillThatWasTakenOverLeavesTheOtherOnesScratchAlone(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("big"), 3, 3000, 2000)
	b.snapshot("snap")
	b.slow()
	const id = "20260102t030405z-0123abcd" // of a drill that takes the first one for killed
	const claim = "cluster.metadata.nuvlaops.drill.claim"
	other := "drill-nuvlaops-" + id + "-" + b.id + "-x"
	var once sync.Once
	b.repo.SetClaimEvery(quick)
	report, err := b.repo.Drill(t.Context(), restore.DrillOptions{Indices: b.patterns(), Progress: func(nuvlaops.Progress) {
		once.Do(func() {
			b.do("PUT", "/"+other, `{"settings":{"number_of_replicas":0,"index.routing.allocation.exclude.nuvlaops_drill":"`+id+`"}}`)
		})
		// Each time: a renewal that has looked before may write after.
		b.do("PUT", "/_cluster/settings", fmt.Sprintf(`{"persistent":{%q:%q}}`, claim, `{"drill":"`+id+`","began":"2026-01-02T03:04:05Z","beat":1}`))
	}})
	defer b.do("PUT", "/_cluster/settings", fmt.Sprintf(`{"persistent":{%q:null,"cluster.metadata.nuvlaops.drill.restore":null}}`, claim))
	if !errors.Is(err, nuvlaops.ErrConflict) || report.Removed != 1 || len(report.Swept) > 0 {
		t.Errorf("%v\n%s", err, report)
	}
	if d := cmp.Diff([]string{other}, b.scratch()); d != "" {
		t.Errorf("scratch indices (-want +got):\n%s", d)
	}
}

func TestDrillKeepsAwayFromAnotherOneAndFromARestore(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("big"), 3, 6000, 2000)
	b.snapshot("snap")
	b.slow()
	b.repo.SetClaimEvery(time.Second)
	begun, ended := make(chan struct{}), make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var once sync.Once
	go func() {
		_, err := b.repo.Drill(ctx, restore.DrillOptions{Indices: b.patterns(), By: "the first", Progress: func(nuvlaops.Progress) {
			once.Do(func() { close(begun) })
		}})
		ended <- err
	}()
	select {
	case <-begun:
	case err := <-ended:
		t.Fatalf("the first drill ended: %v", err)
	}
	if _, err := b.repo.Drill(t.Context(), restore.DrillOptions{Indices: b.patterns()}); !errors.Is(err, nuvlaops.ErrBusy) || !strings.Contains(err.Error(), "by the first since") {
		t.Errorf("a drill beside a drill: %v, want ErrBusy", err)
	}
	if n := len(b.scratch()); n != 1 {
		t.Errorf("%d scratch indices beside the running drill, want its one", n)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the first drill: %v", err)
	}

	b.wipe()
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	if _, err := b.repo.Apply(ctx, b.plan(b.request()), restore.ApplyOptions{Progress: func(nuvlaops.Progress) { cancel() }}); !errors.Is(err, context.Canceled) {
		t.Fatalf("the restore: %v", err)
	}
	if _, err := b.drill(restore.DrillOptions{}); !errors.Is(err, nuvlaops.ErrBusy) || !strings.Contains(err.Error(), "a restore") {
		t.Errorf("a drill beside a restore: %v, want ErrBusy", err)
	}
	if got := b.scratch(); len(got) > 0 {
		t.Errorf("left: %v", got)
	}
}

// late is a client that waits before its first change of the cluster's settings, and says when that is made.
type late struct {
	restore.Client
	once sync.Once
	wait func()
	made chan struct{}
}

func (c *late) Perform(req *http.Request) (*http.Response, error) {
	first := false
	if req.Method == http.MethodPut && strings.HasSuffix(req.URL.Path, "/_cluster/settings") {
		c.once.Do(func() { first = true })
	}
	if !first {
		return c.Client.Perform(req)
	}
	defer close(c.made)
	c.wait()
	return c.Client.Perform(req)
}

// Both have seen that no drill runs before either says that it does.
func TestOfTwoDrillsInTheSameInstantOneRuns(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("a"), 1, 100, 100)
	b.snapshot("snap")
	var both sync.WaitGroup
	both.Add(2)
	first, second := &late{Client: b.client, made: make(chan struct{})}, &late{Client: b.client, made: make(chan struct{})}
	first.wait = func() { both.Done(); both.Wait() }
	second.wait = func() { first.wait(); <-first.made; time.Sleep(100 * time.Millisecond) }
	errs := make([]error, 2)
	var wait sync.WaitGroup
	for i, client := range []*late{first, second} {
		repo := b.open(client, nil)
		repo.SetClaimEvery(3 * time.Second)
		wait.Go(func() {
			_, errs[i] = repo.Drill(t.Context(), restore.DrillOptions{Indices: b.patterns(), By: fmt.Sprint("number ", i+1)})
		})
	}
	wait.Wait()
	if !errors.Is(errs[0], nuvlaops.ErrBusy) || !strings.Contains(errs[0].Error(), "by number 2") || errs[1] != nil {
		t.Errorf("the first: %v; the second: %v; want the first to give way to the second", errs[0], errs[1])
	}
	if got := b.scratch(); len(got) > 0 {
		t.Errorf("left: %v", got)
	}
}

func TestDrillWithBadInputOrWithoutASnapshotTouchesNothing(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("a"), 1, 7, 10)
	b.documents(b.index("a")) // refreshes it, which otherwise changes its count of documents by itself
	before := b.fingerprint()
	for name, c := range map[string]struct {
		opts restore.DrillOptions
		want error
	}{
		"a negative budget":  {restore.DrillOptions{Budget: -1}, nuvlaops.ErrInvalid},
		"a pattern":          {restore.DrillOptions{Indices: []string{"a b"}}, nuvlaops.ErrInvalid},
		"a setting":          {restore.DrillOptions{Settings: map[string]string{"number_of_shards": "3"}}, nuvlaops.ErrInvalid},
		"a block":            {restore.DrillOptions{Settings: map[string]string{"index.blocks.read_only": "true"}}, nuvlaops.ErrInvalid},
		"a setting of ours":  {restore.DrillOptions{Settings: map[string]string{"index.hidden": "false"}}, nuvlaops.ErrInvalid},
		"no snapshot":        {restore.DrillOptions{}, nuvlaops.ErrNotFound},
		"none of the wanted": {restore.DrillOptions{Select: restore.Selector{Among: []string{"x"}}}, nuvlaops.ErrNotFound},
	} {
		if _, err := b.drill(c.opts); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if d := cmp.Diff(before, b.fingerprint()); d != "" {
		t.Errorf("originals and settings (-before +after):\n%s", d)
	}
	if got := fmt.Sprint(b.settings().Persistent); strings.Contains(got, "drill") {
		t.Errorf("settings: %s", got)
	}
}
