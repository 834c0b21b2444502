package images_test

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/nuvla/nuvlaops/internal/testenv/images"
)

//go:embed testdata/s3_proxy.py
var proxyScript string

// pair is an Elasticsearch and an S3 server that it can reach, with a bucket "backups".
type pair struct {
	es      container
	s3      s3Server
	network string
	version string
}

// TestAssembledElasticsearch holds the assembled server to what the official image does, and its s3 fixture to the
// official module. All of it shares one server of each version: a start costs more than all the rest.
func TestAssembledElasticsearch(t *testing.T) {
	for _, version := range []string{images.ElasticsearchVersion, images.Elasticsearch9Version} {
		t.Run(version, func(t *testing.T) {
			network := newNetwork(t)
			p := pair{network: network, version: version, s3: startS3(t, network)}
			p.es = startElasticsearch(t, network, assembled(t, images.Spec{Name: images.Elasticsearch, Version: version}), variables...)
			p.s3.makeBucket(t, "backups")
			t.Run("variables become settings and secrets keys", func(t *testing.T) { testVariables(t, p.es, "false") })
			t.Run("broken repositories fail as with the official module", p.testBrokenRepositories)
			t.Run("a snapshot is taken, listed, restored and deleted", p.testRoundTrip)
			t.Run("an upload that fails is aborted", p.testAbort)
			t.Run("a read that breaks off goes on where it was", p.testResume)
			t.Run("keys are read again from the keystore and never shown", p.testReload)
			if version == images.ElasticsearchVersion {
				t.Run("its classes come from the archive in the image", func(t *testing.T) { testArchive(t, p.es) })
				t.Run("data outlives a restart", func(t *testing.T) { testRestart(t, p.es) })
			}
		})
	}
}

func startElasticsearch(t *testing.T, network, ref string, env ...string) container {
	t.Helper()
	es := start(t, network, ref, images.ElasticsearchPort, env, secrets())
	eventually(t, "Elasticsearch", func() error {
		a, err := try(t, http.MethodGet, es.url+"/_cluster/health", "")
		if err == nil && a.status != http.StatusOK {
			err = fmt.Errorf("%s", a)
		}
		return err
	})
	return es
}

// settings of a repository; nil takes one of the defaults away.
type settings map[string]any

func (p pair) settings(changes settings) settings {
	all := settings{"bucket": "backups", "endpoint": "http://" + p.s3.host + ":9222", "path_style_access": true, "max_retries": 0}
	for key, value := range changes {
		if all[key] = value; value == nil {
			delete(all, key)
		}
	}
	return all
}

func (p pair) register(t *testing.T, name string, changes settings) answer {
	t.Helper()
	body, err := json.Marshal(map[string]any{"type": "s3", "settings": p.settings(changes)})
	if err != nil {
		t.Fatal(err)
	}
	return send(t, http.MethodPut, p.es.url+"/_snapshot/"+name, string(body))
}

// put registers a repository that must work.
func (p pair) put(t *testing.T, name string, changes settings) {
	t.Helper()
	if a := p.register(t, name, changes); a.status != http.StatusOK {
		t.Fatalf("register %s: %s", name, a)
	}
}

// proxy starts a way to the S3 server with a fault and returns its endpoint.
func (p pair) proxy(t *testing.T, fault string) (container, string) {
	t.Helper()
	c := start(t, p.network, assembled(t, images.Spec{Name: images.Consumer}), 9223,
		[]string{"FAULT=" + fault, "TARGET=" + p.s3.host + ":9222"},
		map[string]string{"proxy.py": proxyScript}, "python3", "/proxy.py", "9223")
	eventually(t, "proxy", func() error {
		_, err := c.try(t)
		return err
	})
	return c, "http://" + c.host + ":9223"
}

// try connects from within the network: what Elasticsearch will do.
func (c container) try(t *testing.T) (string, error) {
	out := c.exec(t, "python3", "-c", "import socket\ntry: socket.create_connection(('127.0.0.1', 9223)); print('up')\nexcept OSError as e: print(e)")
	if out != "up" {
		return "", fmt.Errorf("%s", out)
	}
	return out, nil
}

// chain is every type and reason from the outermost error to the innermost.
func chain(a answer) string {
	var all []string
	value := a.get("error")
	for value != nil {
		object, ok := value.(map[string]any)
		if !ok {
			break
		}
		all = append(all, fmt.Sprintf("%v: %v", object["type"], object["reason"]))
		value = object["caused_by"]
	}
	return strings.Join(all, "\n")
}

