package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/examples/internal/metrics"
)

// serve answers /metrics and /healthz until stop is called, where -listen asks for it.
func (b *backup) serve() (stop func(), err error) {
	if b.listen == "" {
		return func() {}, nil
	}
	on, stop, err := metrics.Serve(b.listen, b.status.set, b.healthz)
	if err != nil {
		return nil, cli.Usagef("-listen: %v", err)
	}
	b.out.info("serving metrics", "address", on)
	return stop, nil
}

// health is what /healthz answers: 200 while the schedule goes on, else 503.
type health struct {
	Status      string    `json:"status"`
	Next        time.Time `json:"next,omitzero"` // zero while a backup runs
	LastAttempt time.Time `json:"last_attempt,omitzero"`
	LastSuccess time.Time `json:"last_success,omitzero"`
	LastFailure string    `json:"last_failure,omitempty"` // of the last run
}

func (b *backup) healthz(w http.ResponseWriter, _ *http.Request) {
	h := b.status.health()
	code := http.StatusOK
	if err := b.status.alive(b.now(), b.timeout); err != nil {
		h.Status, code = fmt.Sprint(err), http.StatusServiceUnavailable
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(h)
}

func (s *status) health() health {
	s.mu.Lock()
	defer s.mu.Unlock()
	return health{Status: "ok", Next: s.next, LastAttempt: s.attempt, LastSuccess: s.success, LastFailure: s.lastFailure}
}
