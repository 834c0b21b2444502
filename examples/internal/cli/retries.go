package cli

import (
	"context"
	"log/slog"
	"time"
)

// Retries is a logger that says on the screen that a call is repeated, from its fourth attempt on and every ten seconds: a minute
// without a word looks like a program that hangs. All else is discarded.
func Retries(s *Screen) *slog.Logger { return slog.New(&retries{screen: s}) }

type retries struct{ screen *Screen }

func (r *retries) Enabled(context.Context, slog.Level) bool { return true }
func (r *retries) WithAttrs([]slog.Attr) slog.Handler       { return r }
func (r *retries) WithGroup(string) slog.Handler            { return r }

func (r *retries) Handle(_ context.Context, record slog.Record) error {
	if record.Message != "retry" {
		return nil
	}
	attempt, cause := int64(0), ""
	record.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "attempt":
			attempt = a.Value.Int64()
		case "error":
			cause = a.Value.String()
		}
		return true
	})
	if attempt > 3 {
		r.screen.Sometimes(10*time.Second, "no answer yet, it is tried again: %s", cause)
	}
	return nil
}
