package report

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/nuvla/nuvlaops/examples/internal/metrics"
)

// WriteMetrics writes what Prometheus should know of the recovery. The time of the last success is that of the file that
// was there before, when this one is none.
func (r *Report) WriteMetrics(path string) error {
	success := r.Ended
	if !r.Recovered() {
		success = lastSuccess(path, r.Mode)
	}
	help := map[string]string{}
	for _, m := range metrics.All() {
		help[m.Name] = m.Help
	}
	set := metrics.New(map[string]string{"repository": r.Snapshot.Repository, "mode": r.Mode})
	set.Time(metrics.RecoveryLastSuccess, help[metrics.RecoveryLastSuccess], success)
	set.Time(metrics.RecoveryLastAttempt, help[metrics.RecoveryLastAttempt], r.Started)
	set.Gauge(metrics.RecoveryDuration, help[metrics.RecoveryDuration], r.RTO)
	if r.Snapshot.Name != "" {
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

// lastSuccess reads the time of the last success out of the file; zero when there is none.
func lastSuccess(path, mode string) time.Time {
	raw, err := os.ReadFile(path)
	if err != nil {
		return time.Time{}
	}
	line := regexp.MustCompile(`(?m)^` + metrics.RecoveryLastSuccess + `\{([^}]*)\} (\S+)$`).FindSubmatch(raw)
	if line == nil || !strings.Contains(string(line[1]), `mode="`+mode+`"`) {
		return time.Time{}
	}
	at, err := strconv.ParseFloat(string(line[2]), 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(int64(at * 1000))
}
