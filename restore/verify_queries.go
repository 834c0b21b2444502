package restore

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"strings"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/nuvla/nuvlaops/internal/es"
)

// Query is a search that must find what the caller knows to be in the snapshot.
type Query struct {
	// Name is how the report calls it.
	Name string `json:"name"`
	// Index is an index of the plan or a pattern of several, by their names in the snapshot, or a data stream's.
	Index string `json:"index"`
	// Query is a query of Elasticsearch's, such as {"term":{"state":"QUEUED"}}. Default all documents.
	Query json.RawMessage `json:"query,omitempty"`
	// Min is the fewest documents that it must find; Max the most, nil for no limit.
	Min int64  `json:"min"`
	Max *int64 `json:"max,omitempty"`
}

func (q Query) validate(p *Plan) error {
	var object map[string]json.RawMessage
	switch {
	case q.Name == "" || q.Index == "":
		return invalid(fmt.Sprintf("query %q on index %q", q.Name, q.Index), "a query needs a name and an index")
	case len(q.Query) > 0 && json.Unmarshal(q.Query, &object) != nil:
		return invalid(fmt.Sprintf("query %q is no JSON object", q.Name), `such as {"term":{"state":"QUEUED"}}`)
	case q.Min < 0 || (q.Max != nil && *q.Max < q.Min):
		return invalid(fmt.Sprintf("query %q wants %s", q.Name, q.wants()), "0 or more, and the smaller number first")
	case len(q.of(p.Indices)) == 0:
		return invalid(fmt.Sprintf("query %q is on %s, which the plan does not restore", q.Name, q.Index), "name an index as in the snapshot, or a pattern")
	}
	return nil
}

func (q Query) wants() string {
	switch {
	case q.Max == nil:
		return fmt.Sprintf("at least %d", q.Min)
	case *q.Max == q.Min:
		return fmt.Sprintf("exactly %d", q.Min)
	}
	return fmt.Sprintf("%d to %d", q.Min, *q.Max)
}

// of are the targets that the query is about.
func (q Query) of(indices []PlannedIndex) []string {
	var names []string
	for _, i := range indices {
		byName, _ := path.Match(q.Index, i.Name)
		byStream, _ := path.Match(q.Index, i.Stream)
		if byName || (i.Stream != "" && byStream) {
			names = append(names, i.Target)
		}
	}
	return names
}

// ask asks the queries on indices that are proven, and says of the others that they were not asked.
func (r *Repo) ask(ctx context.Context, p *Plan, w world, report *Report, queries []Query) error {
	if len(queries) == 0 {
		report.NotVerified = append(report.NotVerified, "the content of documents: no queries were given")
		return nil
	}
	proven := map[string]bool{}
	for _, name := range w.names(complete) {
		proven[name] = true
	}
	for _, q := range queries {
		names := q.of(p.Indices)
		if missing := notIn(names, proven); missing != "" {
			report.NotVerified = append(report.NotVerified, fmt.Sprintf("query %s was not asked: %s is not proven", q.Name, missing))
			continue
		}
		found, err := r.hits(ctx, names, q.Query)
		if err != nil {
			return fmt.Errorf("ask query %s: %w", q.Name, err)
		}
		if found < q.Min || (q.Max != nil && found > *q.Max) {
			report.Failures = append(report.Failures, Failure{Index: names[0], Shard: -1,
				Reason: fmt.Sprintf("query %s finds %d documents in %s, wanted %s", q.Name, found, q.Index, q.wants())})
			continue
		}
		report.Verified = append(report.Verified, fmt.Sprintf("query %s finds %d documents in %s, wanted %s", q.Name, found, q.Index, q.wants()))
	}
	return nil
}

func notIn(names []string, set map[string]bool) string {
	for _, n := range names {
		if !set[n] {
			return n
		}
	}
	return ""
}

// hits counts what a query finds.
func (r *Repo) hits(ctx context.Context, names []string, query json.RawMessage) (int64, error) {
	body := "{}"
	if len(query) > 0 {
		body = `{"query":` + string(query) + `}`
	}
	var total int64
	for chunk := range es.NameChunks(names) {
		var answer struct {
			Count  int64           `json:"count"`
			Shards es.ShardAnswers `json:"_shards"`
		}
		err := r.conn.OfAllShards(ctx, "did not answer", func() esapi.Request {
			answer.Shards = es.ShardAnswers{}
			return esapi.CountRequest{Index: chunk, Body: strings.NewReader(body)}
		}, &answer, &answer.Shards)
		if err != nil {
			return 0, err
		}
		total += answer.Count
	}
	return total, nil
}