func (p pair) testBrokenRepositories(t *testing.T) {
	_, silent := p.proxy(t, "silent")
	host := p.s3.host
	sdk1 := p.version == images.ElasticsearchVersion // later ones have the second SDK, whose texts are others
	either := func(v1, v2 string) string {
		if sdk1 {
			return v1
		}
		return v2
	}
	for name, c := range map[string]struct {
		settings settings
		types    []string // outermost first, nothing left out
		reason   string   // of the innermost
		gone     bool     // not registered afterwards; later versions take back what they cannot verify
	}{
		"missing bucket": {
			settings: settings{"bucket": "nobody-made-it"},
			types:    []string{"repository_verification_exception", "i_o_exception", either("amazon_s3_exception", "no_such_bucket_exception")},
			reason: either(`The specified bucket does not exist.* \(Service: Amazon S3; Status Code: 404; Error Code: NoSuchBucket; Request ID: .+; S3 Extended Request ID: .+; Proxy: null\)`,
				`The specified bucket does not exist.* \(Service: S3, Status Code: 404, Request ID: .+\)`),
		},
		"refused endpoint": {
			settings: settings{"endpoint": "http://" + host + ":1"},
			types:    []string{"repository_verification_exception", "i_o_exception", "sdk_client_exception", "connect_exception"},
			reason:   `Connection refused`,
		},
		"unknown host": {
			settings: settings{"endpoint": "http://nobody.invalid:9222"},
			types:    []string{"repository_verification_exception", "i_o_exception", "sdk_client_exception", "sdk_client_exception", "unknown_host_exception"},
			reason:   `nobody\.invalid`,
		},
		"https to a plain port": {
			settings: settings{"endpoint": "https://" + host + ":9222"},
			types:    []string{"repository_verification_exception", "i_o_exception", "sdk_client_exception", "s_s_l_exception"},
			reason:   `SSL`,
		},
		"https is assumed without a scheme": {
			settings: settings{"endpoint": host + ":9222"},
			types:    []string{"repository_verification_exception", "i_o_exception", "sdk_client_exception", "s_s_l_exception"},
			reason:   `SSL`,
		},
		"endpoint that never answers": {
			settings: settings{"endpoint": silent, "read_timeout": "1s"},
			types:    []string{"repository_verification_exception", "i_o_exception", "sdk_client_exception", "socket_timeout_exception"},
			reason:   `Read timed out`,
		},
		"region that the server is not in": {
			settings: settings{"region": "eu-west-1"},
			types:    []string{"repository_verification_exception", "i_o_exception", either("amazon_s3_exception", "s3_exception")},
			reason:   either(`Status Code: 400; Error Code: AuthorizationHeaderMalformed`, `the region "eu-west-1" is wrong`),
		},
		"no bucket": {
			settings: settings{"bucket": nil},
			types:    []string{"repository_exception", "repository_exception"},
			reason:   `No bucket defined for s3 repository`,
			gone:     true,
		},
		"access key among the settings": {
			settings: settings{"access_key": "A", "secret_key": "B"},
			types:    []string{"repository_verification_exception", "illegal_argument_exception"},
			reason:   `Setting \[access_key\] is insecure`,
		},
		"unknown client": {
			settings: settings{"client": "nobody"},
			types:    []string{"repository_verification_exception", "illegal_argument_exception"},
			reason:   `Unknown s3 client name \[nobody\]\. Existing client configs: default`,
		},
		"parts below the limit of S3": {
			settings: settings{"buffer_size": "1mb"},
			types:    []string{"repository_exception", "illegal_argument_exception"},
			reason:   `\[buffer_size\], must be >= \[5mb\]`,
			gone:     true,
		},
		"unknown storage class": {
			settings: settings{"storage_class": "cellar"},
			types:    []string{"repository_exception", "blob_store_exception"},
			reason:   "`cellar` is not a valid S3 Storage Class",
			gone:     true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			repository := strings.ReplaceAll(name, " ", "_")
			a := p.register(t, repository, c.settings)
			if a.status != http.StatusInternalServerError {
				t.Fatalf("status: %s", a)
			}
			got := strings.Split(chain(a), "\n")
			var types []string
			for _, line := range got {
				kind, _, _ := strings.Cut(line, ": ")
				types = append(types, kind)
			}
			if strings.Join(types, " ") != strings.Join(c.types, " ") {
				t.Errorf("types %v, want %v", types, c.types)
			}
			if innermost := got[len(got)-1]; !regexp.MustCompile(c.reason).MatchString(innermost) {
				t.Errorf("innermost %q, want %q", innermost, c.reason)
			}
			want := http.StatusOK
			if c.gone || !sdk1 {
				want = http.StatusNotFound
			}
			if a := send(t, http.MethodGet, p.es.url+"/_snapshot/"+repository, ""); a.status != want {
				t.Errorf("afterwards the repository answers %s, want %d", a, want)
			}
			// A restore asks every repository for its id, broken ones too, and would wait for each.
			send(t, http.MethodDelete, p.es.url+"/_snapshot/"+repository, "")
		})
	}
}

