package snapshot_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/snapshot"
)

// recorder keeps the messages of a log.
type recorder struct {
	slog.Handler
	messages []string
}

func (r *recorder) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }

func (r *recorder) Handle(_ context.Context, record slog.Record) error {
	r.messages = append(r.messages, record.Message)
	return nil
}

func TestEachChangeIsRecorded(t *testing.T) {
	b := places[1].bench(t)
	var log recorder
	repo := b.open(b.client, &snapshot.Options{Logger: slog.New(&log)})
	b.slow("20kb", 100) // registers the repository
	moved := b.settings()
	moved.MaxSnapshotBytesPerSec = "20kb"
	moved.ChunkSize = "1gb"
	b.fill(b.index("job"), 3)
	for _, step := range []struct {
		want string
		do   func() error
	}{
		{"repository registered", func() error { _, err := repo.Ensure(t.Context(), moved); return err }},
		{"taking a snapshot", func() error {
			_, err := repo.Create(t.Context(), snapshot.CreateRequest{Name: "a", RunID: "run", Indices: []string{b.index("job")}})
			return err
		}},
		{"snapshot adopted", func() error {
			_, err := repo.Create(t.Context(), snapshot.CreateRequest{Name: "a", RunID: "run", Indices: []string{b.index("job")}})
			return err
		}},
		{"snapshots deleted", func() error { return repo.Delete(t.Context(), "a") }},
		{"repository cleaned up", func() error { _, err := repo.Cleanup(t.Context()); return err }},
		{"secrets reloaded", func() error { return repo.ReloadSecrets(t.Context()) }},
		{"taking a snapshot, snapshot aborted", func() error {
			short, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			_, err := repo.Create(short, snapshot.CreateRequest{Name: "b", Indices: []string{b.index("big")}, Abort: true})
			if errors.Is(err, context.DeadlineExceeded) {
				err = nil
			}
			return err
		}},
	} {
		log.messages = nil
		if err := step.do(); err != nil {
			t.Errorf("%s: %v", step.want, err)
		}
		if diff := cmp.Diff(step.want, strings.Join(log.messages, ", ")); diff != "" {
			t.Error(diff)
		}
	}
}
