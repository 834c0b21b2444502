package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/snapshot"
	"github.com/nuvla/nuvlaops/snapshot/snapshottest"
)

// fake answers also what only a real server can verify; examples/backup has a test of both programs on one.
type fake struct {
	snapshottest.Fake
	lost    string   // a snapshot whose lists of files are gone
	damaged string   // one that cannot be described
	listed  []string // of the call of Unreadable
}

func (f *fake) Unreadable(_ context.Context, listed ...string) ([]string, error) {
	f.listed = listed
	if f.damaged == "" {
		return nil, nil
	}
	return []string{f.damaged}, nil
}

func (f *fake) List(ctx context.Context, filter snapshot.Filter) iter.Seq2[snapshot.Snapshot, error] {
	return func(yield func(snapshot.Snapshot, error) bool) {
		for s, err := range f.Fake.List(ctx, filter) {
			if (err != nil || s.Name != f.damaged) && !yield(s, err) {
				return
			}
		}
	}
}

func (f *fake) Verify(context.Context) ([]string, error) { return []string{"node-1"}, nil }

func (f *fake) Check(ctx context.Context, name string) (*snapshot.Checked, error) {
	s, err := f.Get(ctx, name)
	switch {
	case err != nil:
		return nil, err
	case name == f.lost:
		return nil, &nuvlaops.Error{Reason: "a list is gone", Err: nuvlaops.ErrVerification}
	}
	return &snapshot.Checked{Snapshot: s, Shards: s.Shards.Total, Files: 4, Bytes: 2048}, nil
}

var day0 = time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC)

type rig struct {
	*testing.T
	fake  *fake
	marks string
}

// newRig is a repository of six hourly snapshots: of them 2 is PARTIAL, 3 is of another tool, 5 runs.
func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{T: t, fake: &fake{Fake: snapshottest.Fake{Name: "s3_backup"}}, marks: filepath.Join(t.TempDir(), "marks.json")}
	if _, err := r.fake.Ensure(t.Context(), snapshot.Settings{FS: &snapshot.FS{Location: "/x"}}); err != nil {
		t.Fatal(err)
	}
	for h := range 6 {
		s := snapshot.Snapshot{Name: fmt.Sprint("snapshot.", h), UUID: fmt.Sprint("uuid-", h), Repository: "s3_backup", RunID: "run", State: snapshot.Success,
			Start: day0.Add(time.Duration(h) * time.Hour), End: day0.Add(time.Duration(h)*time.Hour + 1500*time.Millisecond),
			Shards: snapshot.Shards{Total: 3, Successful: 3}, Manifest: &snapshot.Manifest{Documents: 10}}
		switch h {
		case 2:
			s.State, s.Shards = snapshot.Partial, snapshot.Shards{Total: 3, Successful: 2, Failed: 1}
			s.Failures = []snapshot.Failure{{Index: "nuvla-job", Shard: 1, Reason: "file not found"}}
		case 3:
			s.RunID, s.Manifest = "", nil
		case 5:
			s.State, s.End, s.Shards = snapshot.InProgress, time.Time{}, snapshot.Shards{}
		}
		r.fake.Add(s)
	}
	return r
}

// run runs one command, with what a person types, and returns what was printed and the exit code.
func (r *rig) run(typed string, args ...string) (string, int) {
	r.Helper()
	out, err := r.on(r.fake, typed, args...)
	return out, cli.ExitCode(err)
}

// on runs one command on a repository.
func (r *rig) on(repo repository, typed string, args ...string) (string, error) {
	r.Helper()
	var stdout, stderr bytes.Buffer
	cfg, err := parse(append(args, "-marks", r.marks), func(string) (string, bool) { return "", false }, &stderr)
	if err == nil {
		err = execute(r.Context(), cfg, repo, strings.NewReader(typed), &stdout, cli.NewScreen(&stderr))
	}
	r.Logf("%v: %v\n%s%s", args, err, stderr.String(), stdout.String())
	return stdout.String(), err
}

func (r *rig) names() []string {
	out := []string{}
	for s := range r.fake.List(r.Context(), snapshot.Filter{}) {
		out = append(out, s.Name)
	}
	return out
}

