package es

import (
	"net/http"
	"net/url"
	"sync/atomic"

	"github.com/elastic/elastic-transport-go/v8/elastictransport"

	"github.com/nuvla/nuvlaops"
)

// Access says where an Elasticsearch is, and who asks. Without credentials, those of the first address count.
type Access struct {
	Addresses          []string // of one cluster, as http://HOST:PORT
	APIKey             string
	Username, Password string
	Transport          http.RoundTripper // default: http.DefaultTransport
}

// Transport is a Client over go-elasticsearch's own transport, without retries. go-elasticsearch's clients do the same, and
// bring a package for each part of the API along, which nobody here uses: two thirds of all that had to be compiled.
type Transport struct {
	http  *elastictransport.Client
	known atomic.Bool // it has said that it is an Elasticsearch
}

// Dial makes a client. It sends nothing.
func Dial(a Access) (*Transport, error) {
	opts := []elastictransport.Option{elastictransport.WithDisableRetry()}
	var urls []*url.URL
	for _, address := range a.Addresses {
		u, err := url.Parse(address)
		if err != nil {
			return nil, &nuvlaops.Error{Reason: "an address is not a URL", Err: nuvlaops.ErrInvalid}
		}
		if u.User != nil && a.Username == "" {
			a.Username = u.User.Username()
			a.Password, _ = u.User.Password()
		}
		urls = append(urls, u)
	}
	opts = append(opts, elastictransport.WithURLs(urls...))
	switch {
	case a.APIKey != "":
		opts = append(opts, elastictransport.WithAPIKey(a.APIKey))
	case a.Username != "" || a.Password != "":
		opts = append(opts, elastictransport.WithBasicAuth(a.Username, a.Password))
	}
	if a.Transport != nil {
		opts = append(opts, elastictransport.WithTransport(a.Transport))
	}
	client, err := elastictransport.NewClient(opts...)
	if err != nil {
		return nil, &nuvlaops.Error{Err: err}
	}
	return &Transport{http: client}, nil
}

// Perform sends a request. The first answer that is a success must say that it comes from an Elasticsearch, as
// go-elasticsearch asks for: something else that speaks the same API would take backups that nobody has tried.
func (t *Transport) Perform(req *http.Request) (*http.Response, error) {
	res, err := t.http.Perform(req)
	if err != nil || t.known.Load() || res.StatusCode < 200 || res.StatusCode > 299 {
		return res, err
	}
	if product := res.Header.Get("X-Elastic-Product"); product != "Elasticsearch" {
		_ = res.Body.Close()
		return nil, &nuvlaops.Error{Resource: req.URL.Host, Status: res.StatusCode, Err: nuvlaops.ErrUnsupported,
			Reason: "what answers is not an Elasticsearch: it sends no header X-Elastic-Product", Hint: "check the address, and what stands between"}
	}
	t.known.Store(true)
	return res, nil
}
