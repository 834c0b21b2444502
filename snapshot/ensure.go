package snapshot

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
)

// putBackTimeout bounds what Ensure does after its own context has ended.
const putBackTimeout = 30 * time.Second

// Change is what Ensure did.
type Change struct {
	// Created says that the repository was not registered before.
	Created bool `json:"created"`
	// Settings that are not what they were, by name; "type" is the kind of repository. Empty when nothing changed.
	Settings []SettingChange `json:"settings"`
	// Nodes that verified the repository, by name.
	Nodes []string `json:"nodes"`
	// Warnings for an operator: what this version of the server needs and the settings leave open.
	Warnings []string `json:"warnings,omitempty"`
}

// Changed reports whether anything was sent that changes the registration.
func (c Change) Changed() bool { return c.Created || len(c.Settings) > 0 }

// SettingChange is one setting; empty means that the server's default holds.
type SettingChange struct {
	Name   string `json:"name"`
	Before string `json:"before"`
	After  string `json:"after"`
}

// Ensure implements SnapshotRepo.
func (r *Repo) Ensure(ctx context.Context, want Settings) (Change, error) {
	return r.EnsureBeside(ctx, want, nil)
}

// EnsureBeside is Ensure, and calls beside while the nodes verify the repository: for reads from it, since the verification
// takes half a second on a server that has just booted. The error of beside is returned, as it is, when the repository
// verifies; what it has read counts only when there is no error. A nil beside is Ensure.
func (r *Repo) EnsureBeside(ctx context.Context, want Settings, beside func(context.Context) error) (Change, error) {
	reading, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	started := false
	change, err := r.ensure(ctx, want, func() {
		if started = beside != nil; started {
			go func() { ended <- beside(reading) }()
		}
	})
	if err = nuvlaops.Wrap("snapshot.Ensure", r.name, err); err != nil {
		stop()
	}
	if started {
		err = cmp.Or(err, <-ended)
	}
	return change, err
}

// ensure calls registered when the registration is as it should be and its verification begins.
func (r *Repo) ensure(ctx context.Context, want Settings, registered func()) (changed Change, err error) {
	if err := want.Validate(); err != nil {
		return Change{}, err
	}
	before, err := r.registered(ctx)
	if err != nil {
		return Change{}, err
	}
	after := want.registration()
	change := difference(before, after)
	warned := make(chan []string, 1)
	go func() { warned <- r.warnings(ctx, want) }() // they ask for the server's version, and decide nothing
	defer func() {
		if warnings := <-warned; err == nil {
			changed.Warnings = warnings
		}
	}()
	if change.Changed() {
		if err := r.register(ctx, after, want); err != nil {
			return Change{}, r.putBack(ctx, before, err)
		}
	}
	registered()
	change.Nodes, err = r.verify(ctx, want)
	switch {
	case err != nil && change.Changed():
		return Change{}, r.putBack(ctx, before, err)
	case err != nil:
		return Change{}, err
	}
	if change.Changed() {
		r.log.InfoContext(ctx, "repository registered", "repository", r.name, "created", change.Created, "changes", len(change.Settings))
	}
	return change, nil
}

// registered reads the registration; nil when there is none.
func (r *Repo) registered(ctx context.Context) (*registration, error) {
	var answer map[string]registration
	err := r.conn.Read(ctx, func() esapi.Request {
		return esapi.SnapshotGetRepositoryRequest{Repository: []string{r.name}}
	}, &answer)
	switch {
	case errors.Is(err, nuvlaops.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read registration: %w", err)
	}
	found, ok := answer[r.name]
	if !ok {
		return nil, nil
	}
	return &found, nil
}

func difference(before *registration, after registration) Change {
	c := Change{Settings: []SettingChange{}}
	if before == nil {
		c.Created, before = true, &registration{}
	}
	if before.Type != after.Type {
		c.Settings = append(c.Settings, SettingChange{"type", before.Type, after.Type})
	}
	names := maps.Clone(before.Settings)
	if names == nil {
		names = map[string]string{}
	}
	maps.Copy(names, after.Settings)
	delete(names, "uuid") // the server's own
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if was, is := before.Settings[name], after.Settings[name]; was != is {
			c.Settings = append(c.Settings, SettingChange{name, was, is})
		}
	}
	return c
}

// register sends the registration without verification, which follows as a call of its own: so a failure is the same on
// every version, whichever keeps or drops a registration that it could not verify.
func (r *Repo) register(ctx context.Context, reg registration, want Settings) error {
	no := false
	err := r.conn.WriteIdempotent(ctx, func() esapi.Request {
		return esapi.SnapshotCreateRepositoryRequest{Repository: r.name, Body: es.JSON(reg), Verify: &no}
	}, nil)
	if err == nil {
		return nil
	}
	return fmt.Errorf("register: %w", diagnose(err, want))
}

// verify has every node write to the repository, or read it when it is read-only, and returns the nodes' names.
func (r *Repo) verify(ctx context.Context, want Settings) ([]string, error) {
	var answer struct {
		Nodes map[string]struct {
			Name string `json:"name"`
		} `json:"nodes"`
	}
	bounded, cancel := context.WithTimeoutCause(ctx, r.verifyTimeout, errVerifyTimeout)
	defer cancel()
	err := r.conn.Read(bounded, func() esapi.Request {
		return esapi.SnapshotVerifyRepositoryRequest{Repository: r.name}
	}, &answer)
	switch {
	case errors.Is(err, errVerifyTimeout):
		return nil, silentEndpoint(r.verifyTimeout, want)
	case err != nil:
		return nil, fmt.Errorf("verify: %w", r.withMaster(ctx, diagnose(err, want)))
	}
	names := make([]string, 0, len(answer.Nodes))
	for id, n := range answer.Nodes {
		if n.Name == "" {
			n.Name = id
		}
		names = append(names, n.Name)
	}
	slices.Sort(names)
	return names, nil
}