func TestListIsATableOrJSON(t *testing.T) {
	r := newRig(t)
	r.run("", "pin", "snapshot.0", "-reason", "before the upgrade")
	want := `NAME        STATE        STARTED               TOOK  SHARDS  DOCUMENTS  NOTES
snapshot.0  SUCCESS      2026-03-01T12:30:00Z  1.5s  3/3     10         pinned
snapshot.1  SUCCESS      2026-03-01T13:30:00Z  1.5s  3/3     10         
snapshot.2  PARTIAL      2026-03-01T14:30:00Z  1.5s  2/3     10         
snapshot.3  SUCCESS      2026-03-01T15:30:00Z  1.5s  3/3     -          of another tool
snapshot.4  SUCCESS      2026-03-01T16:30:00Z  1.5s  3/3     10         
snapshot.5  IN_PROGRESS  2026-03-01T17:30:00Z  -     0/0     10         
`
	got, code := r.run("", "list")
	if diff := cmp.Diff(want, got); code != cli.ExitOK || diff != "" {
		t.Errorf("code %d %s", code, diff)
	}
	if diff := cmp.Diff(r.names(), r.fake.listed); diff != "" {
		t.Errorf("what is printed is read once more: %s", diff)
	}
	for args, want := range map[string]string{
		"-complete":                   "0 1 3 4",
		"-complete -ours":             "0 1 4",
		"-state PARTIAL,IN_PROGRESS":  "2 5",
		"-since 2026-03-01T16:30:00Z": "4 5",
		"-since 2026-03-01T12:30:00Z -until 2026-03-01T13:30:00Z": "0 1",
		"-name snapshot.1,snapshot.4":                             "1 4",
		"-newest-first -complete -state SUCCESS,PARTIAL":          "4 3 1 0",
		"-state FAILED": "",
	} {
		got, code := r.run("", append([]string{"list", "-json"}, strings.Fields(args)...)...)
		var all []snapshot.Snapshot
		if err := json.Unmarshal([]byte(got), &all); err != nil || code != cli.ExitOK {
			t.Errorf("%s: code %d, %v", args, code, err)
		}
		var numbers []string
		for _, s := range all {
			numbers = append(numbers, strings.TrimPrefix(s.Name, "snapshot."))
		}
		if len(r.fake.listed) != len(all) {
			t.Errorf("%s: what is printed is read once more: %v", args, r.fake.listed)
		}
		if diff := cmp.Diff(want, strings.Join(numbers, " ")); diff != "" {
			t.Errorf("%s: %s", args, diff)
		}
	}
}

func TestAListThatCannotBeReadIsNoEmptyTable(t *testing.T) {
	r := newRig(t)
	r.fake = &fake{Fake: snapshottest.Fake{Name: "s3_backup"}} // not registered
	if got, code := r.run("", "list"); got != "" || code != cli.ExitFailed {
		t.Errorf("code %d, printed %q, want nothing", code, got)
	}
}

func TestShowSaysWhatIsMissing(t *testing.T) {
	r := newRig(t)
	got, code := r.run("", "show", "snapshot.2")
	for _, line := range []string{`state +PARTIAL`, `shards +2 of 3`, `missing +nuvla-job\[1\]: file not found`, `taken by +run run`, `documents +10`} {
		if !regexp.MustCompile(`(?m)^` + line + `$`).MatchString(got) {
			t.Errorf("no %q in\n%s", line, got)
		}
	}
	if code != cli.ExitOK {
		t.Errorf("code %d", code)
	}
	got, _ = r.run("", "show", "-json", "snapshot.2")
	var s snapshot.Snapshot
	if err := json.Unmarshal([]byte(got), &s); err != nil || len(s.Failures) != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	if _, code := r.run("", "show", "nobody"); code != cli.ExitFailed {
		t.Errorf("no such snapshot: code %d", code)
	}
}

func TestVerifyLooksAtTheNewestCompleteOneOrAtAllThatAreNamed(t *testing.T) {
	r := newRig(t)
	got, code := r.run("", "verify")
	if diff := cmp.Diff("repository s3_backup: verified by node-1\nsnapshot.4: SUCCESS, 3 of 3 shards, 4 files, 2.0 KiB\n", got); code != cli.ExitOK || diff != "" {
		t.Errorf("code %d %s", code, diff)
	}
	r.fake.lost = "snapshot.1"
	got, code = r.run("", "verify", "snapshot.0", "snapshot.1", "snapshot.4", "-json")
	var out verified
	if err := json.Unmarshal([]byte(got), &out); err != nil || code != cli.ExitVerification || len(out.Snapshots) != 2 || !strings.Contains(out.Error, "a list is gone") {
		t.Errorf("code %d, %v, %+v", code, err, out)
	}
}

