package metrics

// The metrics of all programs; the alert rules and the dashboard in examples/monitoring are built on them. Each carries the
// label "repository", those of a backup also "prefix" where its snapshots have another one than the default, those of a recovery
// also "mode", which is "recovery" or "drill". Times are seconds since 1970, and are left out while they never happened.
const (
	BackupLastSuccess = "nuvla_backup_last_success_timestamp_seconds"
	BackupLastAttempt = "nuvla_backup_last_attempt_timestamp_seconds"
	BackupDuration    = "nuvla_backup_duration_seconds"
	BackupSize        = "nuvla_backup_size_bytes"
	BackupDocuments   = "nuvla_backup_documents"
	BackupSnapshots   = "nuvla_backup_snapshots" // by "state": SUCCESS, PARTIAL, FAILED, IN_PROGRESS, INCOMPATIBLE
	BackupNewestGood  = "nuvla_backup_newest_good_timestamp_seconds"
	BackupFailures    = "nuvla_backup_failures_total"
	BackupExitCode    = "nuvla_backup_last_exit_code"

	DrillLastSuccess = "nuvla_drill_last_success_timestamp_seconds"
	DrillLastAttempt = "nuvla_drill_last_attempt_timestamp_seconds"
	DrillDuration    = "nuvla_drill_duration_seconds"
	DrillBudget      = "nuvla_drill_budget_seconds"
	DrillOverBudget  = "nuvla_drill_over_budget"
	DrillFailures    = "nuvla_drill_failures_total"
	DrillDocuments   = "nuvla_drill_documents"

	RecoveryLastSuccess = "nuvla_recovery_last_success_timestamp_seconds"
	RecoveryLastAttempt = "nuvla_recovery_last_attempt_timestamp_seconds"
	RecoveryDuration    = "nuvla_recovery_duration_seconds"
	RecoveryRPO         = "nuvla_recovery_rpo_seconds"
	RecoveryBudget      = "nuvla_recovery_budget_seconds"
	RecoveryStep        = "nuvla_recovery_step_seconds" // by "step"
)

// Metric is one of them, as Prometheus knows it.
type Metric struct {
	Name   string
	Type   string   // gauge or counter
	Labels []string // beside "repository" and a backup's "prefix"
	Help   string
}

// All returns every metric that a program may write, and no program writes another.
func All() []Metric {
	const gauge, counter = "gauge", "counter"
	mode := []string{"mode"}
	return []Metric{
		{BackupLastSuccess, gauge, nil, "When the last backup ended that was seen complete."},
		{BackupLastAttempt, gauge, nil, "When the last backup began."},
		{BackupDuration, gauge, nil, "How long the last complete backup took."},
		{BackupSize, gauge, nil, "Bytes in the files of the last complete snapshot, those shared with older ones included."},
		{BackupDocuments, gauge, nil, "Documents in the last complete snapshot."},
		{BackupSnapshots, gauge, []string{"state"}, "Snapshots in the repository."},
		{BackupNewestGood, gauge, nil, "When the newest complete snapshot in the repository began, of those with the prefix of this backup."},
		{BackupFailures, counter, nil, "Backups that failed."},
		{BackupExitCode, gauge, nil, "Exit code of the last backup; 0 is a complete one."},

		{DrillLastSuccess, gauge, nil, "When the last restore drill ended whose result was verified."},
		{DrillLastAttempt, gauge, nil, "When the last restore drill began that has come to an end of its own."},
		{DrillDuration, gauge, nil, "How long the last restore drill whose result was verified took to restore and to verify."},
		{DrillBudget, gauge, nil, "How long a restore drill may take."},
		{DrillOverBudget, gauge, nil, "1 when the last restore drill whose result was verified took longer than it may, else 0."},
		{DrillFailures, counter, nil, "Restore drills that failed."},
		{DrillDocuments, gauge, nil, "Documents that the last restore drill brought back whose result was verified."},

		{RecoveryLastSuccess, gauge, mode, "When the last recovery ended whose result was verified."},
		{RecoveryLastAttempt, gauge, mode, "When the last recovery began."},
		{RecoveryDuration, gauge, mode, "How long the last recovery took (RTO)."},
		{RecoveryRPO, gauge, mode, "From the newest document that came back to the beginning of the recovery: what may be lost (RPO)."},
		{RecoveryBudget, gauge, mode, "How long a recovery may take."},
		{RecoveryStep, gauge, []string{"mode", "step"}, "How long each step of the last recovery took."},
	}
}