// putBack makes the registration what it was, and says so in the error; it works also when the context has ended.
func (r *Repo) putBack(ctx context.Context, before *registration, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), putBackTimeout)
	defer cancel()
	var err error
	if before == nil {
		err = r.conn.WriteIdempotent(ctx, func() esapi.Request {
			return esapi.SnapshotDeleteRepositoryRequest{Repository: []string{r.name}}
		}, nil)
		if errors.Is(err, nuvlaops.ErrNotFound) {
			err = nil
		}
	} else {
		no := false
		err = r.conn.WriteIdempotent(ctx, func() esapi.Request {
			return esapi.SnapshotCreateRepositoryRequest{Repository: r.name, Body: es.JSON(before), Verify: &no}
		}, nil)
	}
	if err == nil {
		err = r.mustBe(ctx, before)
	}
	if err != nil {
		return fmt.Errorf("%w (and the registration could not be put back as it was: %w)", cause, err)
	}
	r.log.InfoContext(ctx, "repository put back", "repository", r.name)
	return cause
}

// mustBe reads the registration again and compares.
func (r *Repo) mustBe(ctx context.Context, want *registration) error {
	got, err := r.registered(ctx)
	if err != nil {
		return err
	}
	if (got == nil) != (want == nil) || (want != nil && len(difference(got, *want).Settings) > 0) {
		return &nuvlaops.Error{Reason: "it is registered in another way", Err: nuvlaops.ErrVerification}
	}
	return nil
}

// Registered returns the settings that the repository is registered with. Errors: ErrNotFound, ErrInvalid (it is of another
// type than s3 and fs).
func (r *Repo) Registered(ctx context.Context) (Settings, error) {
	s, err := r.settings(ctx)
	return s, nuvlaops.Wrap("snapshot.Registered", r.name, err)
}

func (r *Repo) settings(ctx context.Context) (Settings, error) {
	reg, err := r.registered(ctx)
	if err == nil && reg == nil {
		err = &nuvlaops.Error{Reason: "the repository is not registered", Hint: es.HintRegister, Err: nuvlaops.ErrNotFound}
	}
	if err != nil {
		return Settings{}, err
	}
	delete(reg.Settings, "uuid")
	return settingsOf(*reg)
}

// Verify has every node write to the repository as it is registered, or read it when it is read-only, and returns the nodes'
// names. It changes nothing. Errors: ErrNotFound, ErrInvalid (it is of another type than s3 and fs), ErrRepository.
func (r *Repo) Verify(ctx context.Context) ([]string, error) {
	want, err := r.settings(ctx)
	if err != nil {
		return nil, nuvlaops.Wrap("snapshot.Verify", r.name, err)
	}
	nodes, err := r.verify(ctx, want)
	return nodes, nuvlaops.Wrap("snapshot.Verify", r.name, err)
}

// ReloadSecrets makes every node read its keystore again, so that changed S3 keys are used without a restart, and then
// verifies the repository with them. Errors: as Verify, and what a node has against its keystore.
func (r *Repo) ReloadSecrets(ctx context.Context) error {
	return nuvlaops.Wrap("snapshot.ReloadSecrets", r.name, r.reloadSecrets(ctx))
}

func (r *Repo) reloadSecrets(ctx context.Context) error {
	var answer struct {
		Nodes map[string]struct {
			Name   string          `json:"name"`
			Reload json.RawMessage `json:"reload_exception"`
		} `json:"nodes"`
	}
	err := r.conn.WriteIdempotent(ctx, func() esapi.Request {
		return esapi.NodesReloadSecureSettingsRequest{}
	}, &answer)
	if err != nil {
		return fmt.Errorf("reload secure settings: %w", err)
	}
	for _, id := range slices.Sorted(maps.Keys(answer.Nodes)) {
		if n := answer.Nodes[id]; len(n.Reload) > 0 && string(n.Reload) != "null" {
			return fmt.Errorf("node %s could not reload its keystore: %w", n.Name, es.FromCause(n.Reload))
		}
	}
	r.log.InfoContext(ctx, "secrets reloaded", "nodes", len(answer.Nodes))
	want, err := r.settings(ctx)
	if err != nil {
		return err
	}
	_, err = r.verify(ctx, want)
	return err
}

// warnings tells what later servers need; without the server's version there are none.
func (r *Repo) warnings(ctx context.Context, want Settings) []string {
	if want.S3 == nil || want.S3.Endpoint == "" {
		return nil
	}
	var out []string
	version, err := r.conn.Version(ctx)
	if err != nil || !version.AtLeast(8, 19) {
		return nil
	}
	if !strings.Contains(want.S3.Endpoint, "://") {
		out = append(out, "endpoint "+want.S3.Endpoint+" has no scheme: Elasticsearch "+version.String()+" wants a URL, https://"+want.S3.Endpoint)
	}
	if want.S3.Region == "" && !strings.Contains(want.S3.Endpoint, "amazonaws.com") {
		out = append(out, "no region: Elasticsearch "+version.String()+" may not find one by itself; any name will do for most S3 servers")
	}
	return out
}
