package stack_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/stack"
)

func TestDataIsKeptAsideBeforeItIsWiped(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.deploy(dbStack)
	must(t, b.Start(t.Context(), b.stack, stack.StartOptions{}))
	must(t, b.Stop(t.Context(), b.stack, stack.StopOptions{}))
	plan, err := b.PlanWipe(t.Context(), b.stack, stack.WipeOptions{})
	must(t, err)
	volume := b.stack + "_data"
	archive := stack.KeepOptions{Dir: b.dir}
	copied := stack.KeepOptions{Suffix: "-kept", Image: b.image}
	b.atEnd(func(ctx context.Context) {
		_, _ = b.api.VolumeRemove(ctx, volume+"-kept", client.VolumeRemoveOptions{})
	})
	for _, nonsense := range []stack.KeepOptions{{}, {Dir: b.dir, Suffix: "-kept"}, {Suffix: "/../x"}} {
		mustBe(t, b.KeepVolumes(t.Context(), plan, nonsense), nuvlaops.ErrInvalid)
	}
	mustBe(t, b.KeepVolumes(t.Context(), plan, stack.KeepOptions{Suffix: "-kept", Image: "nuvlaops-test/no-such-image:1"}), nuvlaops.ErrNotFound)
	node, err := b.api.Info(t.Context(), client.InfoOptions{})
	must(t, err)
	must(t, os.WriteFile(filepath.Join(b.dir, volume+"@"+node.Info.Name+".tar.1.part"), nil, 0o600)) // of a call that was killed
	must(t, b.KeepVolumes(t.Context(), plan, archive))
	mustBe(t, b.KeepVolumes(t.Context(), plan, archive), nuvlaops.ErrExists, "move it away")
	must(t, b.KeepVolumes(t.Context(), plan, copied))
	mustBe(t, b.KeepVolumes(t.Context(), plan, copied), nuvlaops.ErrExists, volume+"-kept")
	before := b.contents(volume)
	must(t, b.Wipe(t.Context(), plan, stack.Unguarded)) // nothing holds the volume

	if diff := cmp.Diff(before, b.contents(volume+"-kept")); diff != "" || len(before) != 1 {
		t.Errorf("the copy (-original +copy):\n%s", diff)
	}
	files, err := filepath.Glob(filepath.Join(b.dir, volume+"@*.tar*"))
	must(t, err)
	if len(files) != 1 {
		t.Fatalf("archives: %v, want one", files)
	}
	marks := 0
	file, err := os.Open(files[0])
	must(t, err)
	defer file.Close()
	in, err := archived(file)
	must(t, err)
	for _, f := range in {
		if strings.HasPrefix(f.Name, "volume/mark-") {
			marks++
		}
	}
	if marks != 1 {
		t.Errorf("%d marks in the archive, want the one that was in the volume", marks)
	}
	must(t, os.Remove(files[0]))
	mustBe(t, b.KeepVolumes(t.Context(), plan, archive), nuvlaops.ErrNotFound, "gone")
	if s := b.look(); len(s.Volumes) > 0 {
		t.Errorf("keeping a volume that is gone made it anew, or its copy is the stack's: %v", s.Volumes)
	}
}

func TestTheVolumeOfAServiceThatIsGoneIsKeptAndRemoved(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.deploy(dbStack)
	must(t, b.Start(t.Context(), b.stack, stack.StartOptions{}))
	_, err := b.api.ServiceRemove(t.Context(), b.stack+"_db", client.ServiceRemoveOptions{})
	must(t, err)
	must(t, b.Stop(t.Context(), b.stack, stack.StopOptions{Groups: [][]string{{"db"}}}))
	db := stack.WipeOptions{Services: []string{"db"}}
	_, err = b.PlanWipe(t.Context(), b.stack, db)
	mustBe(t, err, nuvlaops.ErrNotFound, "or its compose file")
	db.Files = []string{b.file(dbStack)}
	plan, err := b.PlanWipe(t.Context(), b.stack, db)
	must(t, err)
	if len(plan.Volumes) != 1 || len(plan.Obstacles) > 0 {
		t.Fatalf("want a plan for its volume:\n%s", plan)
	}
	must(t, b.KeepVolumes(t.Context(), plan, stack.KeepOptions{Dir: b.dir}))
	must(t, b.Wipe(t.Context(), plan, stack.Unguarded))
	if left := b.look().Volumes; len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// What has the volume's name by then may be data of a later recovery, or of somebody else.
func TestAVolumeThatIsNotTheOneOfThePlanIsNotKeptInItsPlace(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	name := b.stack + "_data"
	b.volume(name, b.stack, nil)
	plan, err := b.PlanWipe(t.Context(), b.stack, stack.WipeOptions{})
	must(t, err)
	b.volumeAnew(name)
	mustBe(t, b.KeepVolumes(t.Context(), plan, stack.KeepOptions{Dir: b.dir, Image: b.image}), nuvlaops.ErrConflict, name, "plan again")
	files, err := filepath.Glob(filepath.Join(b.dir, "*.tar*"))
	must(t, err)
	if len(files) > 0 {
		t.Errorf("archives: %v", files)
	}
}

// An engine that cannot read a volume to its end closes the archive as if that was all.
func TestAnArchiveThatEndsEarlyIsNotTakenForWhole(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	name := b.stack + "_data"
	b.volume(name, b.stack, nil)
	b.write(name, make([]byte, 4096), "one", "two") // zeros, as in a log that is laid out beforehand
	most := int64(0)
	host := inFront(t, func(w http.ResponseWriter, r *http.Request, engine http.Handler) {
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/archive") {
			w = &cut{ResponseWriter: w, left: most}
		}
		engine.ServeHTTP(w, r)
	})
	s, err := stack.NewSwarm(&stack.Options{Host: host})
	must(t, err)
	defer s.Close()
	b.atEnd(func(ctx context.Context) {
		_, _ = b.api.VolumeRemove(ctx, name+"-kept", client.VolumeRemoveOptions{})
	})
	plan, err := s.PlanWipe(t.Context(), b.stack, stack.WipeOptions{})
	must(t, err)
	const block = 512
	for what, at := range map[string]int64{"between two files": 10 * block, "within zeros": 14 * block, "before its end": 19 * block} {
		most = at
		for _, opts := range []stack.KeepOptions{{Dir: b.dir, Image: b.image}, {Suffix: "-kept", Image: b.image}} {
			mustBe(t, s.KeepVolumes(t.Context(), plan, opts), nuvlaops.ErrVerification, name, "ends too early")
		}
		files, err := filepath.Glob(filepath.Join(b.dir, "*.tar*"))
		must(t, err)
		if _, err := b.api.VolumeInspect(t.Context(), name+"-kept", client.VolumeInspectOptions{}); err == nil || len(files) > 0 {
			t.Errorf("cut %s: the copy is there, or archives: %v", what, files)
		}
	}
	most = 1 << 20
	must(t, s.KeepVolumes(t.Context(), plan, stack.KeepOptions{Dir: b.dir, Image: b.image}))
}

// cut hands on no more than some bytes of a reply.
type cut struct {
	http.ResponseWriter
	left int64
}

func (c *cut) Write(b []byte) (int, error) {
	n := min(int64(len(b)), c.left)
	c.left -= n
	_, err := c.ResponseWriter.Write(b[:n])
	return len(b), err
}

func (c *cut) Unwrap() http.ResponseWriter { return c.ResponseWriter }
