package stack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/poll"
)

// Deploy gives the services of the compose files that are missing to docker stack deploy, with --resolve-image never:
// images are named exactly, and a registry that is away is no obstacle. Engines ask it all the same before they start an image
// that is named without a digest, and go on with the one that they have after their time-outs, unless their environment
// has DOCKER_SERVICE_PREFER_OFFLINE_IMAGE=1.
func (s *Swarm) Deploy(ctx context.Context, stack string, opts DeployOptions) error {
	return nuvlaops.Wrap("stack.Deploy", stack, s.deploy(ctx, stack, opts))
}

func (s *Swarm) deploy(ctx context.Context, stack string, opts DeployOptions) error {
	if err := ValidateName(stack); err != nil {
		return err
	}
	if len(opts.Files) == 0 {
		return &nuvlaops.Error{Resource: "DeployOptions.Files", Reason: "no compose file", Err: nuvlaops.ErrInvalid}
	}
	f, err := s.fleet(ctx)
	if err != nil {
		return err
	}
	file, err := s.load(ctx, opts)
	if err != nil {
		return err
	}
	w, err := s.see(ctx, stack, f)
	if err != nil {
		return err
	}
	all := slices.Sorted(maps.Keys(file.Services))
	missing := w.missing(all)
	report := newReporter("stack.Deploy", stack, "deploying", [][]string{missing}, opts.Progress, s.now)
	if len(missing) == 0 {
		return nil
	}
	if opts.Stopped {
		if err := file.refuseJobs(missing); err != nil {
			return err
		}
	}
	if err := s.prepare(ctx, file.needs(missing), opts); err != nil {
		return err
	}
	if err := s.waitForLeftovers(ctx, w, missing, report); err != nil {
		return err
	}
	report.say("deploying", missing)
	still, err := s.deployUntilThere(ctx, w, file, missing, all, opts)
	if err != nil {
		return err
	}
	if len(still) > 0 {
		return &nuvlaops.Error{Reason: "not there after docker stack deploy: " + some(still), Err: nuvlaops.ErrVerification}
	}
	s.opts.Logger.InfoContext(ctx, "services deployed", "stack", stack, "services", missing)
	report.done(missing)
	return nil
}

// deployUntilThere returns what is not there in the end. A network of a stack that docker stack rm has just removed is listed for a
// moment, so that the docker program makes none, and is gone when it makes the services: called again for the rest, it makes one.
func (s *Swarm) deployUntilThere(ctx context.Context, first *world, file *compose, missing, all []string,
	opts DeployOptions) (still []string, err error) {
	deadline := s.now().Add(settle)
	still = missing
	err = poll.Until(ctx, poll.Interval{First: soonest}, func(ctx context.Context) (bool, string, error) {
		err := s.deployMissing(ctx, first.stack, file, still, all, opts)
		if err != nil && (!networkGone(err) || s.now().After(deadline)) {
			return false, "", err
		}
		w, seeErr := s.see(ctx, first.stack, first.fleet)
		if seeErr != nil {
			return false, "", seeErr
		}
		still = w.missing(missing)
		return err == nil || len(still) == 0, some(still), nil
	})
	return still, err
}

func networkGone(err error) bool {
	return strings.Contains(err.Error(), ": network ") && strings.Contains(err.Error(), " not found")
}

// missing returns the services that are not there.
func (w *world) missing(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { _, there := w.services[name]; return there })
}

// deployMissing runs the docker program: on the files themselves when all is missing and shall run, otherwise on what is
// missing, since it would update and start the services that are there.
func (s *Swarm) deployMissing(ctx context.Context, stack string, file *compose, missing, all []string, opts DeployOptions) error {
	args := []string{"--resolve-image", "never", detached}
	if opts.RegistryAuth {
		args = append(args, "--with-registry-auth")
	}
	if opts.Stopped {
		file = file.stopped()
	}
	if len(missing) == len(all) && !opts.Stopped {
		for _, f := range opts.Files {
			args = append(args, "--compose-file", f)
		}
		_, err := s.docker(ctx, opts, nil, "deploy", append(args, stack)...)
		return err
	}
	part, err := file.only(missing)
	if err != nil {
		return fmt.Errorf("write the compose file of %s: %w", some(missing), err)
	}
	_, err = s.docker(ctx, opts, part, "deploy", append(args, "--compose-file", "-", stack)...)
	return err
}

