package es_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"
	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
)

type client func(*http.Request) (*http.Response, error)

func (c client) Perform(r *http.Request) (*http.Response, error) { return c(r) }

func answers(status int, body string) client {
	return func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body))}, nil
	}
}

func health() esapi.Request { return esapi.ClusterHealthRequest{} }

// noBucket is what 8.11.3 answers when the bucket of a repository does not exist.
const noBucket = `{"error":{"root_cause":[{"type":"repository_verification_exception","reason":"[r] path  is not accessible on master node"}],
"type":"repository_verification_exception","reason":"[r] path  is not accessible on master node",
"caused_by":{"type":"i_o_exception","reason":"Unable to upload object [tests-x/master.dat] using a single upload",
"caused_by":{"type":"amazon_s3_exception","reason":"The specified bucket does not exist (Service: Amazon S3; Status Code: 404; Error Code: NoSuchBucket; Request ID: 1)"}}},"status":500}`

func TestAnErrorIsDecodedWhateverItsBodyIs(t *testing.T) {
	tests := []struct {
		name   string
		status int
		body   string
		typ    string
		reason string
		kind   error
	}{
		{"innermost cause", 500, noBucket, "repository_verification_exception",
			"The specified bucket does not exist (Service: Amazon S3; Status Code: 404; Error Code: NoSuchBucket; Request ID: 1)", nuvlaops.ErrRepository},
		{"read-only, as 9.x says it", 400, `{"error":{"type":"illegal_argument_exception","reason":"[r] cannot create snapshot in a readonly repository"}}`,
			"illegal_argument_exception", "[r] cannot create snapshot in a readonly repository", nuvlaops.ErrRepository},
		{"only a root cause", 404, `{"error":{"root_cause":[{"type":"snapshot_missing_exception","reason":"[r:s] is missing"}],"type":"snapshot_missing_exception","reason":"[r:s] is missing"},"status":404}`,
			"snapshot_missing_exception", "[r:s] is missing", nuvlaops.ErrNotFound},
		{"what other nodes than the master found", 500, `{"error":{"root_cause":[{"type":"repository_verification_exception","reason":"[r] [[id, 'RemoteTransportException: [n]']]"}],
"type":"repository_verification_exception","reason":"[r] [[id, 'RemoteTransportException: [n]']]","suppressed":[{"type":"repository_verification_exception","reason":"not accessible on the node",
"caused_by":{"type":"sdk_client_exception","reason":"Unable to load credentials"}}]},"status":500}`, "repository_verification_exception", "Unable to load credentials", nuvlaops.ErrRepository},
		{"a text", 405, `{"error":"Incorrect HTTP method for uri [/] and method [GET], allowed: []","status":405}`, "",
			"Incorrect HTTP method for uri [/] and method [GET], allowed: []", nuvlaops.ErrUnsupported},
		{"no handler", 400, `{"error":"no handler found for uri [/_ilm/status] and method [GET]"}`, "",
			"no handler found for uri [/_ilm/status] and method [GET]", nuvlaops.ErrUnsupported},
		{"a proxy's page", 502, "<html><head><title>502 Bad Gateway</title></head></html>", "",
			`HTTP 502 Bad Gateway, a page that is not Elasticsearch's: "502 Bad Gateway"`, nuvlaops.ErrUnavailable},
		{"empty", 504, "", "", "HTTP 504 Gateway Timeout with an empty body", nuvlaops.ErrUnavailable},
		{"text", 503, "no upstream\nline two", "", `HTTP 503 Service Unavailable, not Elasticsearch's own answer: "no upstream"`, nuvlaops.ErrUnavailable},
		{"JSON of another service", 401, `{"message":"who are you"}`, "", `HTTP 401 Unauthorized, not Elasticsearch's own answer: "{\"message\":\"who are you\"}"`, nuvlaops.ErrDenied},
		{"a name that is taken", 400, `{"error":{"type":"snapshot_name_already_in_use_exception","reason":"[r:s] Invalid snapshot name [s], snapshot with the same name already exists"}}`,
			"snapshot_name_already_in_use_exception", "[r:s] Invalid snapshot name [s], snapshot with the same name already exists", nuvlaops.ErrExists},
		{"over the limit of concurrent snapshots", 503, `{"error":{"type":"concurrent_snapshot_execution_exception","reason":"too many"}}`,
			"concurrent_snapshot_execution_exception", "too many", nuvlaops.ErrBusy},
		{"an index that may not be changed", 403, `{"error":{"type":"cluster_block_exception","reason":"index [i] blocked by: [FORBIDDEN/5/index read-only (api)];"}}`,
			"cluster_block_exception", "index [i] blocked by: [FORBIDDEN/5/index read-only (api)];", nil},
		{"a cluster without a master", 503, `{"error":{"type":"cluster_block_exception","reason":"blocked by: [SERVICE_UNAVAILABLE/2/no master];"}}`,
			"cluster_block_exception", "blocked by: [SERVICE_UNAVAILABLE/2/no master];", nuvlaops.ErrUnavailable},
		{"restore of an unknown snapshot", 500, `{"error":{"type":"snapshot_restore_exception","reason":"[r:s] snapshot does not exist"}}`,
			"snapshot_restore_exception", "[r:s] snapshot does not exist", nuvlaops.ErrNotFound},
		{"no reason", 500, `{"error":{"type":"null_pointer_exception","reason":null}}`, "null_pointer_exception", "null_pointer_exception", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := es.Send(t.Context(), answers(tt.status, tt.body), health(), nil)
			var got *nuvlaops.Error
			if !errors.As(err, &got) {
				t.Fatalf("got %v, want an *nuvlaops.Error", err)
			}
			want := &nuvlaops.Error{Status: tt.status, Type: tt.typ, Reason: tt.reason}
			got2 := *got
			got2.Err = nil
			if diff := cmp.Diff(want, &got2); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if tt.kind != nil && !errors.Is(err, tt.kind) {
				t.Errorf("%v does not match %v", err, tt.kind)
			}
		})
	}
}

