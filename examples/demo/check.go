package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/examples/internal/report"
	"github.com/nuvla/nuvlaops/internal/poll"
)

// check compares what came back with what was put in, by numbers that the recovery does not know.
func (d *demo) check(ctx context.Context) error {
	got, err := report.Read(d.reportFile)
	if err != nil {
		return fmt.Errorf("read report: %w", err)
	}
	if got.Jobs == nil {
		return fmt.Errorf("%w: the report says nothing of jobs", nuvlaops.ErrVerification)
	}
	d.report = got
	if err := errors.Join(d.checkDocuments(got), d.checkJobs(got)); err != nil {
		return &nuvlaops.Error{Op: "demo", Resource: "recovery", Reason: err.Error(), Err: fmt.Errorf("%w: %w", nuvlaops.ErrVerification, err)}
	}
	documents, _ := d.seeded.total()
	d.screen.Printf("documents: all %d in %d indices are there, none more", documents, len(d.seeded.documents))
	d.screen.Printf("jobs: %d on the queue before the core started, as many as were open when the snapshot was taken", got.Jobs.Total)
	return d.watchExecutors(ctx)
}

func (d *demo) checkDocuments(got *report.Report) error {
	documents := map[string]int64{}
	for _, i := range got.Indices {
		documents[i.Index] = i.Documents
	}
	if diff := cmp.Diff(d.seeded.documents, documents); diff != "" {
		return fmt.Errorf("documents by index (-seeded +recovered):\n%s", diff)
	}
	return nil
}

// checkJobs: executors take jobs from the lowest priority number up, so what they did before the snapshot is missing
// there and nowhere else.
func (d *demo) checkJobs(got *report.Report) error {
	if got.Jobs.Total < d.openAtSnapshot.min || got.Jobs.Total > d.openAtSnapshot.max {
		return fmt.Errorf("%d jobs on the queue, between %d and %d were open at the snapshot", got.Jobs.Total, d.openAtSnapshot.min, d.openAtSnapshot.max)
	}
	_, seeded := d.seeded.total()
	done, sum := seeded-got.Jobs.Total, 0
	for _, priority := range slices.Sorted(maps.Keys(d.seeded.open)) {
		want, have := d.seeded.open[priority], got.Jobs.ByPriority[priority]
		missing := want - have
		if missing < 0 || missing > done {
			return fmt.Errorf("%d jobs of priority %d, %d were seeded and %d done", have, priority, want, done)
		}
		done -= missing
		sum += have
	}
	if sum != got.Jobs.Total {
		return fmt.Errorf("%d of %d jobs are at a priority that was never given", got.Jobs.Total-sum, got.Jobs.Total)
	}
	return nil
}

// watchExecutors waits until the executors have run some of the recovered jobs, and none of them twice.
func (d *demo) watchExecutors(ctx context.Context) error {
	const enough = 20
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	var seen struct{ Executed, Twice, Queued int }
	err := poll.Until(ctx, poll.Interval{}, func(ctx context.Context) (bool, string, error) {
		if err := d.askAPI(ctx, "/demo", &seen); err != nil {
			return false, err.Error(), nil
		}
		return seen.Executed >= min(enough, d.jobs/2), fmt.Sprintf("%d jobs run", seen.Executed), nil
	})
	if err != nil {
		return fmt.Errorf("executors run the recovered jobs: %w", err)
	}
	if seen.Twice > 0 {
		return fmt.Errorf("%w: %d jobs were run twice", nuvlaops.ErrVerification, seen.Twice)
	}
	d.screen.Printf("executors: %d recovered jobs run so far, none twice; %d wait", seen.Executed, seen.Queued)
	return nil
}

func decodeAnswer(req *http.Request, into any) error {
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", req.URL.Path, res.Status)
	}
	return json.NewDecoder(res.Body).Decode(into)
}
