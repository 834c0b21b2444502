package cli

import (
	"net/url"
	"os"
	"strings"

	"github.com/elastic/go-elasticsearch/v8"
)

// Elasticsearch makes a client for one address. Credentials come from the environment, never from an argument:
// ES_API_KEY, or ES_USERNAME and ES_PASSWORD. The client's own retries are off: the SDK has one retry layer.
func Elasticsearch(address string) (*elasticsearch.Client, error) {
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "":
		return nil, Usagef("%q is not an address of Elasticsearch: want http://HOST:PORT", redact(address))
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, Usagef("%q is not an address of Elasticsearch: the scheme is http or https", redact(address))
	case u.User != nil:
		return nil, Usagef("credentials do not belong into the address: set ES_USERNAME and ES_PASSWORD, or ES_API_KEY")
	}
	return elasticsearch.NewClient(elasticsearch.Config{
		Addresses:    []string{address},
		APIKey:       os.Getenv("ES_API_KEY"),
		Username:     os.Getenv("ES_USERNAME"),
		Password:     os.Getenv("ES_PASSWORD"),
		DisableRetry: true,
	})
}

// redact cuts off what may be a password.
func redact(address string) string {
	if i := strings.LastIndex(address, "@"); i >= 0 {
		return "..." + address[i:]
	}
	return address
}
