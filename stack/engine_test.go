package stack

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"syscall"
	"testing"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/api/types/volume"

	"github.com/nuvla/nuvlaops"
)

// A read is repeated after some of these, and an operator is told what to do after the others. No engine gives all of them when
// it is asked to.
func TestAnErrorOfTheEngineIsTakenForWhatItIs(t *testing.T) {
	internal := func(text string) error { return fmt.Errorf("%w: %s", cerrdefs.ErrInternal, text) }
	for name, c := range map[string]struct {
		err   error
		again bool
		kind  error // nil: none of ours
	}{
		"refused":                          {&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, true, nuvlaops.ErrUnavailable},
		"cut off":                          {fmt.Errorf("read: %w", io.ErrUnexpectedEOF), true, nuvlaops.ErrUnavailable},
		"ended":                            {io.EOF, true, nuvlaops.ErrUnavailable},
		"reset":                            {fmt.Errorf("read: %w", syscall.ECONNRESET), true, nuvlaops.ErrUnavailable},
		"away":                             {cerrdefs.ErrUnavailable, true, nuvlaops.ErrUnavailable},
		"an election":                      {errors.New("rpc error: The swarm does not have a leader"), true, nuvlaops.ErrUnavailable},
		"an election, in other words":      {errors.New("the raft cluster has no leader"), true, nuvlaops.ErrUnavailable},
		"a manager that starts":            {internal("rpc error: context deadline exceeded"), true, nuvlaops.ErrUnavailable},
		"a manager that ends":              {internal("context canceled"), true, nuvlaops.ErrUnavailable},
		"a manager that has just ended":    {internal("grpc: the client connection is closing"), true, nuvlaops.ErrUnavailable},
		"another failure of its own":       {internal("invalid mount config"), false, nil},
		"our own end":                      {&url.Error{Op: "Get", URL: "/info", Err: context.Canceled}, false, context.Canceled},
		"our own time-out":                 {fmt.Errorf("list: %w", context.DeadlineExceeded), false, context.DeadlineExceeded},
		"no manager of a swarm":            {fmt.Errorf("%w: This node is not a swarm manager", cerrdefs.ErrUnavailable), false, nuvlaops.ErrUnsupported},
		"no right to its socket":           {&net.OpError{Op: "dial", Err: syscall.EACCES}, false, nuvlaops.ErrDenied},
		"no right, as a text":              {errors.New("permission denied while trying to connect"), false, nuvlaops.ErrDenied},
		"a certificate that is none":       {&tls.CertificateVerificationError{Err: errors.New("expired")}, false, nuvlaops.ErrDenied},
		"a certificate that it refuses":    {&net.OpError{Op: "remote error", Err: errors.New("remote error: tls: bad certificate")}, false, nuvlaops.ErrDenied},
		"not there":                        {cerrdefs.ErrNotFound, false, nuvlaops.ErrNotFound},
		"in use":                           {cerrdefs.ErrConflict, false, nuvlaops.ErrConflict},
		"what it does not take":            {cerrdefs.ErrInvalidArgument, false, nuvlaops.ErrInvalid},
		"an engine that is too old for us": {errors.New("client version 1.51 is too new. Maximum supported API version is 1.40"), false, nuvlaops.ErrUnsupported},
		"an engine that is too new for us": {errors.New("client version 1.41 is too old. Minimum supported API version is 1.44"), false, nuvlaops.ErrUnsupported},
	} {
		if got := transient(c.err); got != c.again {
			t.Errorf("%s: read again %t, want %t", name, got, c.again)
		}
		err := explain("it", c.err)
		var kinds []error
		for _, kind := range []error{nuvlaops.ErrUnavailable, nuvlaops.ErrDenied, nuvlaops.ErrNotFound, nuvlaops.ErrConflict, nuvlaops.ErrInvalid, nuvlaops.ErrUnsupported} {
			if errors.Is(err, kind) {
				kinds = append(kinds, kind)
			}
		}
		if c.kind != nil && !errors.Is(err, c.kind) || len(kinds) > 1 || len(kinds) == 1 && kinds[0] != c.kind {
			t.Errorf("%s: %v, which is %v, want %v alone", name, err, kinds, c.kind)
		}
	}
	if transient(nil) || explain("it", nil) != nil {
		t.Error("nothing is taken for an error")
	}
	s := &Swarm{}
	ends := fmt.Errorf("%w: This node is not a swarm manager", cerrdefs.ErrUnavailable)
	before := s.transient(ends)
	s.managed.Store(true)
	if before || !s.transient(ends) {
		t.Errorf("one that was no manager: read again %t; one that was: %t", before, s.transient(ends))
	}
}

