package testenv_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/nuvla/nuvlaops/internal/testenv"
)

// The second PUT is carried out, but its reply is lost: what must a client do that cannot know?
func ExampleProxy() {
	done := 0
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { done++ }))
	defer server.Close()
	proxy, err := testenv.NewHTTPProxy(server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer proxy.Close()
	proxy.Inject(testenv.Fault{
		Match: func(r testenv.Request) bool { return r.Method == http.MethodPut },
		Nth:   2,
		Do:    testenv.CutAfter,
	})
	for range 3 {
		req, _ := http.NewRequest(http.MethodPut, proxy.URL()+"/_snapshot/repo/one", nil)
		_, err := http.DefaultClient.Do(req)
		fmt.Println("error:", err != nil)
	}
	fmt.Println("done:", done)
	// Output:
	// error: false
	// error: true
	// error: false
	// done: 3
}
