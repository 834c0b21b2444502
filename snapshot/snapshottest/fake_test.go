package snapshottest_test

import (
	"testing"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/snapshot"
	"github.com/nuvla/nuvlaops/snapshot/snapshottest"
)

func TestTheFakeConforms(t *testing.T) {
	snapshottest.Conformance(t, func(t *testing.T) snapshottest.Target {
		documents := map[string]int64{"nuvla-job": 10, "nuvla-user": 3}
		fake := &snapshottest.Fake{Documents: documents, VerifyErr: func(s snapshot.Settings) error {
			if s.FS.Location == "/backup" {
				return nil
			}
			return &nuvlaops.Error{Reason: s.FS.Location + " is not below a path.repo", Hint: "add it to path.repo", Err: nuvlaops.ErrRepository}
		}}
		return snapshottest.Target{Repo: fake, Documents: documents, Settings: snapshot.Settings{FS: &snapshot.FS{Location: "/backup"}},
			Broken: snapshot.Settings{FS: &snapshot.FS{Location: "/elsewhere"}}}
	})
}