func TestPruneShowsItsReasonsAndRemovesOnlyWhatWasConfirmed(t *testing.T) {
	r := newRig(t)
	r.run("", "pin", "snapshot.0")
	want := `NAME        STATE        STARTED                       WHY
snapshot.0  SUCCESS      2026-03-01T12:30:00Z  keep    it is pinned
snapshot.1  SUCCESS      2026-03-01T13:30:00Z  remove  no rule keeps it
snapshot.2  PARTIAL      2026-03-01T14:30:00Z  remove  it is PARTIAL, and a newer one is complete
snapshot.3  SUCCESS      2026-03-01T15:30:00Z  keep    somebody else's
snapshot.4  SUCCESS      2026-03-01T16:30:00Z  keep    the newest complete one, last
snapshot.5  IN_PROGRESS  2026-03-01T17:30:00Z  keep    it is running
4 kept, 2 to remove, 0 removed
`
	rules := []string{"prune", "-keep-last", "1", "-keep-min", "1"}
	got, code := r.run("", append(rules, "-dry-run")...)
	if diff := cmp.Diff(want, got); code != cli.ExitOK || diff != "" {
		t.Errorf("code %d %s", code, diff)
	}
	for _, typed := range []string{"", "yes\n"} {
		if _, code := r.run(typed, rules...); code != cli.ExitRefused || len(r.names()) != 6 {
			t.Errorf("typed %q: code %d, %v", typed, code, r.names())
		}
	}
	got, code = r.run("s3_backup\n", append(rules, "-json")...)
	var out struct {
		Decisions []snapshot.Decision
		Removed   []string
	}
	if err := json.Unmarshal([]byte(got), &out); err != nil || code != cli.ExitOK || len(out.Decisions) != 6 {
		t.Errorf("code %d, %v, %+v", code, err, out)
	}
	if diff := cmp.Diff([]string{"snapshot.1", "snapshot.2"}, out.Removed); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"snapshot.0", "snapshot.3", "snapshot.4", "snapshot.5"}, r.names()); diff != "" {
		t.Error(diff)
	}
	if got, code := r.run("", rules...); code != cli.ExitOK || !strings.Contains(got, "0 to remove") {
		t.Errorf("again: code %d, %s", code, got) // nothing to confirm
	}
}

func TestAPinnedSnapshotIsDeletedOnlyWhenToldAndItsMarkGoesWithIt(t *testing.T) {
	r := newRig(t)
	r.run("", "pin", "snapshot.0")
	for _, name := range []string{"snapshot.0", "snapshot.5"} { // pinned, running
		if _, code := r.run("", "delete", "snapshot.1", name, "-yes", "s3_backup"); code != cli.ExitRefused || len(r.names()) != 6 {
			t.Errorf("%s: code %d, %v", name, code, r.names())
		}
	}
	if got, code := r.run("", "unpin", "snapshot.0"); code != cli.ExitOK || got != "snapshot.0 is unpinned\n" {
		t.Errorf("code %d, %q", code, got)
	}
	r.run("", "pin", "snapshot.0")
	for range 2 { // what is gone already is gone
		if got, code := r.run("s3_backup\n", "delete", "-pinned", "snapshot.0", "snapshot.1"); code != cli.ExitOK || got != "gone: snapshot.0, snapshot.1\n" {
			t.Errorf("code %d, %q", code, got)
		}
	}
	marks, err := snapshot.ReadMarks(r.marks)
	if err != nil || len(marks) != 0 || len(r.names()) != 4 {
		t.Errorf("%v, %v, %v", marks, err, r.names())
	}
	if _, code := r.run("", "pin", "nobody"); code != cli.ExitFailed {
		t.Errorf("pin of nobody: code %d", code)
	}
}