func TestTheS3CodeIsFoundInTheChain(t *testing.T) {
	err := es.Send(t.Context(), answers(500, noBucket), health(), nil)
	var s *es.ServerError
	if !errors.As(err, &s) || s.S3Code() != "NoSuchBucket" {
		t.Errorf("got %v, want the S3 code NoSuchBucket", err)
	}
}

// As 8.11.3 answers with security on.
func TestAServerThatDeniesSaysWhatToDo(t *testing.T) {
	for _, tt := range []struct {
		status       int
		reason, hint string
	}{
		{401, "unable to authenticate user [nuvla-backup] for REST request [/_cluster/health]", "user name and password"},
		{403, "action [cluster:admin/snapshot/delete] is unauthorized for user [nuvla-backup] with effective roles [nuvla-backup], this action is granted by the cluster privileges [manage,all]", "manage"},
	} {
		body, err := json.Marshal(map[string]any{"error": map[string]any{"type": "security_exception", "reason": tt.reason}})
		if err != nil {
			t.Fatal(err)
		}
		err = es.Send(t.Context(), answers(tt.status, string(body)), health(), nil)
		var got *nuvlaops.Error
		if !errors.As(err, &got) || !errors.Is(err, nuvlaops.ErrDenied) || got.Reason != tt.reason || !strings.Contains(got.Hint, tt.hint) {
			t.Errorf("%d: got %v, want ErrDenied with a hint on %q", tt.status, err, tt.hint)
		}
	}
}

func FuzzAnyBodyBecomesAnError(f *testing.F) {
	f.Add(noBucket)
	f.Add(`{"error":{"caused_by":{"caused_by":1}}}`)
	f.Add("<TITLE>İ</title>")
	f.Fuzz(func(t *testing.T, body string) {
		err := es.Send(t.Context(), answers(500, body), health(), nil)
		var e *nuvlaops.Error
		if !errors.As(err, &e) || e.Reason == "" || e.Status != 500 {
			t.Errorf("%q became %#v", body, err)
		}
	})
}

func TestAnAnswerThatIsNotElasticsearchsIsAnError(t *testing.T) {
	var out struct{ N int }
	err := es.Send(t.Context(), answers(200, "<html>login</html>"), health(), &out)
	if !errors.Is(err, nuvlaops.ErrUnsupported) {
		t.Errorf("got %v, want ErrUnsupported", err)
	}
}

type closing struct {
	io.Reader
	closed *int
}

func (c closing) Close() error { *c.closed++; return nil }

func TestEachAnswerIsReadAndClosed(t *testing.T) {
	for name, tc := range map[string]struct {
		status int
		body   string
		out    any
	}{
		"wanted": {200, `{"n":1}` + strings.Repeat(" ", 1000), new(struct{ N int })}, "not wanted": {200, strings.Repeat(" ", 100_000), nil},
		"no JSON": {200, "<html>", new(int)}, "an error": {500, noBucket, nil}, "no text": {204, "", nil},
	} {
		closed, body := 0, strings.NewReader(tc.body)
		c := client(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: tc.status, Body: closing{body, &closed}}, nil
		})
		_ = es.Send(t.Context(), c, health(), tc.out)
		if closed != 1 || body.Len() > 0 { // what is left costs the connection
			t.Errorf("%s: closed %d times, %d bytes left", name, closed, body.Len())
		}
	}
	bare := client(func(*http.Request) (*http.Response, error) { return &http.Response{StatusCode: 200}, nil })
	if err := es.Send(t.Context(), bare, health(), nil); err != nil {
		t.Errorf("a fake's answer without a body: %v", err)
	}
}