// What is not understood lets a node pass, which is then in question.
func TestANodeMeetsConstraintsAsTheOrchestratorSees(t *testing.T) {
	node := swarm.Node{ID: "id1"}
	node.Description.Hostname, node.Description.Platform.OS, node.Spec.Role = "worker-1", "linux", swarm.NodeRoleWorker
	node.Spec.Labels, node.Description.Engine.Labels = map[string]string{"type": "worker-db"}, map[string]string{"disk": "ssd"}
	for constraint, want := range map[string]bool{
		"node.id==id1": true, "node.id == id2": false, "node.id!=id1": false, "node.id != id2": true,
		"node.hostname==Worker-1": true, "node.hostname!=worker-1": false, "node.role==worker": true, "node.role==manager": false, "NODE.ROLE==worker": true,
		"node.platform.os==linux": true, "node.platform.os==windows": false,
		"node.labels.type==worker-db": true, "node.labels.type==db": false, "node.labels.type!=worker-db": false, "node.labels.none==x": false, "node.labels.none!=x": true,
		"engine.labels.disk==ssd": true, "engine.labels.disk==hdd": false, "node.ip==10.0.0.1": true, nowhere: true,
	} {
		var spec swarm.ServiceSpec
		spec.TaskTemplate.Placement = &swarm.Placement{Constraints: []string{"node.id==id1", constraint}}
		if got := mayRun(spec, node); got != want {
			t.Errorf("%s: %t, want %t", constraint, got, want)
		}
		for availability, open := range map[swarm.NodeAvailability]bool{swarm.NodeAvailabilityActive: true, swarm.NodeAvailabilityDrain: false, swarm.NodeAvailabilityPause: false} {
			node.Spec.Availability = availability
			if got := (&fleet{nodes: []swarm.Node{node}}).hasPlaceFor(spec); got != (want && open) {
				t.Errorf("%s on a node that is %s: %t", constraint, availability, got)
			}
		}
	}
	if !mayRun(swarm.ServiceSpec{}, node) {
		t.Error("a service without constraints may not run")
	}
}

// The data would come back with the next container.
func TestAVolumeThatPointsElsewhereIsKnown(t *testing.T) {
	for name, c := range map[string]struct {
		v    *volume.Volume
		want bool
	}{
		"gone":                      {nil, false},
		"of this engine":            {&volume.Volume{Driver: "local", Scope: "local"}, false},
		"in memory":                 {&volume.Volume{Driver: "local", Options: map[string]string{"type": "tmpfs", "device": "tmpfs"}}, false},
		"a folder of the host":      {&volume.Volume{Driver: "local", Options: map[string]string{"type": "none", "o": "bind", "device": "/data"}}, true},
		"a share":                   {&volume.Volume{Driver: "local", Options: map[string]string{"type": "nfs", "device": ":/data"}}, true},
		"of another driver":         {&volume.Volume{Driver: "rexray"}, true},
		"of the whole cluster":      {&volume.Volume{Driver: "local", Scope: "global"}, true},
		"with options, and no data": {&volume.Volume{Driver: "local", Options: map[string]string{"o": "size=1g"}}, false},
	} {
		if got := pointsElsewhere(c.v); (got != "") != c.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestAVolumeIsWrittenByWhatMountsItSo(t *testing.T) {
	for _, c := range []struct {
		m    mount.Mount
		want bool
	}{
		{mount.Mount{Type: mount.TypeVolume, Source: "v"}, true}, {mount.Mount{Type: mount.TypeVolume, Source: "v", ReadOnly: true}, false},
		{mount.Mount{Type: mount.TypeVolume, Source: "w"}, false}, {mount.Mount{Type: mount.TypeBind, Source: "v"}, false},
	} {
		var s swarm.Service
		s.Spec.TaskTemplate.ContainerSpec = &swarm.ContainerSpec{Mounts: []mount.Mount{c.m}}
		if got := writes(s, "v"); got != c.want {
			t.Errorf("%+v: %t", c.m, got)
		}
	}
	for volume, want := range map[string]bool{"db_data-1": true, "db_data-": true, "db_data": false, "xdb_data-1": false, "dbXdata-1": false} {
		if got := (Mount{Source: "db_data-{{.Task.Slot}}"}).mayBe(volume); got != want {
			t.Errorf("%s is one for a task: %t", volume, got)
		}
	}
}
