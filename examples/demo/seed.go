package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
)

//go:embed stacks/nuvla-job-mapping.json
var jobMapping json.RawMessage

const (
	shards, replicas = 3, 2 // as Nuvla's, on a single node too
	bulk             = 1000 // documents in a request, about 600 KiB
	together         = 250  // jobs that the api-servers of a platform queue in one go
)

// seeded is what the demo knows of what it put in.
type seeded struct {
	documents map[string]int64 // by index
	open      map[int]int      // open jobs by priority
}

func (s seeded) total() (documents int64, jobs int) {
	for _, n := range s.documents {
		documents += n
	}
	for _, n := range s.open {
		jobs += n
	}
	return documents, jobs
}

// seed makes the indices and fills them and the queue: total documents, among them open jobs and as many others by a
// third, each open job on the queue and its path in its document.
func seed(ctx context.Context, client *es.Transport, q *queue, p *population, total, open int, progress func(nuvlaops.Progress)) (seeded, error) {
	s := seeded{documents: map[string]int64{}, open: map[int]int{}}
	jobs := p.jobs(open, open/3)
	all := map[string][]doc{}
	for _, share := range shares {
		all[share.index] = p.docs(share.index, int(share.share*float64(total-len(jobs))))
	}
	rest := total - len(jobs)
	for _, docs := range all {
		rest -= len(docs)
	}
	all["nuvla-event"] = append(all["nuvla-event"], p.docs("nuvla-event", rest)...)

	begun := time.Now()
	if err := enqueue(ctx, q, jobs, func(phase string, n int) {
		progress(nuvlaops.Progress{Op: "seed", Phase: phase, Done: int64(n), Total: int64(open), Unit: "jobs", Elapsed: time.Since(begun)}.WithRemaining())
	}); err != nil {
		return s, err
	}
	for _, j := range jobs {
		all[jobIndex] = append(all[jobIndex], j.doc)
		if j.open {
			s.open[j.priority]++
		}
	}
	done := 0
	begun = time.Now()
	for index, docs := range all {
		s.documents[index] = int64(len(docs))
		if err := createIndex(ctx, client, index); err != nil {
			return s, fmt.Errorf("create index %s: %w", index, err)
		}
		for batch := range slices.Chunk(docs, bulk) {
			if err := write(ctx, client, index, batch); err != nil {
				return s, fmt.Errorf("write documents of %s: %w", index, err)
			}
			done += len(batch)
			progress(nuvlaops.Progress{Op: "seed", Phase: "writing", Resource: index, Done: int64(done), Total: int64(total), Unit: "documents",
				Elapsed: time.Since(begun)}.WithRemaining())
		}
	}
	return s, es.Send(ctx, client, esapi.IndicesRefreshRequest{Index: []string{"nuvla-*"}}, nil)
}

// enqueue puts the open jobs on the queue in order of their creation, and their paths there into the documents.
func enqueue(ctx context.Context, q *queue, jobs []job, progress func(phase string, done int)) error {
	var open []*job
	for i := range jobs {
		if jobs[i].open {
			open = append(open, &jobs[i])
		}
	}
	slices.SortFunc(open, func(a, b *job) int { return a.created.Compare(b.created) })
	done := 0
	for some := range slices.Chunk(open, together) {
		byPriority := map[int][]string{}
		for _, j := range some {
			byPriority[j.priority] = append(byPriority[j.priority], j.name())
		}
		for priority, ids := range byPriority {
			if err := q.Put(ctx, priority, ids...); err != nil {
				return err
			}
			done += len(ids)
			progress("queueing", done)
		}
	}
	progress("reading where on the queue they are", done)
	paths, err := q.paths(ctx, open)
	if err != nil {
		return err
	}
	for _, j := range open {
		path, ok := paths[j.name()]
		if !ok {
			return fmt.Errorf("%s was put on the queue and is not there", j.name())
		}
		j.queued(path)
	}
	return nil
}

func createIndex(ctx context.Context, client *es.Transport, index string) error {
	body := map[string]any{"settings": map[string]any{"number_of_shards": shards, "number_of_replicas": replicas}}
	if index == jobIndex {
		body["mappings"] = jobMapping
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return es.Send(ctx, client, esapi.IndicesCreateRequest{Index: index, Body: bytes.NewReader(raw)}, nil)
}

func write(ctx context.Context, client *es.Transport, index string, docs []doc) error {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	for _, d := range docs {
		if err := enc.Encode(map[string]any{"create": map[string]string{"_id": d.id}}); err != nil {
			return err
		}
		if err := enc.Encode(d.source); err != nil {
			return err
		}
	}
	var answer struct {
		Errors bool              `json:"errors"`
		Items  []json.RawMessage `json:"items"`
	}
	if err := es.Send(ctx, client, esapi.BulkRequest{Index: index, Body: &body, FilterPath: []string{"errors", "items.*.error"}}, &answer); err != nil {
		return err
	}
	if answer.Errors {
		return fmt.Errorf("refused documents: %.300s", answer.Items)
	}
	return nil
}
