package snapshot_test

import (
	"slices"
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

// denials are calls that need a right, and what is said without it.
var denials = []struct{ missing, call, says string }{
	{"list", "verify", "may not list bucket guarded"},
	{"list", "delete", "may not list bucket guarded"},
	{"list", "cleanup", "may not list bucket guarded"},
	{"write", "verify", "may not write objects to bucket guarded"},
	{"write", "create", "may not write objects to bucket guarded"},
	{"write", "delete", "may not write objects to bucket guarded"},
	{"write", "cleanup", "may not write objects to bucket guarded"},
	{"read", "verify", "bucket guarded"},
	{"read", "create", "bucket guarded"},
	{"read", "get", "bucket guarded"},
	{"read", "unreadable", "bucket guarded"},
	{"delete", "verify", "s3:DeleteObject"},
	{"delete", "cleanup", "s3:DeleteObject"},
	{"delete", "delete", "s3:DeleteObject"},
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
				if err := b.call("create", name); err != nil {
					t.Fatal(err)
				}
			}
			for _, d := range denials {
				g.allBut("none")
				if err := b.call("verify", ""); err != nil { // also reads what a call that has failed left in Elasticsearch's mind
					t.Fatalf("with all rights: %v", err)
				}
				g.allBut(d.missing)
				name := map[string]string{"create": "new", "get": "one", "delete": "two"}[d.call]
				t.Log(d.call, "without the right to", d.missing)
				mustSay(t, b.call(d.call, name), nuvlaops.ErrRepository, d.says)
			}
			g.prunesWithoutDeleting(b)
			g.becomesReadOnlyAfterAFailedWrite(b)
		})
	}
}

func (b *bench) call(what, name string) (err error) {
	ctx := b.t.Context()
	switch what {
	case "create":
		_, err = b.repo.Create(ctx, snapshot.CreateRequest{Name: name, Indices: []string{b.index("*")}})
	case "get":
		_, err = b.repo.Get(ctx, name)
	case "verify":
		_, err = b.repo.Verify(ctx)
	case "delete":
		err = b.repo.Delete(ctx, name)
	case "cleanup":
		_, err = b.repo.Cleanup(ctx)
	case "unreadable":
		_, err = b.repo.Unreadable(ctx)
	}
	return err
}

// prunesWithoutDeleting: what is not listed any more is named beside the error.
func (g guarded) prunesWithoutDeleting(b *bench) {
	g.t.Helper()
	g.allBut("none")
	if err := b.call("create", "three"); err != nil {
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

// becomesReadOnlyAfterAFailedWrite: 8.11 takes it, 8.19 and 9 only when the registration was removed.
func (g guarded) becomesReadOnlyAfterAFailedWrite(b *bench) {
	g.t.Helper()
	g.allBut("write")
	mustSay(g.t, b.call("delete", "three"), nuvlaops.ErrRepository, "register the repository read-only")
	readOnly := g.settings()
	readOnly.ReadOnly = true
	if _, err := b.repo.Ensure(g.t.Context(), readOnly); err != nil {
		mustSay(g.t, err, nuvlaops.ErrConflict, "remove its registration")
	}
}
