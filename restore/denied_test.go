package restore_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/restore"
)

func TestAnS3KeyThatMayNotReadIsSaidAndNoSnapshotTakenForMissing(t *testing.T) {
	keys := testenv.SharedS3(t).Keys()
	s3 := testenv.UseS3(t, testenv.S3Options{Keys: keys})
	b := places[0].benchOn(t, testenv.SharedElasticsearch(t, testenv.Elasticsearch811), s3)
	b.fill(b.index("job"), 1, 100, 100)
	b.snapshot("snap")
	b.wipe()
	plan := b.plan(b.request())
	if err := s3.ChangeKeys(t.Context(), testenv.NewS3Keys()); err != nil {
		t.Fatal(err)
	}
	if err := s3.AddUser(t.Context(), keys); err != nil {
		t.Fatal(err)
	}
	allow := func(actions ...string) {
		if err := s3.Allow(t.Context(), b.bucket(), keys, actions...); err != nil {
			t.Fatal(err)
		}
	}
	allow("s3:ListBucket")
	for _, sel := range []restore.Selector{{}, {Name: "snap"}} {
		_, err := b.repo.Choose(t.Context(), sel)
		var e *nuvlaops.Error
		if !errors.Is(err, nuvlaops.ErrRepository) || !errors.As(err, &e) || !strings.Contains(e.Hint, "read objects") {
			t.Errorf("Choose %+v: %v, want ErrRepository, and a hint on the right to read", sel, err)
		}
	}
	_, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{})
	if err == nil || !strings.Contains(err.Error(), "Denied") && !strings.Contains(err.Error(), "Forbidden") {
		t.Errorf("Apply: %v, want what S3 says", err)
	}
	t.Log(err)
	allow("s3:ListBucket", "s3:GetObject")
	if report, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{}); err != nil || report.Documents != 100 {
		t.Errorf("with the right to read: %v\n%s", err, report)
	}
}
