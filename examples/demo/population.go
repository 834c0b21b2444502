package main

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// population makes documents that look like Nuvla's, the same ones for the same seed.
type population struct {
	random *rand.Rand
	now    time.Time
}

func newPopulation(seed uint64, now time.Time) *population {
	return &population{random: rand.New(rand.NewPCG(seed, seed)), now: now.UTC().Truncate(time.Millisecond)}
}

// doc is a document and its _id.
type doc struct {
	id     string
	source map[string]any
}

// shares of the documents that are not jobs, by index.
var shares = []struct {
	index string
	share float64
}{
	{"nuvla-event", 0.40},
	{"nuvla-nuvlabox-status", 0.18},
	{"nuvla-nuvlabox", 0.12},
	{"nuvla-deployment", 0.18},
	{"nuvla-module", 0.07},
	{"nuvla-user", 0.05},
}

const jobIndex = "nuvla-job"

// job is a job document and where it belongs on the queue.
type job struct {
	doc
	created  time.Time
	open     bool // belongs on the queue
	priority int  // on the queue
}

var (
	actions    = []string{"start_deployment", "stop_deployment", "update_deployment", "credential_check", "reboot_nuvlabox", "nuvlabox_releases", "fetch_module", "cleanup_async_jobs"}
	priorities = []int{10, 50, 100, 100, 999, 999, 999, 999} // most jobs give none, which means 999
	places     = []string{"Geneva", "Lyon", "Torino", "Basel", "Bern", "Zurich", "Grenoble", "Milano"}
)

// jobs makes open jobs, and beside them as many again that are none of the queue's business: ended ones, those that an
// edge device pulls, bulk jobs that are being followed.
func (p *population) jobs(open, others int) []job {
	out := make([]job, 0, open+others)
	for i := range open + others {
		j := p.job()
		switch {
		case i < open && i%20 == 0:
			j.set("RUNNING", "started", p.stamp(j.created.Add(time.Second)))
		case i < open:
			j.set("QUEUED", "", nil)
		case i%50 == 0:
			j.set("QUEUED", "execution-mode", "pull")
		case i%50 == 1:
			j.set("RUNNING", "action", "bulk_update_deployment")
			j.source["tags"] = []string{"monitor"}
		case i%10 == 2:
			j.set("FAILED", "return-code", 1)
		default:
			j.set("SUCCESS", "return-code", 0)
		}
		j.open = i < open
		out = append(out, j)
	}
	p.random.Shuffle(len(out), func(a, b int) { out[a], out[b] = out[b], out[a] })
	return out
}

func (p *population) job() job {
	created := p.now.Add(-time.Duration(p.random.Int64N(int64(48 * time.Hour)))).Truncate(time.Millisecond)
	uuid := p.uuid()
	d := p.common("job", uuid, created)
	d["action"] = actions[p.random.IntN(len(actions))]
	d["version"] = 2
	d["progress"] = 0
	d["execution-mode"] = "push"
	d["target-resource"] = map[string]any{"href": "deployment/" + p.uuid()}
	d["affected-resources"] = []any{map[string]any{"href": "nuvlabox/" + p.uuid()}}
	return job{doc: doc{uuid, d}, created: created, priority: priorities[p.random.IntN(len(priorities))]}
}

// name is the id of the job's resource, which stands on the queue.
func (j *job) name() string { return "job/" + j.id }

func (j *job) set(state, field string, value any) {
	j.source["state"] = state
	if field != "" {
		j.source[field] = value
	}
}

// queued puts into the document what the api-server leaves there: the path on the queue in tags, and the priority only
// where one was given and no edit has dropped it.
func (j *job) queued(path string) {
	j.source["tags"] = []string{path}
	if j.priority != 999 && j.source["state"] == "QUEUED" {
		j.source["priority"] = j.priority
	}
}

// docs makes n documents of an index.
func (p *population) docs(index string, n int) []doc {
	out := make([]doc, 0, n)
	kind := index[len("nuvla-"):]
	for range n {
		uuid := p.uuid()
		d := p.common(kind, uuid, p.now.Add(-time.Duration(p.random.Int64N(int64(300*24*time.Hour)))))
		p.fill(kind, d)
		out = append(out, doc{uuid, d})
	}
	return out
}

func (p *population) fill(kind string, d map[string]any) {
	switch kind {
	case "event":
		d["category"] = []string{"action", "state", "alarm"}[p.random.IntN(3)]
		d["severity"] = []string{"low", "medium", "high"}[p.random.IntN(3)]
		d["content"] = map[string]any{"resource": map[string]any{"href": "nuvlabox/" + p.uuid()}, "state": "COMMISSIONED"}
	case "nuvlabox-status":
		d["online"] = p.random.IntN(10) > 0
		d["resources"] = map[string]any{"cpu": map[string]any{"capacity": 4, "load": p.random.Float64() * 4},
			"ram": map[string]any{"capacity": 3884, "used": 400 + p.random.IntN(3000)}}
		d["parent"] = "nuvlabox/" + p.uuid()
	case "nuvlabox":
		d["name"] = fmt.Sprintf("edge %s %04d", places[p.random.IntN(len(places))], p.random.IntN(10000))
		d["state"] = "COMMISSIONED"
		d["refresh-interval"] = 60
	case "deployment":
		d["state"] = []string{"STARTED", "STOPPED", "ERROR"}[p.random.IntN(3)]
		d["module"] = map[string]any{"href": "module/" + p.uuid(), "version": p.random.IntN(30)}
	case "module":
		d["path"] = fmt.Sprintf("apps/%s/app-%04d", places[p.random.IntN(len(places))], p.random.IntN(10000))
		d["subtype"] = "application"
	case "user":
		d["name"] = fmt.Sprintf("operator-%05d@example.com", p.random.IntN(100000))
		d["state"] = "ACTIVE"
	}
}

func (p *population) common(kind, uuid string, created time.Time) map[string]any {
	owner := "user/" + p.uuid()
	return map[string]any{
		"id": kind + "/" + uuid, "resource-type": kind, "created": p.stamp(created), "updated": p.stamp(created), "created-by": owner,
		"acl": map[string]any{"owners": []string{"group/nuvla-admin"}, "view-data": []string{owner}, "manage": []string{owner}},
	}
}

func (p *population) stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func (p *population) uuid() string {
	a, b := p.random.Uint64(), p.random.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>48&0x3fff|0x8000, b&0xffffffffffff)
}
