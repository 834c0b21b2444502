package restore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
)

// findGlobalState lists what a restore of the global state would overwrite: Elasticsearch puts the snapshot's in the place
// of the cluster's, and what is not in the snapshot is gone afterwards.
func (r *Repo) findGlobalState(ctx context.Context, p *Plan) error {
	if !p.Request.GlobalState {
		return nil
	}
	if !p.Snapshot.GlobalState {
		p.add(SeverityError, CodeNoGlobalState, p.Snapshot.Name, "leave the global state out", "the snapshot holds no global state")
		return nil
	}
	there, err := r.conn.GlobalState(ctx)
	if err != nil {
		return err
	}
	settings, err := r.conn.ClusterSettings(ctx)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(settings.Persistent)) {
		if name != journalSetting {
			there["persistent settings"] = append(there["persistent settings"], name)
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(there)) {
		if names := there[kind]; len(names) > 0 {
			p.add(SeverityWarning, CodeGlobalState, kind, "", "%s of this cluster are overwritten by the snapshot's, or are gone: %s", kind, strings.Join(names, ", "))
		}
	}
	p.add(SeverityWarning, CodeGlobalState, p.Snapshot.Name, "", "templates, ingest pipelines, ILM policies, persistent settings and the license become the snapshot's")
	return nil
}

// restoreGlobalState is a restore of its own, before the indices: it replaces all persistent settings, our journal among
// them, and may start ILM. So the journal is kept among the transient settings meanwhile, and ILM is stopped again before an
// index is there. Made twice it changes nothing more.
func (a *application) restoreGlobalState(ctx context.Context) error {
	if !a.plan.Request.GlobalState || a.journal.Global {
		return nil
	}
	if err := a.writeTransientJournal(ctx, a.journal); err != nil {
		return err
	}
	a.log.InfoContext(ctx, "restoring the global state", "repository", a.name, "snapshot", a.plan.Snapshot.Name)
	yes := true
	err := a.conn.WriteIdempotent(ctx, func() esapi.Request {
		return esapi.SnapshotRestoreRequest{Repository: a.name, Snapshot: a.plan.Snapshot.Name, WaitForCompletion: &yes,
			Body: strings.NewReader(`{"indices":"-*","include_global_state":true,"feature_states":["none"]}`)}
	}, nil)
	if err != nil {
		return fmt.Errorf("restore global state: %w", damaged(err))
	}
	mode, err := a.ilmMode(ctx)
	if err != nil {
		return err
	}
	if err := a.stopILM(ctx, mode); err != nil {
		return err
	}
	a.journal.Global = true
	a.report.NotVerified = append(a.report.NotVerified, "the global state: the server says that it took it over, its parts are not compared")
	return a.writeJournal(ctx, a.journal, nil)
}

// ilmMode is STOPPED where the server has no ILM, and for scratch indices, which ILM does not know.
func (r *Repo) ilmMode(ctx context.Context) (string, error) {
	if r.scratch {
		return es.ILMStopped, nil
	}
	mode, err := r.conn.ILMMode(ctx)
	if errors.Is(err, nuvlaops.ErrUnsupported) {
		return es.ILMStopped, nil
	}
	return mode, err
}

// writeTransientJournal keeps a copy where a restore of the global state does not reach.
func (r *Repo) writeTransientJournal(ctx context.Context, j *journal) error {
	text, err := j.text()
	if err != nil {
		return err
	}
	if err := r.conn.PutClusterSettings(ctx, nil, map[string]any{r.journalKey: text}); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	return nil
}
