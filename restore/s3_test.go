package restore_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/restore"
)

func TestS3KilledDuringAReplaceIsAFailureThatTouchesNothingAndCanBeRepeated(t *testing.T) {
	t.Parallel() // no other such test uses that server
	s3 := testenv.UseS3(t, testenv.S3Options{Keys: testenv.SharedS3(t).Keys()})
	b := places[0].benchOn(t, testenv.SharedElasticsearch(t, testenv.Elasticsearch811), s3)
	b.setLimit("21mb")
	b.fill(b.index("big"), 12, 1500, 2000) // four are restored at a time
	b.snapshot("snap")
	b.do("POST", "/"+b.index("big")+"/_doc?refresh", `{"n":7}`)
	b.slow()
	before := b.state()
	client := &ilm{Client: b.client, mode: "RUNNING"}
	repo := b.open(client, nil)
	req := b.replacing()
	req.Settings = map[string]string{"index.allocation.max_retries": "1"} // five by default, each with retries of its own
	plan := b.plan(req)
	struck := false
	report, err := repo.Apply(t.Context(), plan, restore.ApplyOptions{Progress: func(p nuvlaops.Progress) {
		if !struck && p.Bytes > 0 {
			struck = true
			if err := s3.Kill(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
		}
	}})
	if !errors.Is(err, nuvlaops.ErrVerification) || len(report.Failures) == 0 || report.Failures[0].Index != b.index("big") || report.Failures[0].Shard < 0 {
		t.Fatalf("got %v, want ErrVerification that names a shard\n%s", err, report)
	}
	if d := b.originals(); len(d) != 1 || d[b.index("big")] != before[b.index("big")] || b.documents(b.index("big")) != 1501.0 {
		t.Errorf("originals %v, want %v", d, before)
	}
	if limit := b.limit(); limit != "21mb" {
		t.Errorf("limit is %q, want 21mb as before", limit)
	}
	if err := s3.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(2 * time.Minute); ; { // the server keeps for a while that the name is not known
		if answer := b.do("POST", "/_snapshot/"+b.repository()+"/_verify", "", 500); answer["nodes"] != nil || time.Now().After(end) {
			break
		}
		time.Sleep(500 * time.Millisecond)
	}
	if report, err = repo.Apply(t.Context(), plan, restore.ApplyOptions{}); err != nil || report.Documents != 1500 || len(b.state()) != 1 {
		t.Errorf("with S3 back: %v\n%s", err, report)
	}
	if limit := b.limit(); limit != "21mb" || client.mode != "RUNNING" { // shards that went on after the failure kept ILM stopped
		t.Errorf("in the end the limit is %q and ILM %s, want 21mb and RUNNING as before", limit, client.mode)
	}
}
