package restore

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/internal/es"
)

func TestIndexIsJudgedByItsPrimariesAndTheirSource(t *testing.T) {
	snap := es.Source{Type: "SNAPSHOT", Repository: "r", Snapshot: "s"}
	other := es.Source{Type: "SNAPSHOT", Repository: "r", Snapshot: "other"}
	disk := es.Source{Type: "EXISTING_STORE"}
	started := es.Primary{State: "STARTED"}
	state := func(p ...es.Primary) es.IndexState {
		s := es.IndexState{UUID: "abcdefghij", Open: true, Shards: len(p), Primaries: map[int]es.Primary{}}
		for i, x := range p {
			s.Primaries[i] = x
		}
		return s
	}
	from := func(sources ...es.Source) (out []es.Recovery) {
		for i, s := range sources {
			out = append(out, es.Recovery{Shard: i, Stage: "DONE", Source: s})
		}
		return out
	}
	running := func(states ...string) map[shardKey]string {
		out := map[shardKey]string{}
		for i, s := range states {
			out[shardKey{"abcdefghij", i}] = s
		}
		return out
	}
	for _, c := range []struct {
		name       string
		state      es.IndexState
		recoveries []es.Recovery
		running    map[shardKey]string
		known      string
		want       standing
		restart    bool
		orphan     bool
	}{
		{name: "all started, all from the snapshot", state: state(started, started), recoveries: from(snap, snap), want: complete},
		{name: "one from another snapshot", state: state(started, started), recoveries: from(snap, other), want: foreign},
		{name: "made by somebody else", state: state(started), recoveries: from(es.Source{Type: "EMPTY_STORE"}), want: foreign},
		{name: "from the server's disk, and not in the journal", state: state(started), recoveries: from(disk), want: foreign, orphan: true},
		{name: "one from the server's disk, one made by somebody else", state: state(started, started), recoveries: from(disk, es.Source{Type: "EMPTY_STORE"}), want: foreign},
		{name: "one from the server's disk, one from another snapshot", state: state(started, started), recoveries: from(disk, other), want: foreign},
		{name: "one from the server's disk, one lost", state: state(started, es.Primary{State: "UNASSIGNED", Source: disk, Status: "no_valid_shard_copy"}), recoveries: from(disk), want: foreign, orphan: true},
		{name: "from the server's disk, and in the journal", state: state(started), recoveries: from(disk), known: "abcdefgh", want: complete},
		{name: "emptied by hand, and in the journal", state: state(started, started), recoveries: from(snap, es.Source{Type: "EMPTY_STORE"}), known: "abcdefgh", want: foreign},
		{name: "another index under the name in the journal", state: state(started), recoveries: from(disk), known: "zzzzzzzz", want: foreign, orphan: true},
		{name: "waiting for its turn", state: state(started, es.Primary{State: "UNASSIGNED", Source: snap}), recoveries: from(snap),
			running: running(es.RestoreSuccess, es.RestoreInit), want: underway},
		{name: "failed and to be tried again", state: state(es.Primary{State: "UNASSIGNED", Source: snap, Attempts: 3}), running: running(es.RestoreInit), want: underway},
		{name: "finally failed, others still running", state: state(es.Primary{State: "UNASSIGNED", Source: snap}, es.Primary{State: "INITIALIZING", Source: snap}),
			running: running(es.RestoreFailure, es.RestoreStarted), want: broken},
		{name: "finally failed, the restore has ended", state: state(started, es.Primary{State: "UNASSIGNED", Source: snap}), recoveries: from(snap), want: broken},
		{name: "lost by a restart", state: state(es.Primary{State: "UNASSIGNED", Source: disk, Status: "no_valid_shard_copy"}), known: "abcdefgh", want: broken, restart: true},
		{name: "red, and not ours", state: state(es.Primary{State: "UNASSIGNED", Source: disk, Status: "no_valid_shard_copy"}), want: foreign, orphan: true},
		{name: "after a restart, not yet looked for on disk", state: state(es.Primary{State: "UNASSIGNED", Source: disk, Status: "fetching_shard_data"}), known: "abcdefgh", want: underway},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := inspected{planned: PlannedIndex{Target: "i", Shards: len(c.state.Primaries)}}
			x.judge(c.state, c.recoveries, c.running, c.known, "r", "s")
			if x.standing != c.want || x.restart != c.restart || x.orphan != c.orphan {
				t.Errorf("standing %d, restart %t, orphan %t, want %d, %t, %t", x.standing, x.restart, x.orphan, c.want, c.restart, c.orphan)
			}
		})
	}
}