func (p pair) testRoundTrip(t *testing.T) {
	p.put(t, "r", settings{"base_path": "nuvla/prod", "canned_acl": "private", "storage_class": "standard_ia",
		"server_side_encryption": true, "buffer_size": "5mb", "chunk_size": "1gb", "region": "us-east-1", "max_snapshot_bytes_per_sec": "1gb"})
	const documents = 12_000 // of a kilobyte that cannot be compressed: more than two parts
	p.fill(t, "nuvla-big", documents)
	ok(t, http.MethodPut, p.es.url+"/nuvla-small/_doc/1?refresh=true", `{"a":1}`)

	taken := ok(t, http.MethodPut, p.es.url+"/_snapshot/r/first?wait_for_completion=true", `{"indices":"nuvla-*"}`)
	if taken.get("snapshot", "state") != "SUCCESS" {
		t.Fatalf("snapshot: %s", taken)
	}
	p.multipart(t, "nuvla/prod/")
	if n := p.s3.uploads(t, "backups"); n != 0 {
		t.Errorf("%d uploads were left open", n)
	}
	ok(t, http.MethodPut, p.es.url+"/_snapshot/r/second?wait_for_completion=true", `{"indices":"nuvla-small"}`)
	if list := ok(t, http.MethodGet, p.es.url+"/_snapshot/r/_all", ""); list.get("snapshots", 1, "snapshot") != "second" {
		t.Errorf("list: %s", list)
	}
	ok(t, http.MethodPost, p.es.url+"/_snapshot/r/_verify", "")

	ok(t, http.MethodDelete, p.es.url+"/nuvla-big,nuvla-small", "")
	restored := ok(t, http.MethodPost, p.es.url+"/_snapshot/r/first/_restore?wait_for_completion=true", "")
	if restored.get("snapshot", "shards", "failed") != float64(0) {
		t.Errorf("restore: %s", restored)
	}
	if count := ok(t, http.MethodGet, p.es.url+"/nuvla-big/_count", ""); count.get("count") != float64(documents) {
		t.Errorf("count: %s", count)
	}

	p.deletesAll(t)
}

// multipart checks that something was uploaded in parts: then the tag of an object ends in how many.
func (p pair) multipart(t *testing.T, prefix string) {
	t.Helper()
	for _, o := range p.s3.objects(t, "backups", prefix) {
		if regexp.MustCompile(`-[0-9]+"?$`).MatchString(o.ETag) && o.Size > 5<<20 {
			return
		}
	}
	t.Errorf("no object was uploaded in parts: %v", p.s3.objects(t, "backups", prefix))
}

// deletesAll deletes both snapshots: what stays is what says that the repository is empty.
func (p pair) deletesAll(t *testing.T) {
	t.Helper()
	ok(t, http.MethodDelete, p.es.url+"/_snapshot/r/first,second", "")
	eventually(t, "objects of deleted snapshots", func() error { // deleted in the background from 8.15 on
		for _, o := range p.s3.objects(t, "backups", "nuvla/prod/") {
			if !regexp.MustCompile(`^nuvla/prod/index(-\d+|\.latest)$`).MatchString(o.Key) {
				return fmt.Errorf("%s is still there", o.Key)
			}
		}
		return nil
	})
	ok(t, http.MethodPost, p.es.url+"/_snapshot/r/_cleanup", "")
}

