package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
)

// TestAMissingBlobOfMetadataIsSaidAndTouchesNothing takes away, one after the other, what the server must read to know what a
// snapshot holds, and registers the repository afresh, since the server remembers.
func TestAMissingBlobOfMetadataIsSaidAndTouchesNothing(t *testing.T) {
	r := newRig(t, "metadata", 60)
	r.withGlobalState()
	named := []string{"-snapshot", r.taken.Name, "-indices", r.index("*"), "-rename", "copy-"}
	plan, latest := append([]string{"plan"}, named...), []string{"plan", "-indices", r.index("*"), "-rename", "copy-"}
	apply := append([]string{"apply", "-yes", r.cluster}, named...)
	global := []string{"apply", "-yes", r.cluster, "-snapshot", r.taken.Name, "-indices", r.index("*"), "-replace", "-global-state"}
	const missing, other, nothing = "is missing in the repository: ", "choose another snapshot by its name", "check that this is the right repository, bucket and base path"
	type run struct {
		args []string
		code int
		says string
	}
	for _, c := range []struct {
		name, prefix, suffix string
		runs                 []run
	}{
		{"the snapshot's own", "snap-", ".dat", []run{{plan, cli.ExitRepository, missing}, {latest, cli.ExitRepository, other}, {apply, cli.ExitRepository, missing}}},
		{"the global state's", "meta-", ".dat", []run{{plan, cli.ExitOK, ""}, {global, cli.ExitRepository, missing}}},
		{"an index's", "indices/", "/meta-", []run{{plan, cli.ExitOK, ""}, {apply, cli.ExitRepository, missing}}},
		{"the list of snapshots", "index-", "", []run{{plan, cli.ExitFailed, "is missing"}, {latest, cli.ExitFailed, nothing}, {apply, cli.ExitFailed, "is missing"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			key, data := r.take(t, c.prefix, c.suffix)
			r.fresh()
			before := r.originals()
			for _, run := range c.runs {
				if got := r.run(t.Context(), "", run.args...); got.code != run.code || !strings.Contains(fmt.Sprint(got.err), run.says) {
					t.Errorf("%s missing, %v: code %d, %v, want %d and %q", key, run.args, got.code, got.err, run.code, run.says)
				}
			}
			if c.name == "the snapshot's own" {
				r.listsAsUnreadable(t, r.taken.Name)
			}
			if d := cmp.Diff(before, r.originals()); d != "" {
				t.Errorf("indices (-before +after):\n%s", d)
			}
			if limit := r.limit(); limit != "" {
				t.Errorf("the limit of recovery is %q afterwards, want none as before", limit)
			}
			if err := r.s3.PutObject(t.Context(), r.bucket(), key, data); err != nil {
				t.Fatal(err)
			}
			r.fresh()
			r.listsAsUnreadable(t, "")
		})
	}
}

// listsAsUnreadable checks that the list leaves out one snapshot and says so, or none when the name is empty.
func (r *rig) listsAsUnreadable(t *testing.T, name string) {
	t.Helper()
	got := r.run(t.Context(), "", "list")
	if got.code != cli.ExitOK || strings.Contains(got.stdout, r.taken.Name) != (name == "") {
		t.Errorf("code %d: %v\n%s", got.code, got.err, got.stdout)
	}
	if says := strings.Contains(got.stderr, "UNREADABLE, and not in the list: "+name+"."); says != (name != "") {
		t.Errorf("%q, want %q named", got.stderr, name)
	}
}

// take takes an object away whose key begins and goes on like this.
func (r *rig) take(t *testing.T, prefix, part string) (key string, data []byte) {
	t.Helper()
	list, err := r.s3.ListObjects(t.Context(), r.bucket(), prefix)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range list {
		if strings.Contains(o.Key[len(prefix):], part) && (prefix == "indices/" || !strings.Contains(o.Key, "/")) {
			key = o.Key
		}
	}
	if key == "" {
		t.Fatalf("no object %s...%s among %v", prefix, part, list)
	}
	if data, err = r.s3.GetObject(t.Context(), r.bucket(), key); err == nil {
		err = r.s3.DeleteObject(t.Context(), r.bucket(), key)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key, data
}

// fresh registers the repository as a cluster does that has never read it.
func (r *rig) fresh() {
	r.send("DELETE", "/_snapshot/"+r.repository(), "")
	r.register("")
}

// withGlobalState takes the rig's snapshot again, with the global state.
func (r *rig) withGlobalState() {
	r.send("DELETE", "/_snapshot/"+r.repository()+"/"+r.taken.Name, "")
	r.send("PUT", "/_snapshot/"+r.repository()+"/"+r.taken.Name+"?wait_for_completion=true",
		`{"indices":"`+r.index("*")+`","include_global_state":true,"feature_states":["none"]}`)
}