func TestIndexThatIsNotWholeIsNotVerifiedFromTheServersDisk(t *testing.T) {
	disk := es.Source{Type: "EXISTING_STORE"}
	x := inspected{planned: PlannedIndex{Target: "i", Shards: 2}}
	x.judge(es.IndexState{UUID: "abcdefghij", Open: true, Shards: 2, Primaries: map[int]es.Primary{0: {State: "STARTED"}, 1: {State: "UNASSIGNED", Source: disk, Status: "no_valid_shard_copy"}}},
		[]es.Recovery{{Shard: 0, Source: disk}}, nil, "abcdefgh", "r", "s")
	var report Report
	report.describeProof(world{x})
	if x.standing != broken || len(report.Verified) > 0 {
		t.Errorf("standing %d, verified %q, want broken and nothing", x.standing, report.Verified)
	}
}

func TestBytesOfSettingsAreRead(t *testing.T) {
	got := map[string]int64{}
	for _, text := range []string{"40mb", "1gb", "100b", "7", "2.5kb", "-1", "1t"} {
		n, ok := parseBytes(text)
		if !ok {
			t.Errorf("%q is not read", text)
		}
		got[text] = n
	}
	want := map[string]int64{"40mb": 40 << 20, "1gb": 1 << 30, "100b": 100, "7": 7, "2.5kb": 2560, "-1": -1, "1t": 1 << 40}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("bytes (-want +got):\n%s", d)
	}
	if n, ok := parseBytes("fast"); ok {
		t.Errorf("%q is read as %d", "fast", n)
	}
}

func TestDiskIsReservedAsTheWatermarkSays(t *testing.T) {
	const disk = 1 << 40
	for low, want := range map[string]int64{"90%": share(0.9, disk), "0.9": share(0.9, disk), "10gb": 10 << 30, "10%": 200 << 30, "": share(0.85, disk)} {
		if got := reserve(low, disk); got != want {
			t.Errorf("low watermark %q reserves %d, want %d", low, got, want)
		}
	}
}

func TestDocumentsMayDifferALittleButNeverAll(t *testing.T) {
	for _, c := range []struct {
		expected, got int64
		share         float64
		want          bool
	}{{100, 99, 0.02, true}, {100, 97, 0.02, false}, {100, 102, 0.02, true}, {100, 99, 0, false}, {1, 0, 1, false}, {0, 0, 0, true}, {0, 1, 0, false}, {30, 29, 0.02, true}, {30, 29, 0, false}, {30, 28, 0.02, false}} {
		if got := (DocumentRange{c.expected, c.expected}).tolerates(c.got, c.share); got != c.want {
			t.Errorf("%d expected, %d found, share %v: %t", c.expected, c.got, c.share, got)
		}
	}
}

func TestRequestOfAPlanMeansTheSameWhenItIsPlannedAgain(t *testing.T) {
	for _, c := range []struct{ given, want float64 }{{0, 0.02}, {0.1, 0.1}, {-0.5, 0}, {-1, 0}} {
		once := Request{Snapshot: "s", DocumentTolerance: c.given, RenamePrefix: "x-"}.withDefaults()
		if diff := cmp.Diff(once, once.withDefaults()); diff != "" || once.tolerance() != c.want {
			t.Errorf("tolerance %v: %v, want %v; planned again (-want +got):\n%s", c.given, once.tolerance(), c.want, diff)
		}
	}
}

func TestReportsHaveSecondsInJSONAndComeBack(t *testing.T) {
	report := DrillReport{RTO: 90 * time.Second, Budget: time.Hour, Restore: &Report{Took: 1500 * time.Millisecond}}
	raw, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"took_seconds":1.5`, `"rto_seconds":90`, `"budget_seconds":3600`} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("no %s in %s", want, raw)
		}
	}
	var back DrillReport
	if err := json.Unmarshal(raw, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(report, back); diff != "" {
		t.Error(diff)
	}
}
