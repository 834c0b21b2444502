package main

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/examples/internal/metrics"
	"github.com/nuvla/nuvlaops/snapshot"
)

// status is what is known of the last runs, for metrics and health. It is safe for concurrent use.
type status struct {
	mu          sync.Mutex
	labels      map[string]string
	prefix      string // of the names of its snapshots
	attempt     time.Time
	success     time.Time
	newestGood  time.Time
	duration    time.Duration
	bytes       int64
	documents   int64
	ran, good   bool // there was a run, and a good one, so that duration and so on say something
	failures    float64
	exitCode    int
	states      map[string]float64
	next        time.Time // when the next run begins; zero while one runs
	lastFailure string
}

// labelsOf tell the backups of one repository apart. Most have one alone, with the default prefix, which needs no label.
func labelsOf(c *config) map[string]string {
	labels := map[string]string{"repository": c.repository}
	if c.create.Prefix != snapshot.DefaultPrefix {
		labels["prefix"] = c.create.Prefix
	}
	return labels
}

// load reads what earlier runs left in the metrics file, so that a counter goes on from where it was. Without one, the
// timestamp file tells the last success, which another backup may touch, too.
func (s *status) load(c *config) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.labels, s.prefix = labelsOf(c), c.create.Prefix
	if info, err := os.Stat(c.timestamp); err == nil {
		s.success = info.ModTime()
	}
	if c.metrics == "" {
		return
	}
	old, err := metrics.ReadFile(c.metrics, s.labels)
	if err != nil {
		return // there is none yet, or it is not ours
	}
	at := func(name string) time.Time {
		if v, there := old[name]; there {
			return metrics.Moment(v)
		}
		return time.Time{}
	}
	s.failures = max(s.failures, old[metrics.BackupFailures]) // one that goes down would look like one that began anew
	s.newestGood = at(metrics.BackupNewestGood)
	if t := at(metrics.BackupLastSuccess); !t.IsZero() {
		s.success = t
	}
	if d, there := old[metrics.BackupDuration]; there {
		s.good, s.duration = true, time.Duration(d*float64(time.Second))
		s.bytes, s.documents = int64(old[metrics.BackupSize]), int64(old[metrics.BackupDocuments])
	}
}

func (s *status) begins(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attempt, s.next = at, time.Time{}
}

func (s *status) waitsFor(next time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = next
}

// ends keeps the end of a run.
func (s *status) ends(began, ended time.Time, r *snapshot.CycleReport, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ran, s.exitCode, s.lastFailure = true, cli.ExitCode(err), ""
	if err != nil {
		s.failures++
		s.lastFailure = err.Error()
	}
	if r == nil || !r.Verified() {
		return
	}
	s.good, s.success, s.duration, s.bytes = true, ended, ended.Sub(began), r.Snapshot.Bytes
	if m := r.Snapshot.Manifest; m != nil {
		s.documents = m.Documents
	}
	if start := r.Snapshot.Start; start.After(s.newestGood) { // it was not counted
		s.newestGood = start
	}
}

// planned counts the snapshots by state as the list has them that was read for retention, of those that are left. The newest good
// one is that of the run.
func (s *status) planned(r *snapshot.CycleReport) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.states, s.newestGood = noStates(), r.Snapshot.Start
	for _, d := range r.Plan.Decisions {
		if !slices.Contains(r.Removed, d.Name) {
			s.states[d.State]++
		}
	}
}

func noStates() map[string]float64 {
	return map[string]float64{snapshot.InProgress: 0, snapshot.Success: 0, snapshot.Partial: 0, snapshot.Failed: 0, snapshot.Incompatible: 0}
}

// count counts the snapshots by state. When they cannot be listed, the numbers of the run before stand, but that a good run has
// the newest good one.
func (s *status) count(ctx context.Context, repo snapshot.SnapshotRepo) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	states := noStates()
	var newest time.Time
	for one, err := range repo.List(ctx, snapshot.Filter{}) {
		if err != nil {
			return
		}
		states[one.State]++
		if named(one, s.prefix) && one.Complete() && one.Start.After(newest) {
			newest = one.Start
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.states, s.newestGood = states, newest
}

// set is the metrics of this moment.
func (s *status) set() *metrics.Set {
	s.mu.Lock()
	defer s.mu.Unlock()
	help := map[string]string{}
	for _, m := range metrics.All() {
		help[m.Name] = m.Help
	}
	set := metrics.New(s.labels)
	moment := func(name string, at time.Time) { set.Time(name, help[name], at) }
	gauge := func(name string, known bool, value float64) {
		if known {
			set.Gauge(name, help[name], value)
		}
	}
	moment(metrics.BackupLastAttempt, s.attempt)
	moment(metrics.BackupLastSuccess, s.success)
	moment(metrics.BackupNewestGood, s.newestGood)
	gauge(metrics.BackupDuration, s.good, s.duration.Seconds())
	gauge(metrics.BackupSize, s.good, float64(s.bytes))
	gauge(metrics.BackupDocuments, s.good, float64(s.documents))
	gauge(metrics.BackupExitCode, s.ran, float64(s.exitCode))
	set.Counter(metrics.BackupFailures, help[metrics.BackupFailures], s.failures)
	if s.states != nil {
		set.By(metrics.BackupSnapshots, help[metrics.BackupSnapshots], "state", s.states)
	}
	return set
}

// write writes the metrics file, where one is asked for.
func (s *status) write(c *config) error {
	if c.metrics == "" {
		return nil
	}
	return s.set().WriteFile(c.metrics)
}

// errOverdue: the schedule does not go on.
var errOverdue = errors.New("the next run is overdue")

// alive says whether the schedule goes on. Whether backups succeed is a question for the alerts: a restart of this program
// would not help.
func (s *status) alive(now time.Time, longest time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.next.IsZero() && now.Sub(s.next) > time.Minute:
		return errOverdue
	case s.next.IsZero() && longest > 0 && !s.attempt.IsZero() && now.Sub(s.attempt) > longest+5*time.Minute:
		return errors.New("the run does not end")
	}
	return nil
}
