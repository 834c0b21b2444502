package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/examples/internal/metrics"
	"github.com/nuvla/nuvlaops/restore"
	"github.com/nuvla/nuvlaops/snapshot"
)

// status is what is known of the last drills, for metrics and health. It is safe for concurrent use.
type status struct {
	mu         sync.Mutex
	repository string
	known      map[string]float64 // by metric
	next       time.Time          // when the next drill begins; zero while one runs
	running    time.Time          // since when one runs
	failure    string             // of the last drill
}

// load reads what earlier runs left in the metrics file, so that a counter goes on from where it was. Without one, the marks
// tell the last success.
func (s *status) load(path, marks, repository string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repository, s.known = repository, map[string]float64{}
	if path != "" {
		if old, err := metrics.ReadFile(path, map[string]string{"repository": repository}); err == nil { // else there is none yet
			s.known = old
			return
		}
	}
	all, err := snapshot.ReadMarks(marks)
	if err != nil {
		return // the drill says so
	}
	for _, m := range all {
		if v := m.Verified; v != nil && m.Repository == repository && seconds(v.At) > s.known[metrics.DrillLastSuccess] {
			s.proven(v.At, v.RTO, v.Documents)
		}
	}
}

// proven keeps a good drill.
func (s *status) proven(at time.Time, rto float64, documents int64) {
	s.known[metrics.DrillLastSuccess] = seconds(at)
	s.known[metrics.DrillDuration] = rto
	s.known[metrics.DrillDocuments] = float64(documents)
}

func (s *status) begins(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running, s.next = at, time.Time{}
}

func (s *status) waitsFor(next time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running, s.next = time.Time{}, next
}

// ends keeps the end of a drill. One that somebody ended, or that another drill or a restore kept out, is no failure of the
// snapshot, and no attempt: an attempt after the last success alarms.
func (s *status) ends(at time.Time, budget time.Duration, r *restore.DrillReport, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	began := s.running
	s.running, s.failure = time.Time{}, ""
	if err != nil {
		s.failure = err.Error()
	}
	if code := cli.ExitCode(err); code != cli.ExitInterrupted && code != cli.ExitBusy {
		s.known[metrics.DrillLastAttempt] = seconds(began)
		if code != cli.ExitOK {
			s.known[metrics.DrillFailures]++
		}
	}
	if delete(s.known, metrics.DrillBudget); budget > 0 {
		s.known[metrics.DrillBudget] = budget.Seconds()
	}
	if r == nil || !r.Proven {
		return
	}
	s.proven(at, r.RTO.Seconds(), r.Restore.Documents)
	s.known[metrics.DrillOverBudget] = 0
	if r.OverBudget {
		s.known[metrics.DrillOverBudget] = 1
	}
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// set is the metrics of this moment.
func (s *status) set() *metrics.Set {
	s.mu.Lock()
	defer s.mu.Unlock()
	set := metrics.New(map[string]string{"repository": s.repository})
	for _, m := range metrics.All() {
		value, there := s.known[m.Name]
		switch {
		case m.Name == metrics.DrillFailures:
			set.Counter(m.Name, m.Help, value)
		case there:
			set.Gauge(m.Name, m.Help, value)
		}
	}
	return set
}

// write writes the metrics file, where one is asked for.
func (s *status) write(path string) error {
	if path == "" {
		return nil
	}
	return s.set().WriteFile(path)
}

// serve answers /metrics and /healthz until stop is called, where -listen asks for it.
func (p *program) serve() (stop func(), err error) {
	if p.listen == "" {
		return func() {}, nil
	}
	on, stop, err := metrics.Serve(p.listen, p.status.set, p.healthz)
	if err != nil {
		return nil, cli.Usagef("-listen: %v", err)
	}
	p.screen.Printf("serving metrics on %s", on)
	return stop, nil
}

// healthz answers 200 while the schedule goes on, else 503. Whether drills succeed is a question for the alerts: a restart of
// this program would not help.
func (p *program) healthz(w http.ResponseWriter, _ *http.Request) {
	code, health := p.status.health(p.now(), p.timeout)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(health)
}

// health is what /healthz answers.
type health struct {
	Status      string    `json:"status"`
	Next        time.Time `json:"next,omitzero"` // zero while a drill runs
	LastFailure string    `json:"last_failure,omitempty"`
}

func (s *status) health(now time.Time, longest time.Duration) (int, health) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := health{Status: "ok", Next: s.next, LastFailure: s.failure}
	switch {
	case !s.next.IsZero() && now.Sub(s.next) > time.Minute:
		h.Status = fmt.Sprintf("the drill of %s has not begun", s.next.Format(time.RFC3339))
	case longest > 0 && !s.running.IsZero() && now.Sub(s.running) > longest+5*time.Minute:
		h.Status = "the drill does not end"
	default:
		return http.StatusOK, h
	}
	return http.StatusServiceUnavailable, h
}
