package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/zkjobs"
)

// aliveWithin is how long preflight waits for an answer of a database: after a disaster there may be none.
const aliveWithin = 5 * time.Second

// checkDatabases looks at both databases side by side: the one that is dead takes its time to say so.
func (r *recovery) checkDatabases(ctx context.Context) error {
	var wait sync.WaitGroup
	var queueErr error
	wait.Go(func() { queueErr = r.lookAtZooKeeper(ctx) })
	err := r.lookAtElasticsearch(ctx)
	wait.Wait()
	return cmp.Or(err, queueErr)
}

func (r *recovery) lookAtZooKeeper(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, aliveWithin)
	defer cancel()
	if !r.zk.answers(ctx) {
		return r.noZooKeeper()
	}
	r.found.queue = true
	jobs, err := r.jobsNow(ctx)
	if err != nil {
		r.page.note("ZooKeeper", "it answers, but not well: "+err.Error())
		return nil
	}
	total := 0
	for _, n := range jobs {
		total += n
	}
	r.page.note("ZooKeeper", fmt.Sprintf("it answers; %d entries on the queue", total))
	if !r.resumed {
		_ = r.remember(func(st *state) { st.Before.Jobs = jobs })
	}
	return nil
}

// noZooKeeper: one that is not recovered must be there for the queue when the volumes of the other are gone.
func (r *recovery) noZooKeeper() error {
	if r.cfg.only == onlyES && r.comes("queue") {
		return r.page.bad("ZooKeeper", refused("queue", "start it, or recover both, without -only", "no ZooKeeper answers at %s, and it is not recovered", r.zk))
	}
	r.page.note("ZooKeeper", "no answer from "+r.zk.String())
	return nil
}

func (r *recovery) lookAtElasticsearch(ctx context.Context) error {
	alive, cancel := context.WithTimeout(ctx, aliveWithin)
	defer cancel()
	switch err := cli.ElasticsearchServes(r.client)(alive); {
	case errors.Is(err, nuvlaops.ErrDenied), errors.Is(err, nuvlaops.ErrUnsupported): // what answers is not dead, and a throw-away one would say the same
		r.found.denied = true
		return r.page.bad("Elasticsearch", refused(r.cfg.es, "correct -es, or ES_USERNAME and ES_PASSWORD, or ES_API_KEY; nothing was touched", "%v", err))
	case err != nil:
		return r.noElasticsearch()
	}
	r.found.alive = true
	var wait sync.WaitGroup
	defer wait.Wait()
	wait.Go(func() {
		if err := r.describeElasticsearch(alive); err != nil {
			r.page.note("Elasticsearch", "it answers, but not well: "+err.Error())
		}
	})
	if r.cfg.only == onlyZK {
		return r.seeJobs(ctx)
	}
	return r.lookForTheSnapshot(ctx)
}

// warnOfSilence: a database that runs may well serve at another address, which nobody would notice before its volumes are gone.
func (r *recovery) warnOfSilence() {
	for _, d := range []struct {
		service, flag, address string
		answers                bool
	}{{"es", "-es", r.cfg.es, r.found.alive || r.found.denied}, {"zk", "-zk", r.zk.String(), r.found.queue}} {
		if v := r.found.db.Service(d.service); !d.answers && v != nil && v.Running > 0 && r.comes("wipe") && r.comes("start-"+d.service) {
			r.page.note("WARNING", fmt.Sprintf("service %s of stack %s runs, and nothing answers at %s: if it works, correct %s, since it is waited for there when the volumes are gone",
				d.service, r.cfg.db, d.address, d.flag))
		}
	}
}

func (r *recovery) noElasticsearch() error {
	if r.cfg.only == onlyZK {
		return r.page.bad("Elasticsearch", refused("queue", "recover both, without -only", "no Elasticsearch answers at %s, and the queue is rebuilt from its documents", r.cfg.es))
	}
	text := "no answer from " + r.cfg.es
	if !r.cfg.planOnly && r.mustLook() {
		text += ": the snapshot is looked for through a throw-away one, before anything is removed"
	}
	r.page.note("Elasticsearch", text)
	return nil
}

// beginAnewElsewhere forgets what an earlier call has done when another cluster answers than the one that it restored into: that
// is not there any more. It comes first, since what is looked at depends on what is done.
func (r *recovery) beginAnewElsewhere(ctx context.Context) {
	plan := r.remembered().Plan
	if plan == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, aliveWithin)
	defer cancel()
	if cli.ElasticsearchServes(r.client)(ctx) != nil { // the dead are not asked again and again
		return
	}
	if uuid, err := r.conn.ClusterUUID(ctx); err == nil && uuid != plan.Cluster.UUID {
		r.screen.Printf("the Elasticsearch that was restored into is gone: beginning anew")
		r.beginAnew()
	}
}

// describeElasticsearch says what lives there.
func (r *recovery) describeElasticsearch(ctx context.Context) error {
	cluster, err := r.conn.Cluster(ctx)
	if err != nil {
		return err
	}
	documents, err := r.documentsNow(ctx)
	if err != nil {
		return err
	}
	total := int64(0)
	for _, n := range documents {
		total += n
	}
	r.page.note("Elasticsearch", fmt.Sprintf("%s answers as cluster %s; %d documents in %d indices of %s", cluster.Version, cluster.Name, total, len(documents), strings.Join(r.cfg.indices, ",")))
	if !r.resumed {
		_ = r.remember(func(st *state) { st.Before.Documents = documents })
	}
	return nil
}

// seeJobs reads the job documents, which are what a lost queue is rebuilt from.
func (r *recovery) seeJobs(ctx context.Context) error {
	source, err := zkjobs.NewDocuments(r.client, &zkjobs.DocumentsOptions{AllowNone: true})
	if err != nil {
		return err
	}
	n := 0
	for _, err := range source.Jobs(ctx) {
		if err != nil {
			return r.page.bad("job documents", refusal(err))
		}
		n++
	}
	r.found.openJobs, r.found.jobsSeen = n, true
	r.page.good("job documents", fmt.Sprintf("%d open ones, which the queue is rebuilt from", n))
	return nil
}
