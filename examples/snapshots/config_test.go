package main

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/snapshot"
)

// The backup and this program must look at the same marks.
func TestTheFileOfTheBackupSaysWhereTheMarksAre(t *testing.T) {
	folder := t.TempDir()
	vars := map[string]string{"BACKUP_TIMESTAMP": folder + "/timestamp", "BACKUP_REPOSITORY": "other", "BACKUP_KEEP_DAILY": "7", "ES_HOST": "es"}
	c, err := parse([]string{"prune", "-dry-run"}, func(name string) (string, bool) { v, ok := vars[name]; return v, ok }, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{folder + "/nuvla-es-backup-marks.json", "other", "es"}, []string{c.marks, c.repository, c.es}); diff != "" || c.policy.Daily != 7 {
		t.Errorf("%s daily %d", diff, c.policy.Daily)
	}
}

// What the help has no name for is said by a flag alone: BACKUP_NAME may be anybody's, and BACKUP_YES would confirm unseen.
func TestOnlyWhatTheHelpNamesIsReadFromTheEnvironment(t *testing.T) {
	vars := map[string]string{"BACKUP_NAME": "x", "BACKUP_YES": "s3_backup", "BACKUP_PINNED": "true", "BACKUP_TIMEOUT": "1ns", "BACKUP_JSON": "true"}
	for _, args := range []string{"list", "delete a", "prune -keep-last 1"} {
		c, err := parse(append(strings.Fields(args), "-marks", t.TempDir()+"/marks.json"), func(name string) (string, bool) { v, ok := vars[name]; return v, ok }, io.Discard)
		if err != nil || c.filter.Names != nil || c.yes != "" || c.pinned || c.json || c.timeout == 1 {
			t.Errorf("%s: %+v, %v", args, c, err)
		}
	}
}

func TestATimeMayBeSaidAsHowLongAgoItWas(t *testing.T) {
	r := newRig(t)
	r.fake.Add(snapshot.Snapshot{Name: "recent", UUID: "uuid-recent", Repository: "s3_backup", State: snapshot.Success, Start: time.Now().Add(-time.Hour)})
	for args, want := range map[string]bool{"-since 2h": true, "-since 30m": false, "-until 30m": true, "-until 2h": false} {
		out, code := r.run("", append([]string{"list"}, strings.Fields(args)...)...)
		if listed := strings.Contains(out, "recent"); listed != want || code != cli.ExitOK {
			t.Errorf("%s: code %d, listed: %t, want %t\n%s", args, code, listed, want, out)
		}
	}
}