func TestReadsAreRepeatedAndWritesOnlyWhenTheyWereNotCarriedOut(t *testing.T) {
	refused := fmt.Errorf("dial: %w", &net.OpError{Op: "dial", Err: errors.New("connection refused")})
	reset := &net.OpError{Op: "read", Err: errors.New("connection reset by peer")}
	tests := []struct {
		name        string
		fail        client
		read, write int // calls until it succeeds, 1 when it is not repeated
	}{
		{"not connected", func(*http.Request) (*http.Response, error) { return nil, refused }, 2, 2},
		{"reply lost", func(*http.Request) (*http.Response, error) { return nil, reset }, 2, 1},
		{"429", answers(429, ""), 2, 2},
		{"502", answers(502, ""), 2, 1},
		{"503", answers(503, ""), 2, 1},
		{"504", answers(504, "<html>"), 2, 1},
		{"500", answers(500, ""), 1, 1},
		{"404", answers(404, ""), 1, 1},
		{"busy", answers(503, `{"error":{"type":"concurrent_snapshot_execution_exception","reason":"x"}}`), 1, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				conn := &es.Conn{Client: client(func(r *http.Request) (*http.Response, error) {
					if calls++; calls == 1 {
						return tt.fail(r)
					}
					return answers(200, "{}")(r)
				})}
				count := func(send func(context.Context, es.Request, any) error) int {
					calls = 0
					_ = send(t.Context(), health, nil)
					return calls
				}
				if diff := cmp.Diff([]int{tt.read, tt.write, tt.read}, []int{count(conn.Read), count(conn.Write), count(conn.WriteIdempotent)}); diff != "" {
					t.Errorf("calls of Read, Write, WriteIdempotent (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestAContextEndsARequestThatIsNeverAnswered(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer server.Close()
	defer close(release)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	host := strings.TrimPrefix(server.URL, "http://")
	conn := &es.Conn{Client: client(func(r *http.Request) (*http.Response, error) {
		r.URL.Scheme, r.URL.Host = "http", host
		return http.DefaultTransport.RoundTrip(r)
	})}
	if err := conn.Read(ctx, health, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the deadline", err)
	}
}

func TestAContextThatWasEndedWithACauseIsKnownByThat(t *testing.T) {
	interrupted := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	conn := &es.Conn{Client: client(func(r *http.Request) (*http.Response, error) {
		cancel(interrupted)
		<-r.Context().Done()
		return nil, context.Cause(r.Context())
	})}
	for range 2 { // while the request is under way, and before
		if err := conn.Read(ctx, health, nil); !errors.Is(err, interrupted) || errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want what the context was ended with", err)
		}
	}
}

func TestTheCodeOfAnS3ErrorIsFoundInTheWordsOfBothSDKs(t *testing.T) {
	for _, tc := range []struct{ reason, want string }{
		{"Access Denied (Service: Amazon S3; Status Code: 403; Error Code: AccessDenied; Request ID: 1)", "AccessDenied"},
		{"The AWS Access Key Id you provided does not exist in our records. (Service: S3, Status Code: 403, Request ID: 1)", "InvalidAccessKeyId"},
		{"The request signature we calculated does not match the signature you provided. (Service: S3, Status Code: 403)", "SignatureDoesNotMatch"},
		{"User: arn:aws:iam::1:user/u is not authorized to perform: s3:ListBucket (Service: S3, Status Code: 403)", "AccessDenied"},
		{"null (Service: S3, Status Code: 403, Request ID: 1)", ""},
		{"Forbidden (Service: Amazon S3; Status Code: 403; Error Code: null; Request ID: 1)", ""}, // an answer without a body
		{"Failed to delete some blobs [a/b.dat][AccessDenied][Access Denied.],[c][AccessDenied][Access Denied.]", "AccessDenied"},
		{"One or more objects could not be deleted (Service: null; Status Code: 200; Error Code: null; Request ID: 1)", ""},
		{"The difference between the request time and the server's time is too large. (Service: S3, Status Code: 403)", "RequestTimeTooSkewed"},
		{"The difference between the request time and the current time is too large. (Service: S3, Status Code: 403)", "RequestTimeTooSkewed"},
		{"The provided token has expired. (Service: S3, Status Code: 400)", "ExpiredToken"},
		{"The security token included in the request is invalid (Service: S3, Status Code: 403)", "ExpiredToken"},
		{"The provided token is malformed or otherwise invalid. (Service: S3, Status Code: 400)", "ExpiredToken"},
		{"Please reduce your request rate. (Service: S3, Status Code: 503)", "SlowDown"},
		{"Please reduce your request rate (Service: Amazon S3; Status Code: 429; Error Code: TooManyRequests; Request ID: 1)", "SlowDown"},
		{"Resource requested is unreadable, please reduce your request rate (Service: S3, Status Code: 503)", "SlowDownRead"},
		{"Resource requested is unwritable, please reduce your request rate (Service: S3, Status Code: 503)", "SlowDownWrite"},
		{"Your request was denied due to quota exceeded. (Service: S3, Status Code: 403)", "QuotaExceeded"},
		{"No space left on device. (Service: S3, Status Code: 507, Request ID: 1)", "InsufficientStorage"},
		{"Storage backend has reached its minimum free drive threshold. Please delete a few objects to proceed. (Service: S3, Status Code: 507)", "InsufficientStorage"},
		{"Storage reached its limit (Service: Amazon S3; Status Code: 507; Error Code: XMinioStorageFull; Request ID: 1)", "InsufficientStorage"},
		{"Bucket quota exceeded (Service: S3, Status Code: 400, Request ID: 1)", "QuotaExceeded"},
		{"Bucket quota exceeded (Service: Amazon S3; Status Code: 400; Error Code: XMinioAdminBucketQuotaExceeded; Request ID: 1)", "QuotaExceeded"},
		{"Missing required header for this request: Content-Md5. (Service: S3, Status Code: 400)", "MissingContentMD5"},
		{"The operation is not valid for the object's storage class (Service: S3, Status Code: 403)", "InvalidObjectState"},
		{"access denied to somebody else", ""},
	} {
		body := fmt.Sprintf(`{"error":{"type":"repository_verification_exception","reason":"[r] path","caused_by":{"type":"s3_exception","reason":%q}}}`, tc.reason)
		err := es.Send(t.Context(), answers(500, body), health(), nil)
		var server *es.ServerError
		if !errors.As(err, &server) || server.S3Code() != tc.want {
			t.Errorf("%q: got %v", tc.reason, err)
		}
	}
}

// Outside of a verification, what S3 refuses has the type of the read or write that failed, as 8.11.3 and 9.5.0 answer.
func TestAnErrorOfS3IsAFailureOfTheRepositoryWhateverFailed(t *testing.T) {
	const deleting = `{"error":{"type":"i_o_exception","reason":"Unable to upload object [index-3] using a single upload","caused_by":{"type":%q,"reason":%q}},"status":500}`
	const reading = `{"error":{"type":"snapshot_exception","reason":"[r:s/1] Snapshot could not be read","caused_by":{"type":"i_o_exception","reason":"Unable to read blob [snap-1.dat]","caused_by":{"type":%q,"reason":%q}}},"status":500}`
	for _, cause := range []es.Cause{
		{Type: "amazon_s3_exception", Reason: "Access Denied. (Service: Amazon S3; Status Code: 403; Error Code: AccessDenied; Request ID: 1)"},
		{Type: "s3_exception", Reason: "Access Denied. (Service: S3, Status Code: 403, Request ID: 1)"},
		{Type: "s3_exception", Reason: "null (Service: S3, Status Code: 403, Request ID: 1)"},
		{Type: "sdk_client_exception", Reason: "Unable to execute HTTP request: Connect to s3:9000 failed: Connection refused"},
	} {
		for _, body := range []string{deleting, reading} {
			err := es.Send(t.Context(), answers(500, fmt.Sprintf(body, cause.Type, cause.Reason)), health(), nil)
			if !errors.Is(err, nuvlaops.ErrRepository) {
				t.Errorf("%s: got %v, want %v", cause.Type, err, nuvlaops.ErrRepository)
			}
		}
	}
}

// Whatever answers may never come to an end.
func TestAnAnswerThatDoesNotEndIsAnError(t *testing.T) {
	defer es.SetMaxAnswer(1 << 10)()
	for body, fails := range map[string]bool{`{"n":1}` + strings.Repeat(" ", 10<<10): false, `{"a":"` + strings.Repeat("x", 10<<10) + `","n":1}`: true, strings.Repeat(" ", 10<<10): true, strings.Repeat("[", 10<<10): true} {
		var out struct{ N int }
		err := es.Send(t.Context(), answers(200, body), health(), &out)
		if fails != errors.Is(err, nuvlaops.ErrUnsupported) || fails != strings.Contains(fmt.Sprint(err), "longer") || !fails && out.N != 1 {
			t.Errorf("%.20q: %v, %v", body, out, err)
		}
	}
}
