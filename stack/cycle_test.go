package stack_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/stack"
)

const dbStack = `
version: "3.7"
services:
  db:
    image: %IMAGE%
    command: [run]
    volumes: ["data:/data"]
    deploy: {endpoint_mode: dnsrr, placement: {constraints: [node.role == manager]}, labels: %OWNER%}
  app:
    image: %IMAGE%
    command: [run]
    deploy: {endpoint_mode: dnsrr, replicas: 2, labels: %OWNER%}
volumes:
  data: {labels: %OWNER%}
networks:
  default: {labels: %OWNER%}
`

func TestStopWipeStartGivesEmptyVolumesAndTheSameServices(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx := t.Context()
	b.secret(b.stack + "-key")
	b.network(b.stack+"-net", client.NetworkCreateOptions{Driver: "overlay", Attachable: true})
	b.deploy(strings.Replace(dbStack, `volumes: ["data:/data"]`, `volumes: ["data:/data"]
    secrets: [key]
    networks: [net]`, 1) + `  net: {external: true, name: %STACK%-net}
secrets:
  key: {external: true, name: %STACK%-key}
`)
	if err := b.Start(ctx, b.stack, stack.StartOptions{}); err != nil {
		t.Fatal(err)
	}
	before, specs := b.look(), b.specs(b.stack)
	if db := before.Service("db"); !slices.Equal(db.Secrets, []string{b.stack + "-key"}) || !slices.Equal(db.Networks, []string{b.stack + "-net"}) {
		t.Fatalf("db has no secret or network, this test shows nothing: %+v", db)
	}
	volume := b.stack + "_data"
	if n := b.marks(volume); n != 1 {
		t.Fatalf("the service started %d times on its volume, want 1", n)
	}

	var gone [][]string
	order := stack.StopOptions{Groups: [][]string{{"app"}, {"db"}}, Gone: func(g []string) { gone = append(gone, g) }}
	for range 2 {
		if err := b.Stop(ctx, b.stack, order); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([][]string{{"app"}, {"db"}, {"app"}, {"db"}}, gone); diff != "" {
		t.Errorf("groups gone (-want +got):\n%s", diff)
	}
	if left := b.look().Volumes[0].Containers; len(left) > 0 {
		t.Errorf("containers %v hold the volume after Stop", left)
	}
	plan, err := b.PlanWipe(ctx, b.stack, stack.WipeOptions{Services: []string{"db"}})
	if err != nil {
		t.Fatal(err)
	}
	refusal := errors.New("the snapshot was not seen")
	err = b.Wipe(ctx, plan, func(context.Context) error { return refusal })
	if !errors.Is(err, nuvlaops.ErrRefused) || !errors.Is(err, refusal) {
		t.Errorf("Wipe with a guard that refuses: %v", err)
	}
	if n := b.marks(volume); n != 1 {
		t.Fatalf("the volume has %d marks after the guard refused, want 1", n)
	}
	for range 2 {
		if err := b.Wipe(ctx, plan, stack.Unguarded); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := b.Start(ctx, b.stack, stack.StartOptions{Groups: [][]string{{"db"}, {"app"}}}); err != nil {
			t.Fatal(err)
		}
	}
	if n := b.marks(volume); n != 1 {
		t.Errorf("the new volume has %d marks, want 1: it was empty", n)
	}
	if err := b.Wipe(ctx, plan, stack.Unguarded); !errors.Is(err, nuvlaops.ErrConflict) {
		t.Errorf("Wipe with the old plan: %v, want a conflict", err)
	}
	if diff := cmp.Diff(specs, b.specs(b.stack)); diff != "" {
		t.Errorf("specifications (-before +after):\n%s", diff)
	}
	after := b.look()
	for i, want := range before.Services {
		got := after.Services[i]
		if want.Health != stack.HealthHealthy || got.Health != stack.HealthHealthy {
			t.Errorf("service %s is %s before, %s after", want.Name, want.Health, got.Health)
		}
		if got.Version <= want.Version {
			t.Errorf("version %d of service %s does not show that it was stopped and started since %d", got.Version, want.Name, want.Version)
		}
		want.Tasks, got.Tasks, got.Version = nil, nil, want.Version
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("service %s (-before +after):\n%s", want.Name, diff)
		}
	}
}
