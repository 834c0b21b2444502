package cli

import (
	"net/url"
	"os"
	"strings"

	"github.com/nuvla/nuvlaops/internal/es"
)

// Elasticsearch makes a client for one address, or for several of one cluster. The port defaults to 9200. Credentials come
// from the environment, never from an argument: ES_API_KEY, or ES_USERNAME and ES_PASSWORD. The client
// repeats nothing: the SDK has one retry layer.
func Elasticsearch(addresses ...string) (*es.Transport, error) {
	var full []string
	for _, address := range addresses {
		a, err := checkAddress(address)
		if err != nil {
			return nil, err
		}
		full = append(full, a)
	}
	if len(full) == 0 {
		return nil, Usagef("no address of Elasticsearch")
	}
	access := es.Access{Addresses: full, APIKey: os.Getenv("ES_API_KEY"), Username: os.Getenv("ES_USERNAME"), Password: os.Getenv("ES_PASSWORD")}
	if access.APIKey == "" && (access.Username == "") != (access.Password == "") {
		return nil, Usagef("want both ES_USERNAME and ES_PASSWORD, or neither")
	}
	return es.Dial(access)
}

// checkAddress completes an address, or says what is wrong with it.
func checkAddress(address string) (string, error) {
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Hostname() == "":
		return "", Usagef("%q is not an address of Elasticsearch: want http://HOST:PORT", redact(address))
	case u.Scheme != "http" && u.Scheme != "https":
		return "", Usagef("%q is not an address of Elasticsearch: the scheme is http or https", redact(address))
	case u.User != nil:
		return "", Usagef("credentials do not belong into the address: set ES_USERNAME and ES_PASSWORD, or ES_API_KEY")
	}
	if u.Port() == "" {
		u.Host += ":9200"
	}
	return u.String(), nil
}

// redact cuts off what may be a password.
func redact(address string) string {
	if i := strings.LastIndex(address, "@"); i >= 0 {
		return "..." + address[i:]
	}
	return address
}
