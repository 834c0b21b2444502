package runbook_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/runbook"
)

// What is not whole, not ours or not of these days is put aside, as it was, when the next run has something to record.
func TestAJournalThatCannotBeGoneOnWithIsPutAside(t *testing.T) {
	now := time.Now().UTC()
	record := func(at time.Time) string {
		return fmt.Sprintf(`{"key":"k","started":%q,"steps":[{"step":"wipe","title":"","state":"done","started":%q,"ended":%q}]}`, at.Format(time.RFC3339), at.Format(time.RFC3339), at.Format(time.RFC3339))
	}
	whole := record(now)
	for name, text := range map[string]string{
		"empty": "", "cut": whole[:len(whole)-9], "twice": whole + whole, "null": "null", "a list": "[]", "other types": strings.Replace(whole, `"k"`, `7`, 1),
		"no time": strings.Replace(whole, now.Format(time.RFC3339), "yesterday", 1), "binary": "\x00\xff\xfe", "deep": strings.Repeat("[", 100_000), "steps that are none": `{"key":"k","steps":7}`,
		"of a clock that was ahead": record(now.AddDate(0, 0, 3)), "of the year 9999": record(time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)), "of no time": `{"key":"k","steps":[null]}`,
	} {
		path := filepath.Join(t.TempDir(), "journal")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if j, err := runbook.ReadJournal(path, "k"); j != nil || err != nil {
			t.Errorf("%s: it is read: %v, %v", name, j.Records(), err)
		}
		j := open(t, path, "k")
		if _, resumed := j.Resumed(); resumed {
			t.Errorf("%s: it is taken up: %v", name, j.Records())
		}
		var l log
		if _, err := runbook.Run(t.Context(), []runbook.Step{l.step("wipe", nil)}, j, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		old, err := os.ReadFile(path + ".old")
		if diff := cmp.Diff(text, string(old)); diff != "" || err != nil {
			t.Errorf("%s: %v, put aside (-want +got):\n%s", name, err, diff)
		}
		_ = j.Close()
	}
}

func TestWhatStandsInAJournalsPlaceIsAnError(t *testing.T) {
	dir := t.TempDir()
	pipe, folder := filepath.Join(dir, "pipe"), filepath.Join(dir, "folder")
	if err := errors.Join(syscall.Mkfifo(pipe, 0o600), os.Mkdir(folder, 0o700)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, folder} {
		if _, err := runbook.OpenJournal(path, "k"); !errors.Is(err, nuvlaops.ErrInvalid) || !strings.Contains(err.Error(), path) {
			t.Errorf("OpenJournal: %v, want ErrInvalid with the path", err)
		}
		if _, err := runbook.ReadJournal(path, "k"); !errors.Is(err, nuvlaops.ErrInvalid) || !strings.Contains(err.Error(), path) {
			t.Errorf("ReadJournal: %v, want ErrInvalid with the path", err)
		}
	}
}
