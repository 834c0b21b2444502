package report

import (
	"time"

	"github.com/nuvla/nuvlaops/examples/internal/metrics"
)

// WriteMetrics writes what Prometheus should know of the recovery. The time of the last success is that of the file that
// was there before, when this one is none.
func (r *Report) WriteMetrics(path string) error {
	labels := map[string]string{"repository": r.Snapshot.Repository, "mode": r.Mode}
	success := r.Ended
	if !r.Recovered() {
		success = lastSuccess(path, labels)
	}
	help := map[string]string{}
	for _, m := range metrics.All() {
		help[m.Name] = m.Help
	}
	set := metrics.New(labels)
	set.Time(metrics.RecoveryLastSuccess, help[metrics.RecoveryLastSuccess], success)
	set.Time(metrics.RecoveryLastAttempt, help[metrics.RecoveryLastAttempt], r.Started)
	set.Gauge(metrics.RecoveryDuration, help[metrics.RecoveryDuration], r.RTO)
	if r.Snapshot.Name != "" && !r.Untouched {
		set.Gauge(metrics.RecoveryRPO, help[metrics.RecoveryRPO], r.RPO)
	}
	if r.Budget.Whole > 0 {
		set.Gauge(metrics.RecoveryBudget, help[metrics.RecoveryBudget], r.Budget.Whole)
	}
	steps := map[string]float64{}
	for _, s := range r.Steps {
		if s.State == "done" || s.State == "failed" {
			steps[s.Name] = s.Seconds
		}
	}
	set.By(metrics.RecoveryStep, help[metrics.RecoveryStep], "step", steps)
	return set.WriteFile(path)
}

// lastSuccess reads the time of the last success out of the file; zero when there is none with these labels.
func lastSuccess(path string, labels map[string]string) time.Time {
	old, err := metrics.ReadFile(path, labels)
	at, there := old[metrics.RecoveryLastSuccess]
	if err != nil || !there {
		return time.Time{}
	}
	return metrics.Moment(at)
}
