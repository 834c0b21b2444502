package es

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/nuvla/nuvlaops"
)

// maxErrorBody bounds what is read of an error's body; stack traces that were asked for can be long.
const maxErrorBody = 1 << 20

const verificationFailed = "repository_verification_exception"

// Cause is one link of an error's chain.
type Cause struct {
	Type   string `json:"type"`
	Reason string `json:"reason"`
}

// ServerError is the chain of causes behind an *nuvlaops.Error that Elasticsearch answered, outermost first. Find it
// with errors.As.
type ServerError struct {
	Chain []Cause
	Kind  error // a sentinel of nuvlaops, nil when none fits
}

// Error returns the innermost reason.
func (e *ServerError) Error() string { return e.Innermost().Reason }

// Unwrap returns the sentinel.
func (e *ServerError) Unwrap() error { return e.Kind }

// Innermost returns the last cause of the chain.
func (e *ServerError) Innermost() Cause {
	if len(e.Chain) == 0 {
		return Cause{}
	}
	return e.Chain[len(e.Chain)-1]
}

// Has reports whether a cause of the chain has this type.
func (e *ServerError) Has(kind string) bool {
	for _, c := range e.Chain {
		if c.Type == kind {
			return true
		}
	}
	return false
}

// Says reports whether the reason of a cause of the chain holds this text.
func (e *ServerError) Says(text string) bool {
	for _, c := range e.Chain {
		if strings.Contains(c.Reason, text) {
			return true
		}
	}
	return false
}

// decodeError makes an *nuvlaops.Error of an answer that is not 2xx.
func decodeError(status int, body io.Reader) error {
	raw, _ := io.ReadAll(io.LimitReader(body, maxErrorBody)) // what was read before a failure is still worth showing
	chain := decodeChain(raw)
	if len(chain) == 0 {
		chain = []Cause{{Reason: plainReason(status, raw)}}
	}
	s := &ServerError{Chain: chain}
	s.Kind = kindOf(status, s)
	return &nuvlaops.Error{Status: status, Type: chain[0].Type, Reason: s.Innermost().Reason, Hint: hintOf(status, s), Err: s}
}

// FromCause makes an *nuvlaops.Error of a cause that Elasticsearch put into an answer of 200, such as a shard's failure.
func FromCause(raw json.RawMessage) error {
	chain := walk(raw)
	if len(chain) == 0 {
		chain = []Cause{{Reason: strings.TrimSpace(string(raw))}}
	}
	s := &ServerError{Chain: chain}
	s.Kind = kindOf(0, s)
	return &nuvlaops.Error{Type: chain[0].Type, Reason: s.Innermost().Reason, Hint: hintOf(0, s), Err: s}
}

// decodeChain reads {"error":{...}} or {"error":"text"}; nil when the body is neither.
func decodeChain(raw []byte) []Cause {
	var answer struct {
		Error json.RawMessage `json:"error"`
	}
	if json.Unmarshal(raw, &answer) != nil || len(answer.Error) == 0 {
		return nil
	}
	var text string
	if json.Unmarshal(answer.Error, &text) == nil {
		return []Cause{{Reason: text}}
	}
	return walk(answer.Error)
}

// walk follows caused_by to its end. Where an error has none, the first of root_cause may know more; what a verification found on
// other nodes than the master is suppressed, one for each node, and of these the first counts.
func walk(raw json.RawMessage) []Cause {
	type link struct {
		Cause
		CausedBy   json.RawMessage   `json:"caused_by"`
		RootCause  []json.RawMessage `json:"root_cause"`
		Suppressed []json.RawMessage `json:"suppressed"`
	}
	var chain []Cause
	for depth := 0; len(raw) > 0 && depth < 50; depth++ { // Elasticsearch itself stops at 100
		var l link
		if json.Unmarshal(raw, &l) != nil || (l.Type == "" && l.Reason == "") {
			break
		}
		chain = append(chain, l.Cause)
		raw = l.CausedBy
		switch {
		case len(raw) > 0:
		case l.Type == verificationFailed && len(l.Suppressed) > 0:
			raw = l.Suppressed[0]
		case depth == 0 && len(l.RootCause) > 0:
			raw = l.RootCause[0]
		}
	}
	return settle(chain)
}

// settle drops a last link that only repeats the one before it, and gives a link without a reason its type as one.
func settle(chain []Cause) []Cause {
	if n := len(chain); n > 1 && chain[n-1] == chain[n-2] {
		chain = chain[:n-1]
	}
	for i := range chain {
		if chain[i].Reason == "" {
			chain[i].Reason = chain[i].Type
		}
	}
	return chain
}

// plainReason describes a body that is not Elasticsearch's: the title of a proxy's page, the first line of a text.
func plainReason(status int, raw []byte) string {
	text := strings.TrimSpace(string(raw))
	said := fmt.Sprintf("HTTP %d %s", status, http.StatusText(status))
	if text == "" {
		return said + " with an empty body"
	}
	lower := strings.ToLower(text)
	if i, j := strings.Index(lower, "<title>"), strings.Index(lower, "</title>"); len(lower) == len(text) && i >= 0 && j > i {
		return fmt.Sprintf("%s, a page that is not Elasticsearch's: %q", said, strings.TrimSpace(text[i+len("<title>"):j]))
	}
	line, _, _ := strings.Cut(text, "\n")
	if runes := []rune(line); len(runes) > 200 {
		line = string(runes[:200]) + "..."
	}
	return fmt.Sprintf("%s, not Elasticsearch's own answer: %q", said, strings.TrimSpace(line))
}
