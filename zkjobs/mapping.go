package zkjobs

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/nuvla/nuvlaops"
)

// prepare checks the mapping and refreshes: what was edited a moment ago must be found.
func (d *Documents) prepare(ctx context.Context) error {
	if err := d.checkMapping(ctx); err != nil {
		return err
	}
	return d.conn.Refresh(ctx, d.opts.Index)
}

type indexMapping struct {
	Mappings struct {
		Properties map[string]struct {
			Type string `json:"type"`
		} `json:"properties"`
	} `json:"mappings"`
}

// checkMapping makes sure that the search can find what it looks for: in a state mapped as text, it finds nothing.
func (d *Documents) checkMapping(ctx context.Context) error {
	var answer map[string]json.RawMessage
	err := d.conn.Read(ctx, func() esapi.Request {
		return esapi.IndicesGetMappingRequest{Index: []string{d.opts.Index}}
	}, &answer)
	if err != nil {
		return fmt.Errorf("read mapping: %w", err)
	}
	if len(answer) == 0 { // a pattern that matches nothing
		return &nuvlaops.Error{Reason: "no index " + d.opts.Index, Hint: "restore the index first", Err: nuvlaops.ErrNotFound}
	}
	for index, raw := range answer {
		var m indexMapping
		if err := json.Unmarshal(raw, &m); err != nil {
			return fmt.Errorf("decode mapping of %s: %w", index, err)
		}
		if wrong := m.wrong(); wrong != "" {
			return &nuvlaops.Error{Resource: index, Reason: "its mapping is not that of job documents: " + wrong,
				Hint: "the index was made without the api-server's mapping: restore it from a snapshot, or index it anew", Err: nuvlaops.ErrInvalid}
		}
	}
	return nil
}

// wrong says which field is not mapped as the api-server maps it.
func (m indexMapping) wrong() string {
	var parts []string
	for _, want := range [...][2]string{{"id", "keyword"}, {"state", "keyword"}, {"created", "date"}} {
		field, typ := want[0], want[1]
		switch got, mapped := m.Mappings.Properties[field]; {
		case !mapped:
			parts = append(parts, field+" is not mapped, want "+typ)
		case got.Type != typ:
			parts = append(parts, field+" is "+got.Type+", want "+typ)
		}
	}
	return strings.Join(parts, "; ")
}

// checkEmpty refuses to take an index without open jobs for a system without work.
func (d *Documents) checkEmpty(ctx context.Context) error {
	var answer struct {
		Count int64 `json:"count"`
	}
	err := d.conn.Read(ctx, func() esapi.Request {
		return esapi.CountRequest{Index: []string{d.opts.Index}}
	}, &answer)
	if err != nil {
		return fmt.Errorf("count documents: %w", err)
	}
	if answer.Count == 0 {
		return nil
	}
	return &nuvlaops.Error{Reason: fmt.Sprintf("none of its %d documents is an open job", answer.Count),
		Hint: "look whether the right index was restored; if there really is no work, allow none", Err: nuvlaops.ErrRefused}
}