func (p pair) testReload(t *testing.T) {
	p.put(t, "keys", settings{"base_path": "keys"})
	verify := func() answer { return send(t, http.MethodPost, p.es.url+"/_snapshot/keys/_verify", "") }
	change := func(secret, value string) {
		p.es.exec(t, "sh", "-c", "printf %s \"$0\" >/run/secrets/"+secret, value)
		docker(t, "exec", p.es.id, images.ElasticsearchKeystore)
		ok(t, http.MethodPost, p.es.url+"/_nodes/reload_secure_settings", "")
	}
	refused := func(code, text string) {
		t.Helper()
		want := text
		if p.version == images.ElasticsearchVersion {
			want = `Status Code: 403; Error Code: ` + code
		}
		if a := verify(); a.status != http.StatusInternalServerError || !regexp.MustCompile(want).MatchString(chain(a)) {
			t.Errorf("want %q, got %s", want, a)
		}
	}
	change("s3_secret_key", "wrong-secret-of-this-test")
	refused("SignatureDoesNotMatch", "s3_exception: The request signature we calculated does not match")
	change("s3_secret_key", secretKey)
	if a := verify(); a.status != http.StatusOK {
		t.Errorf("with the right secret again: %s", a)
	}
	change("s3_access_key", "NOBODY")
	refused("InvalidAccessKeyId", "s3_exception: The .*[Aa]ccess .*[Kk]ey .*does not exist")
	said := p.es.logs(t) + ok(t, http.MethodGet, p.es.url+"/_nodes/settings", "").String() + ok(t, http.MethodGet, p.es.url+"/_snapshot", "").String()
	for _, secret := range []string{secretKey, "wrong-secret-of-this-test"} {
		if strings.Contains(said, secret) {
			t.Errorf("the secret key is there: %s", said)
		}
	}
}

func (p pair) testAbort(t *testing.T) {
	proxy, endpoint := p.proxy(t, "refuse-part-2")
	p.put(t, "aborts", settings{"endpoint": endpoint, "base_path": "aborts", "buffer_size": "5mb"})
	p.fill(t, "aborts", 8_000)
	a := send(t, http.MethodPut, p.es.url+"/_snapshot/aborts/s?wait_for_completion=true", `{"indices":"aborts","partial":true}`)
	if a.get("snapshot", "state") != "FAILED" && a.get("snapshot", "state") != "PARTIAL" {
		t.Errorf("snapshot: %s", a)
	}
	if logs := proxy.logs(t); !regexp.MustCompile(`DELETE \S+uploadId=\S* 204`).MatchString(logs) {
		t.Errorf("no upload was aborted: %s", logs)
	}
	if n := p.s3.uploads(t, "backups"); n != 0 {
		t.Errorf("%d uploads were left open", n)
	}
}

func (p pair) testResume(t *testing.T) {
	proxy, endpoint := p.proxy(t, "cut-get")
	p.put(t, "resumes", settings{"endpoint": endpoint, "base_path": "resumes", "max_retries": 3})
	p.fill(t, "resumes", 8_000)
	ok(t, http.MethodPut, p.es.url+"/_snapshot/resumes/s?wait_for_completion=true", `{"indices":"resumes"}`)
	ok(t, http.MethodDelete, p.es.url+"/resumes", "")
	restored := ok(t, http.MethodPost, p.es.url+"/_snapshot/resumes/s/_restore?wait_for_completion=true", "")
	if restored.get("snapshot", "shards", "failed") != float64(0) {
		t.Errorf("restore: %s", restored)
	}
	if count := ok(t, http.MethodGet, p.es.url+"/resumes/_count", ""); count.get("count") != float64(8_000) {
		t.Errorf("count: %s", count)
	}
	if !strings.Contains(proxy.logs(t), "CUT /backups/") {
		t.Error("nothing was cut: this test proves nothing")
	}
}

// fill makes an index of one shard and one segment.
func (p pair) fill(t *testing.T, index string, documents int) {
	t.Helper()
	ok(t, http.MethodPut, p.es.url+"/"+index, `{"settings":{"number_of_shards":1,"number_of_replicas":0},"mappings":{"enabled":false}}`)
	random := rand.New(rand.NewPCG(1, 2))
	for left := documents; left > 0; {
		var bulk strings.Builder
		for range min(left, 2_000) {
			bulk.WriteString("{\"index\":{}}\n{\"x\":\"")
			for range 64 {
				fmt.Fprintf(&bulk, "%016x", random.Uint64())
			}
			bulk.WriteString("\"}\n")
			left--
		}
		if a := ok(t, http.MethodPost, p.es.url+"/"+index+"/_bulk", bulk.String()); a.get("errors") != false {
			t.Fatalf("bulk: %.500s", a.body)
		}
	}
	ok(t, http.MethodPost, p.es.url+"/"+index+"/_forcemerge?max_num_segments=1", "")
	ok(t, http.MethodPost, p.es.url+"/"+index+"/_refresh", "")
}
