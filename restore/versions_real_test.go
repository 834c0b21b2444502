package restore_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/restore"
)

// TestASnapshotIsRestoredByALaterVersionAndRefusedByAnEarlierOne: the servers share a bucket.
func TestASnapshotIsRestoredByALaterVersionAndRefusedByAnEarlierOne(t *testing.T) {
	taken := func(version string) *bench {
		b := place{version, true}.bench(t)
		b.fill(b.index("a"), 3, 20, 100)
		b.snapshot("snap")
		return b
	}
	// in reads b's snapshot in a server of another version.
	in := func(b *bench, version string) *bench {
		other := &bench{t: t, place: b.place, server: testenv.SharedElasticsearch(t, version), s3: b.s3, id: b.id}
		other.client = other.server.Client()
		other.repo = other.open(other.client, nil)
		other.register(`,"readonly":true`)
		t.Cleanup(other.clean)
		return other
	}
	old, late := taken(testenv.Elasticsearch811), taken(testenv.Elasticsearch9)
	for _, version := range []string{testenv.Elasticsearch819, testenv.Elasticsearch9} {
		b := in(old, version)
		plan := b.plan(b.request())
		warned := slices.ContainsFunc(plan.Findings, func(f restore.Finding) bool {
			return f.Code == restore.CodeVersion && f.Severity == restore.SeverityWarning && strings.Contains(f.Text, "taken by version 8")
		})
		if want := version == testenv.Elasticsearch9; warned != want {
			t.Errorf("%s: warned %v, want %v: %+v", version, warned, want, plan.Findings)
		}
		if report, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{}); err != nil || !report.OK() || report.Documents != 20 {
			t.Errorf("%s: %v\n%s", version, err, report)
		}
	}
	for _, version := range []string{testenv.Elasticsearch811, testenv.Elasticsearch819} {
		b := in(late, version)
		plan := b.plan(b.request())
		if !slices.ContainsFunc(plan.Findings, func(f restore.Finding) bool {
			return f.Code == restore.CodeVersion && f.Severity == restore.SeverityError
		}) {
			t.Errorf("%s: nothing says that it cannot read the snapshot: %+v", version, plan.Findings)
		}
		if _, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{}); !errors.Is(err, nuvlaops.ErrRefused) || len(b.state()) != 0 {
			t.Errorf("%s: got %v, want ErrRefused", version, err)
		}
	}
}
