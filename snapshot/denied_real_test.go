package snapshot_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/snapshot"
)

// Each of these is what a policy for backups forgets.
var rights = map[string]string{"list": "s3:ListBucket", "read": "s3:GetObject", "write": "s3:PutObject", "delete": "s3:DeleteObject"}

// guarded is an S3 server on which Elasticsearch's keys may do in a bucket only what they are allowed to.
type guarded struct {
	*testenv.S3
	t      *testing.T
	bucket string
}

func newGuarded(t *testing.T) guarded {
	t.Helper()
	g := guarded{testenv.UseS3(t, testenv.S3Options{}), t, "guarded"}
	if err := g.AddUser(t.Context(), testenv.SharedS3(t).Keys()); err != nil {
		t.Fatal(err)
	}
	if err := g.CreateBucket(t.Context(), g.bucket); err != nil {
		t.Fatal(err)
	}
	return g
}

func (g guarded) settings() snapshot.Settings {
	return snapshot.Settings{S3: &snapshot.S3{Bucket: g.bucket, Endpoint: g.Endpoint(), PathStyleAccess: true}}
}

// allBut allows all rights but one.
func (g guarded) allBut(missing string) {
	g.t.Helper()
	actions := []string{"s3:AbortMultipartUpload"}
	for right, action := range rights {
		if right != missing {
			actions = append(actions, action)
		}
	}
	if err := g.Allow(g.t.Context(), g.bucket, testenv.SharedS3(g.t).Keys(), actions...); err != nil {
		g.t.Fatal(err)
	}
}

// Not beside others, whose snapshots keep Elasticsearch from cleaning up.
func TestWhatAnS3KeyMayNotDoIsSaidWithAHint(t *testing.T) {
	for _, p := range s3Places {
		t.Run(p.name, func(t *testing.T) {
			g, b := newGuarded(t), p.bench(t)
			g.allBut("none")
			b.ensure(g.settings())
			b.fill(b.index("job"), 3)
			for _, name := range []string{"one", "two"} {
				if _, err := b.repo.Create(t.Context(), snapshot.CreateRequest{Name: name, Indices: []string{b.index("*")}}); err != nil {
					t.Fatal(err)
				}
			}
			create := func() error {
				_, err := b.repo.Create(t.Context(), snapshot.CreateRequest{Indices: []string{b.index("*")}})
				return err
			}
			get := func() error { _, err := b.repo.Get(t.Context(), "one"); return err }
			verify := func() error { _, err := b.repo.Verify(t.Context()); return err }
			remove := func() error { return b.repo.Delete(t.Context(), "two") }
			cleanup := func() error { _, err := b.repo.Cleanup(t.Context()); return err }
			unreadable := func() error { _, err := b.repo.Unreadable(t.Context()); return err }
			for _, tc := range []struct {
				missing, call string
				do            func() error
				says          string
			}{
				{"list", "verify", verify, "may not list bucket guarded"},
				{"list", "delete", remove, "may not list bucket guarded"},
				{"list", "cleanup", cleanup, "may not list bucket guarded"},
				{"write", "verify", verify, "may not write objects to bucket guarded"},
				{"write", "create", create, "may not write objects to bucket guarded"},
				{"write", "delete", remove, "may not write objects to bucket guarded"},
				{"write", "cleanup", cleanup, "may not write objects to bucket guarded"},
				{"read", "verify", verify, "bucket guarded"},
				{"read", "create", create, "bucket guarded"},
				{"read", "get", get, "bucket guarded"},
				{"read", "unreadable", unreadable, "bucket guarded"},
				{"delete", "verify", verify, "bucket guarded"},
				{"delete", "cleanup", cleanup, "bucket guarded"},
				{"delete", "delete", remove, "bucket guarded"},
			} {
				g.allBut("none")
				if err := verify(); err != nil { // also reads what a call that has failed left in Elasticsearch's mind
					t.Fatalf("with all rights: %v", err)
				}
				g.allBut(tc.missing)
				err := tc.do()
				mustSay(t, err, nuvlaops.ErrRepository, tc.says)
				if tc.missing == "delete" && err != nil && !strings.Contains(err.Error(), "s3:DeleteObject") {
					t.Errorf("%s without %s: got %v, want it to name s3:DeleteObject", tc.call, tc.missing, err)
				}
			}
			g.prunesWithoutDeleting(b)
			g.allBut("write")
			mustSay(t, b.repo.Delete(t.Context(), "three"), nuvlaops.ErrRepository, "register the repository read-only")
			readOnly := g.settings()
			readOnly.ReadOnly = true
			if _, err := b.repo.Ensure(t.Context(), readOnly); err != nil { // 8.19 and 9, after a write that has failed
				mustSay(t, err, nuvlaops.ErrConflict, "remove its registration")
			}
		})
	}
}

// prunesWithoutDeleting: what is not listed any more is named beside the error.
func (g guarded) prunesWithoutDeleting(b *bench) {
	g.t.Helper()
	g.allBut("none")
	if _, err := b.repo.Create(g.t.Context(), snapshot.CreateRequest{Name: "three", Indices: []string{b.index("*")}}); err != nil {
		g.t.Fatal(err)
	}
	g.allBut("delete")
	plan, err := snapshot.PlanPrune(g.t.Context(), b.repo, snapshot.Policy{Last: 1, MinComplete: 1, Others: true})
	if err != nil {
		g.t.Fatal(err)
	}
	want := plan.Removed()
	removed, err := snapshot.Prune(g.t.Context(), b.repo, plan)
	mustSay(g.t, err, nuvlaops.ErrRepository, "s3:DeleteObject")
	if len(want) == 0 || !slices.Equal(removed, want) {
		g.t.Errorf("removed %v beside the error, want %v", removed, want)
	}
}
