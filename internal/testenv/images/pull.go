package images

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// answerWithin is what a registry has for its first word. Offline, most engines say no at once; behind a firewall that
	// drops packets they would try for minutes.
	answerWithin = 15 * time.Second
	// pullWithin bounds a pull that runs: Elasticsearch is 700 MB.
	pullWithin = 10 * time.Minute
	// deaf is for how long a registry that did not answer is not asked again, by any process.
	deaf = 10 * time.Minute
)

// errNotAsked says that no registry was asked, and why.
var errNotAsked = errors.New("registry not asked")

// pull gets an image that is nice to have; the caller goes on without it.
func (r *Resolver) pull(ctx context.Context, spec Spec, ref string) error {
	if r.getenv("NUVLAOPS_PULL") == "never" {
		return fmt.Errorf("%w: NUVLAOPS_PULL=never", errNotAsked)
	}
	mark := filepath.Join(r.cache, "unreachable", registry(ref))
	if info, err := os.Stat(mark); err == nil && r.now().Sub(info.ModTime()) < deaf {
		return fmt.Errorf("%w: it did not answer less than %s ago", errNotAsked, deaf)
	}
	err := r.pullNamed(ctx, spec, ref)
	if err != nil && ctx.Err() == nil && !strings.Contains(err.Error(), "manifest unknown") && !strings.Contains(err.Error(), "not found") {
		r.remember(mark)
	}
	return err
}

// pullNamed gets an image that must be had.
func (r *Resolver) pullNamed(ctx context.Context, spec Spec, ref string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, pullWithin, fmt.Errorf("not done within %s", pullWithin))
	defer cancel()
	return r.step(spec.String(), "pull "+ref, func() error {
		_, err := r.commands.run(ctx, command{name: "docker", args: []string{"pull", ref}, answerWithin: answerWithin})
		return err
	})
}

// remember leaves a mark for all processes. Without it they ask again: no harm.
func (r *Resolver) remember(mark string) {
	if err := os.MkdirAll(filepath.Dir(mark), 0o755); err == nil {
		_ = os.WriteFile(mark, nil, 0o644)
		_ = os.Chtimes(mark, time.Time{}, r.now())
	}
}

// registry is the host of a reference: docker.elastic.co, or docker.io when it names none.
func registry(ref string) string {
	host, _, found := strings.Cut(ref, "/")
	if found && (strings.ContainsAny(host, ".:") || host == "localhost") {
		return strings.ReplaceAll(host, ":", "_")
	}
	return "docker.io"
}
