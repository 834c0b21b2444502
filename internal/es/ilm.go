package es

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/nuvla/nuvlaops"
)

// Modes of index lifecycle management. Between them it is stopping.
const (
	ILMRunning = "RUNNING"
	ILMStopped = "STOPPED"
)

// ILMMode is what index lifecycle management does. Error: ErrUnsupported where the server has none.
func (c *Conn) ILMMode(ctx context.Context) (string, error) {
	var answer struct {
		Mode string `json:"operation_mode"`
	}
	if err := c.Read(ctx, func() esapi.Request { return esapi.ILMGetStatusRequest{} }, &answer); err != nil {
		return "", fmt.Errorf("read state of ILM: %w", err)
	}
	return answer.Mode, nil
}

// StopILM asks ILM to stop; it is when ILMMode says so.
func (c *Conn) StopILM(ctx context.Context) error {
	if err := c.WriteIdempotent(ctx, func() esapi.Request { return esapi.ILMStopRequest{} }, nil); err != nil {
		return fmt.Errorf("stop ILM: %w", err)
	}
	return nil
}

// StartILM starts ILM.
func (c *Conn) StartILM(ctx context.Context) error {
	if err := c.WriteIdempotent(ctx, func() esapi.Request { return esapi.ILMStartRequest{} }, nil); err != nil {
		return fmt.Errorf("start ILM: %w", err)
	}
	return nil
}

// RepositorySettings are the settings of a registered repository. Error: ErrNotFound.
func (c *Conn) RepositorySettings(ctx context.Context, name string) (map[string]string, error) {
	var answer map[string]struct {
		Settings map[string]json.RawMessage `json:"settings"`
	}
	err := c.Read(ctx, func() esapi.Request { return esapi.SnapshotGetRepositoryRequest{Repository: []string{name}} }, &answer)
	if err != nil {
		return nil, err
	}
	if _, there := answer[name]; !there {
		return nil, &nuvlaops.Error{Reason: "the repository is not registered", Err: nuvlaops.ErrNotFound}
	}
	return settingTexts(answer[name].Settings), nil
}

// TemplatePolicy is the ILM policy that an index of this name would get from the index templates; empty for none.
func (c *Conn) TemplatePolicy(ctx context.Context, index string) (string, error) {
	var answer struct {
		Template struct {
			Settings struct {
				Index struct {
					Lifecycle struct {
						Name string `json:"name"`
					} `json:"lifecycle"`
				} `json:"index"`
			} `json:"settings"`
		} `json:"template"`
	}
	err := c.Read(ctx, func() esapi.Request { return esapi.IndicesSimulateIndexTemplateRequest{Name: index} }, &answer)
	if err != nil {
		return "", fmt.Errorf("read the template of %s: %w", index, err)
	}
	return answer.Template.Settings.Index.Lifecycle.Name, nil
}
