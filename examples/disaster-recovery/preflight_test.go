package main

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/nuvla/nuvlaops"
)

// elasticsearchThatSays answers everything so.
func elasticsearchThatSays(t *testing.T, status int, answer string) (address string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// Each part of it has its own tests; here, what one of them finds ends the whole.
func TestWhateverStandsInTheWayEndsThePreflight(t *testing.T) {
	const dead = "http://127.0.0.1:1"
	denies := elasticsearchThatSays(t, http.StatusUnauthorized, `{"error":{"type":"security_exception","reason":"unable to authenticate"},"status":401}`)
	for name, tt := range map[string]struct {
		cfg     config
		es      string
		core    []string
		disks   *disks
		refused string
	}{
		"nothing":                      {config{}, dead, coreServices, nil, ""},
		"a wrong password":             {config{}, denies, coreServices, nil, "ES_PASSWORD"},
		"a core that is gone":          {config{}, dead, nil, nil, "-core-compose"},
		"a core that is not stopped":   {config{skip: []string{"stop-core"}}, dead, coreServices, nil, "stop it first"},
		"no room for what is restored": {config{}, dead, coreServices, &disks{restored: 100, free: 1, nodes: 1}, "make room"},
		"no queue for the documents":   {config{only: onlyES}, dead, coreServices, nil, "no ZooKeeper answers"},
		"no documents for the queue":   {config{only: onlyZK}, dead, coreServices, nil, "no Elasticsearch answers"},
	} {
		r := takenUp(t)
		tt.cfg.db, tt.cfg.core, tt.cfg.repository, tt.cfg.es, tt.cfg.indices = "db", "nuvla", "r", tt.es, []string{"nuvla-*"}
		r.cfg, r.found.disks, r.zk = &tt.cfg, tt.disks, zookeeper{hosts: []string{"127.0.0.1:1"}}
		r.stacks = swarmOf(t, map[string]string{"/services": "[" + strings.Trim(servicesOf("db", dbServices...)+","+servicesOf("nuvla", tt.core...), ",") + "]", "/tasks": "[]", "/networks": "[]"})
		if err := r.talkTo(tt.es); err != nil {
			t.Fatal(err)
		}
		err := r.preflight(t.Context())
		if errors.Is(err, nuvlaops.ErrRefused) != (tt.refused != "") || err != nil && !strings.Contains(err.Error(), tt.refused) {
			t.Errorf("%s: %v, want it refused for %q", name, err, tt.refused)
		}
		if r.page.Ready != (tt.refused == "") {
			t.Errorf("%s: the page says that it is ready: %t\n%s", name, r.page.Ready, r.page.String())
		}
	}
}

// An image with a digest is started as it is; of another one, the registry is asked first.
func TestImagesWithoutADigestAreNamed(t *testing.T) {
	for image, named := range map[string]bool{"nuvla/es:8.11.3.0": true, "nuvla/es:8.11.3.0@sha256:" + strings.Repeat("0", 64): false} {
		r := planned(t)
		for i := range r.found.db.Services {
			r.found.db.Services[i].Image = image
		}
		r.found.core.Services = nil
		r.page.Checks = nil
		if r.noteImages(); (len(r.page.Checks) == 1 && strings.Contains(r.page.Checks[0].Text, image+". ")) != named || len(r.page.Checks) > 1 {
			t.Errorf("%s: %+v, want it named: %t", image, r.page.Checks, named)
		}
	}
}

// What the recovery has lost is counted from then.
func TestTheNewestTimeOfAllFieldsIsKept(t *testing.T) {
	r := takenUp(t)
	r.cfg.repository = "r"
	if err := r.talkTo(elasticsearchThatSays(t, http.StatusOK, `{"aggregations":{"updated":{"newest":{"value":1000}},"created":{"newest":{"value":3000}},"timestamp":{"newest":{"value":2000}},"@timestamp":{"newest":{"value":null}}}}`)); err != nil {
		t.Fatal(err)
	}
	if said, err := r.newest(t.Context()); err != nil || said != "1970-01-01T00:00:03Z" || !r.remembered().Newest.Equal(time.Unix(3, 0)) {
		t.Errorf("it says %q and keeps %s, %v", said, r.remembered().Newest, err)
	}
}
