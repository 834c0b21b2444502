package es_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
)

// serve is a server that notes who asked, and answers as told.
func serve(t *testing.T, product string, status int) (url string, asked *[]string) {
	asked = new([]string)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.Header.Get("Authorization"))
		if product != "" {
			w.Header().Set("X-Elastic-Product", product)
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte("{}"))
	}))
	t.Cleanup(s.Close)
	return s.URL, asked
}

func TestWhatIsNoElasticsearchIsRefusedAndAskedOnce(t *testing.T) {
	url, asked := serve(t, "", http.StatusOK)
	client, err := es.Dial(es.Access{Addresses: []string{url}})
	if err != nil {
		t.Fatal(err)
	}
	err = (&es.Conn{Client: client}).Read(t.Context(), health, nil)
	var e *nuvlaops.Error
	if !errors.Is(err, nuvlaops.ErrUnsupported) || errors.Is(err, nuvlaops.ErrUnavailable) || !errors.As(err, &e) || e.Hint == "" {
		t.Errorf("%v", err)
	}
	if e.Op != "" {
		t.Errorf("Op %q: it is for the exported call to name itself", e.Op)
	}
	if len(*asked) != 1 {
		t.Errorf("asked %d times", len(*asked))
	}
}

// A proxy in front answers failures, and it need not say what it stands for.
func TestAFailureNeedNotComeFromElasticsearch(t *testing.T) {
	url, asked := serve(t, "", http.StatusServiceUnavailable)
	client, err := es.Dial(es.Access{Addresses: []string{url}})
	if err != nil {
		t.Fatal(err)
	}
	if err := es.Send(t.Context(), client, health(), nil); !errors.Is(err, nuvlaops.ErrUnavailable) || len(*asked) != 1 {
		t.Errorf("%v, asked %d times: the transport repeats nothing", err, len(*asked))
	}
}

func TestWhoAsksIsSaidToTheServerAndInNoError(t *testing.T) {
	url, asked := serve(t, "Elasticsearch", http.StatusOK)
	host := strings.TrimPrefix(url, "http://")
	for _, tt := range []struct {
		access es.Access
		want   string
	}{
		{es.Access{Addresses: []string{url}}, ""},
		{es.Access{Addresses: []string{url}, Username: "u", Password: "p"}, "Basic dTpw"},
		{es.Access{Addresses: []string{"http://u:p@" + host}}, "Basic dTpw"},
		{es.Access{Addresses: []string{url}, APIKey: "k", Username: "u"}, "APIKey k"},
	} {
		client, err := es.Dial(tt.access)
		if err != nil {
			t.Fatal(err)
		}
		*asked = nil
		if err := es.Send(t.Context(), client, health(), nil); err != nil || len(*asked) != 1 || (*asked)[0] != tt.want {
			t.Errorf("%v, asked as %q, want %q", err, *asked, tt.want)
		}
	}
	if _, err := es.Dial(es.Access{Addresses: []string{"http://u:secret@%"}}); !errors.Is(err, nuvlaops.ErrInvalid) || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
}