// prepare checks all that the services need before anything is changed, then makes the networks that it may make.
func (s *Swarm) prepare(ctx context.Context, n needs, opts DeployOptions) error {
	absent, err := s.check(ctx, n, opts)
	if err != nil {
		return err
	}
	for _, name := range absent {
		if err := s.createNetwork(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// check returns the networks that are not there and may be made.
func (s *Swarm) check(ctx context.Context, n needs, opts DeployOptions) (absent []string, err error) {
	if err := s.checkProgram(ctx, opts); err != nil {
		return nil, err
	}
	if len(n.undefined) > 0 {
		return nil, &nuvlaops.Error{Resource: strings.Join(opts.Files, ", "), Reason: "services name what it does not define: " + some(n.undefined),
			Err: nuvlaops.ErrInvalid, Hint: "nothing was changed; define it there, or mend the name"}
	}
	for _, f := range n.files {
		if err := readable(f); err != nil {
			return nil, err
		}
	}
	if err := s.checkSecrets(ctx, n.secrets); err != nil {
		return nil, err
	}
	if err := s.checkConfigs(ctx, n.configs); err != nil {
		return nil, err
	}
	for _, name := range n.networks {
		there, err := s.checkNetwork(ctx, name, slices.Contains(n.joined, name))
		if err != nil {
			return nil, err
		}
		if !there {
			absent = append(absent, name)
		}
	}
	if len(absent) > 0 && !opts.CreateNetworks {
		return nil, &nuvlaops.Error{Resource: absent[0], Reason: "no such network: " + some(absent), Err: nuvlaops.ErrNotFound,
			Hint: "docker network create --driver overlay --attachable " + absent[0]}
	}
	return absent, nil
}

// readable: the docker program reads the file only when it deploys. A pipe can be read once.
func readable(file string) error {
	info, err := os.Stat(file)
	if err == nil && (info.IsDir() || info.Mode().IsRegular()) {
		_, err = os.ReadFile(file)
	}
	if err == nil {
		return nil
	}
	is := nuvlaops.ErrInvalid
	if errors.Is(err, fs.ErrNotExist) {
		is = nuvlaops.ErrNotFound
	}
	return &nuvlaops.Error{Resource: file, Reason: err.Error(), Err: is,
		Hint: "nothing was changed; the compose file makes a secret or config from it"}
}

func (s *Swarm) checkSecrets(ctx context.Context, names []string) error {
	if len(names) == 0 {
		return nil
	}
	list, err := read(ctx, s, "secrets", func(ctx context.Context) (client.SecretListResult, error) {
		return s.api.SecretList(ctx, client.SecretListOptions{})
	})
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, v := range list.Items {
		there[v.Spec.Name] = true
	}
	return allThere("secret", names, there)
}

func (s *Swarm) checkConfigs(ctx context.Context, names []string) error {
	if len(names) == 0 {
		return nil
	}
	list, err := read(ctx, s, "configs", func(ctx context.Context) (client.ConfigListResult, error) {
		return s.api.ConfigList(ctx, client.ConfigListOptions{})
	})
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, v := range list.Items {
		there[v.Spec.Name] = true
	}
	return allThere("config", names, there)
}

func allThere(kind string, names []string, there map[string]bool) error {
	absent := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return there[name] })
	if len(absent) == 0 {
		return nil
	}
	return &nuvlaops.Error{Resource: absent[0], Reason: fmt.Sprintf("no such %s: %s", kind, some(absent)), Err: nuvlaops.ErrNotFound,
		Hint: fmt.Sprintf("docker %s create %s FILE; nothing was changed", kind, absent[0])}
}

// waitForLeftovers waits for the containers of services that were removed: docker stack rm returns before they are gone,
// and a new service would come up beside them, or on their data.
func (s *Swarm) waitForLeftovers(ctx context.Context, first *world, services []string, report *reporter) error {
	gone, _, err := s.gone(ctx, first)
	if err != nil {
		return err
	}
	if len(gone) == 0 && !slices.ContainsFunc(services, func(name string) bool { return len(first.containers[name]) > 0 }) {
		return nil
	}
	events := s.watch(ctx, first.fleet, first.stack)
	defer events.close()
	return s.waitGone(ctx, first, services, events, report)
}
