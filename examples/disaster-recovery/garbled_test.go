package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/internal/runbook"
)

// The steps of such a journal are whole, but what they have found is of another version, or damaged.
func TestStepsWhoseFindingsCannotBeReadAreDoneAgain(t *testing.T) {
	began := time.Now().UTC().Add(-time.Hour).Truncate(time.Second)
	for state, again := range map[string]bool{
		`{"started":"2026-01-02T03:04:05Z"}`:             false,
		`{"started":7}`:                                  true,
		`{"snapshot":{"name":"a"},"plan":{"indices":7}}`: true,
		`[]`: true,
		`{"started":"2026-01-02T03:04:05Z","snapshot":{"name":"a","uuid":false}}`: true,
	} {
		path := filepath.Join(t.TempDir(), "journal")
		text := fmt.Sprintf(`{"key":"k","started":%q,"state":%s,"steps":[{"step":"wipe","state":"done","started":%[1]q,"ended":%[1]q}]}`, began.Format(time.RFC3339), state)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		journal, err := runbook.OpenJournal(path, "k")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = journal.Close() })
		r := &recovery{cfg: &config{}, screen: cli.NewScreen(io.Discard), now: time.Now, journal: journal}
		r.goOn()
		st := r.remembered()
		if r.done("wipe") == again || again && (st.Snapshot != nil || st.Plan != nil || !st.Touched || !st.Started.Equal(began)) {
			t.Errorf("%s: wipe is done: %t, state %+v", state, r.done("wipe"), st)
		}
	}
}