// The file may be another user's, who has pinned a snapshot: it is written only when a mark goes.
func TestTheMarksAreLeftAloneWhenNoneOfThemGoes(t *testing.T) {
	r := newRig(t)
	if err := os.WriteFile(r.marks, []byte(`{"uuid-0":{"snapshot":"snapshot.0","pinned":{"at":"2026-03-01T12:30:00Z"}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{"prune -keep-last 1 -keep-min 1", "delete snapshot.4"} {
		if _, code := r.run("s3_backup\n", strings.Fields(args)...); code != cli.ExitOK {
			t.Errorf("%s: code %d", args, code)
		}
	}
	if _, err := os.Stat(r.marks + ".lock"); !os.IsNotExist(err) {
		t.Errorf("the file was written: %v", err)
	}
}

func TestBadInputIsAUsageError(t *testing.T) {
	r := newRig(t)
	for _, args := range []string{"", "-json", "explode", "list x", "show", "show a b", "pin", "delete", "delete -yes s3_backup snapshot.*",
		"delete -yes s3_backup UPPER", "prune", "prune -keep-last -1", "prune -keep-min 3", "list -state GOOD", "list -since yesterday", "list -nope", "verify -timeout -1s", "list -conf /no/such/file", "list -since -24h", "list -until -1h", "-", "show -", "delete -yes s3_backup -",
		"list -since 1h -until 2h", "list -complete -state PARTIAL", "prune -keep-last 1 -prefix="} {
		if _, code := r.run("", strings.Fields(args)...); code != cli.ExitUsage || len(r.names()) != 6 {
			t.Errorf("%q: code %d, %v", args, code, r.names())
		}
	}
	if err := run(t.Context(), []string{"list", "-repository", "a/b"}, io.Discard, io.Discard); cli.ExitCode(err) != cli.ExitUsage || !strings.Contains(err.Error(), "-repository") {
		t.Errorf("a repository that cannot be: %v", err)
	}
	for _, args := range []string{"pin a", "prune -keep-last 1", "delete a"} {
		if _, err := parse(append(strings.Fields(args), "-marks", "/no/such/folder/marks.json"), func(string) (string, bool) { return "", false }, io.Discard); cli.ExitCode(err) != cli.ExitUsage {
			t.Errorf("%s: marks in a folder that is not there: %v", args, err)
		}
	}
}

func TestWhatIsGoneIsSaidAlsoWhenItsMarkCannotGo(t *testing.T) {
	for want, args := range map[string][]string{"1 removed": {"prune", "-keep-last", "2", "-keep-min", "1"}, "gone: snapshot.0": {"delete", "snapshot.0", "-pinned"},
		`"snapshot.0"`: {"delete", "snapshot.0", "-pinned", "-json"}, `"snapshot.2"`: {"prune", "-keep-last", "2", "-keep-min", "1", "-json"}} {
		r := newRig(t)
		err := snapshot.UpdateMarks(t.Context(), r.marks, func(m snapshot.Marks) error {
			m.Pin("s3_backup", "snapshot.0", "uuid-0", snapshot.Pin{})
			m.Verify("s3_backup", "snapshot.2", "uuid-2", snapshot.Verified{})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		_ = os.Remove(r.marks + ".lock")
		if err := os.Mkdir(r.marks+".lock", 0o700); err != nil { // so nobody writes the marks
			t.Fatal(err)
		}
		if got, code := r.run("s3_backup\n", args...); code != cli.ExitFailed || len(r.names()) != 5 || !strings.Contains(got, want) {
			t.Errorf("%v: code %d, %d snapshots left, want 1, 5 and %q in\n%s", args, code, len(r.names()), want, got)
		}
	}
}

// The storage may have been out of reach for a moment, and the snapshot be a good one.
func TestASnapshotThatCannotBeDescribedIsDeletedAsAPinnedOneIs(t *testing.T) {
	r := newRig(t)
	r.fake.damaged = "snapshot.1"
	left := func() (n int) {
		for range r.fake.Fake.List(t.Context(), snapshot.Filter{}) {
			n++
		}
		return n
	}
	for _, tc := range []struct {
		typed string
		args  []string
		code  int
		left  int
	}{
		{"s3_backup\n", []string{"snapshot.0", "snapshot.1"}, cli.ExitRefused, 6},
		{"no\n", []string{"snapshot.1", "-pinned"}, cli.ExitRefused, 6},
		{"s3_backup\n", []string{"snapshot.1", "gone", "-pinned"}, cli.ExitOK, 5},
	} {
		if _, code := r.run(tc.typed, append([]string{"delete"}, tc.args...)...); code != tc.code || left() != tc.left {
			t.Errorf("%v: code %d, %d snapshots left, want %d and %d", tc.args, code, left(), tc.code, tc.left)
		}
	}
}

func TestHelpIsSaidOnceAndAMistakeWithoutIt(t *testing.T) {
	for args, want := range map[string]struct {
		helps int
		says  string
	}{
		"-h":                  {1, "help requested"},
		"list -h":             {1, "help requested"},
		"show a -h":           {1, "help requested"},
		"list -nope":          {0, "not defined: -nope"},
		"show a -timeout b":   {0, "-timeout"},
		"-yes s3_backup list": {0, "the command comes first, before -yes"},
	} {
		var stderr bytes.Buffer
		_, err := parse(strings.Fields(args), func(string) (string, bool) { return "", false }, &stderr)
		if err == nil || !strings.Contains(err.Error(), want.says) || strings.Count(stderr.String(), "Exit codes:") != want.helps {
			t.Errorf("%s: %v\n%s", args, err, stderr.String())
		}
	}
}

// Elasticsearch takes such a name from whoever may write a snapshot, and prune shows it to be confirmed.
func TestANameThatWouldWriteOverTheTableIsShownAsSuch(t *testing.T) {
	const name, shown = "snapshot.x\x1b[2k\r\x1b[1a\nsnapshot.y\tsuccess", `snapshot.x\u001b[2k; \u001b[1a; snapshot.y success`
	r := newRig(t)
	r.fake.Add(snapshot.Snapshot{Name: name, UUID: "u", Repository: "s3_backup", State: "SUCCESS", Start: day0, RunID: "run\x1b[2J"})
	for _, args := range [][]string{{"list"}, {"prune", "-keep-last", "1", "-dry-run"}, {"prune", "-keep-last", "1", "-prefix", "snapshot."}} {
		out, _ := r.run("no\n", args...)
		if strings.ContainsAny(out, "\x1b\r\t") || !strings.Contains(out, shown) {
			t.Errorf("%v: %q", args, out)
		}
	}
}
