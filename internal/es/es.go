// Package es is the one place that sends a request to Elasticsearch and decodes its answer or its error.
//
// A request is built with go-elasticsearch's esapi and sent through a Client of one method. The answer is decoded into a
// value; anything else, whatever its body is (Elasticsearch's JSON, a proxy's HTML, nothing), becomes a
// *nuvlaops.Error whose Reason is the innermost cause.
//
// # Retries
//
// Read repeats on connection errors, lost replies and the statuses 429, 502, 503 and 504. Write repeats only what surely
// was not carried out: a connection that was never made, and 429. A write that is idempotent may be sent with Read's
// policy by WriteIdempotent.
package es

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"syscall"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/retry"
	"github.com/nuvla/nuvlaops/internal/units"
)

// Client sends a request: go-elasticsearch v8 and v9 clients, a Transport and fakes all fit. Its own retries must be off.
type Client interface {
	Perform(*http.Request) (*http.Response, error)
}

// Conn is a Client with a retry policy.
type Conn struct {
	Client Client
	Retry  nuvlaops.RetryPolicy
	Logger *slog.Logger // nil discards
}

// Request builds a request afresh for each attempt, since a body can be read only once.
type Request func() esapi.Request

// Read sends a request that changes nothing, repeats it as the policy says, and decodes the answer into out. A nil out
// discards the answer.
func (c *Conn) Read(ctx context.Context, req Request, out any) error {
	return c.do(ctx, Transient, req, out)
}

// Write sends a request that must not be carried out twice. It is repeated only when it surely was not.
func (c *Conn) Write(ctx context.Context, req Request, out any) error {
	return c.do(ctx, notCarriedOut, req, out)
}

// WriteIdempotent sends a request that changes nothing more when it is carried out twice, and repeats it like a read.
func (c *Conn) WriteIdempotent(ctx context.Context, req Request, out any) error {
	return c.do(ctx, Transient, req, out)
}

// Once sends a request once, without any repetition.
func (c *Conn) Once(ctx context.Context, req Request, out any) error {
	return Send(ctx, c.Client, req(), out)
}

func (c *Conn) do(ctx context.Context, repeatable func(error) bool, req Request, out any) error {
	return retry.Do(ctx, c.Retry, c.Logger, repeatable, func(ctx context.Context) error {
		return Send(ctx, c.Client, req(), out)
	})
}

// Send sends one request and decodes the answer into out, or into an *nuvlaops.Error.
func Send(ctx context.Context, client Client, req esapi.Request, out any) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := namesOnly(req); err != nil {
		return err
	}
	res, err := literally(req).Do(ctx, client)
	if err != nil {
		return connectionError(ctx, err)
	}
	body := res.Body
	if body == nil { // a fake may leave it out
		body = http.NoBody
	}
	defer body.Close()
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return decodeError(res.StatusCode, body)
	}
	return decodeAnswer(ctx, res.StatusCode, body, out)
}

// maxAnswer bounds what is decoded of one answer, and so the memory that it takes: the longest are some 15 MB.
var maxAnswer int64 = 256 << 20

func decodeAnswer(ctx context.Context, status int, body io.Reader, out any) error {
	if out == nil {
		_, _ = io.Copy(io.Discard, io.LimitReader(body, maxErrorBody)) // so that the connection can be used again
		return nil
	}
	bounded := &io.LimitedReader{R: body, N: maxAnswer}
	err := json.NewDecoder(bounded).Decode(out)
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case err == nil:
		_, _ = io.Copy(io.Discard, io.LimitReader(body, 1<<10))
		return nil
	case bounded.N <= 0:
		return &nuvlaops.Error{Status: status, Reason: fmt.Sprintf("the answer is longer than %s", units.Bytes(maxAnswer)),
			Hint: "check that the address is Elasticsearch's", Err: nuvlaops.ErrUnsupported}
	case errors.As(err, &syntax), errors.As(err, &kind):
		return &nuvlaops.Error{Status: status, Reason: "the answer is not what Elasticsearch sends: " + err.Error(),
			Hint: "check that the address is Elasticsearch's and not a proxy's or another service's", Err: nuvlaops.ErrUnsupported}
	default: // the reply broke off: nothing is known about what the server did
		return connectionError(ctx, err)
	}
}

// connectionError classifies an error without an answer. The caller's own end of waiting stays what it is.
func connectionError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	if errors.Is(err, nuvlaops.ErrUnsupported) { // it was an answer, see Transport.Perform
		return err
	}
	return &nuvlaops.Error{Reason: err.Error(), Hint: "check that Elasticsearch runs and that its address is right",
		Err: fmt.Errorf("%w: %w", nuvlaops.ErrUnavailable, err)}
}

// Transient reports whether err may go away by itself: no answer, or 429, 502, 503, 504. The server's own limit on
// concurrent snapshots (503 as well) is not transient: it is busy for as long as a snapshot takes.
func Transient(err error) bool {
	return errors.Is(err, nuvlaops.ErrUnavailable) && !errors.Is(err, nuvlaops.ErrBusy)
}

// notCarriedOut reports whether the request that failed with err surely changed nothing: the connection was never
// made, or the server turned it away with 429.
func notCarriedOut(err error) bool {
	if !Transient(err) {
		return false
	}
	var e *nuvlaops.Error
	if errors.As(err, &e) && e.Status == http.StatusTooManyRequests {
		return true
	}
	var op *net.OpError
	return errors.Is(err, syscall.ECONNREFUSED) || (errors.As(err, &op) && op.Op == "dial")
}
