package stack

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops"
)

// ProbeHTTP is a probe for StartOptions: a GET that answers with a status below 400. Elasticsearch answers
// /_cluster/health with 200 also when it is red, but with 408 when it is asked for ?wait_for_status=yellow&timeout=1s.
func ProbeHTTP(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return errors.New("the probe's address is no URL") // err shows all of it, a password too
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20)) // so that the connection can be used again
		if res.StatusCode >= 400 {
			return fmt.Errorf("GET %s: HTTP %d", req.URL.Redacted(), res.StatusCode)
		}
		return nil
	}
}

// ProbeZooKeeper is a probe for StartOptions: a ZooKeeper server that answers srvr with its mode, so that it serves.
func ProbeZooKeeper(address string) func(context.Context) error {
	return func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		defer conn.Close()
		defer context.AfterFunc(ctx, func() { _ = conn.Close() })() // ends a read that waits
		if _, err := io.WriteString(conn, "srvr\n"); err != nil {
			return err
		}
		for scan := bufio.NewScanner(conn); scan.Scan(); {
			if strings.HasPrefix(scan.Text(), "Mode:") {
				return nil
			}
		}
		return fmt.Errorf("zookeeper at %s does not serve", address)
	}
}

// ProbeFrom is a probe for StartOptions that runs a command in a short container on an attachable network, where the
// names of services resolve. It succeeds when the command exits with 0. The image must be on the engine.
func (s *Swarm) ProbeFrom(network, image string, command ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		name := "nuvlaops-probe-" + rand.Text()
		defer s.removeProbe(ctx, name) // also after an error: the reply may be lost, not the request
		made, err := s.api.ContainerCreate(ctx, client.ContainerCreateOptions{Name: name,
			Config:     &container.Config{Image: image, Entrypoint: command, Labels: map[string]string{labelProbe: network}},
			HostConfig: &container.HostConfig{NetworkMode: container.NetworkMode(network)},
		})
		if err != nil {
			return explain(image, err)
		}
		if _, err := s.api.ContainerStart(ctx, made.ID, client.ContainerStartOptions{}); err != nil {
			return explain(image, err)
		}
		wait := s.api.ContainerWait(ctx, made.ID, client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning})
		select {
		case err := <-wait.Error:
			return explain(image, err)
		case res := <-wait.Result:
			if res.StatusCode == 0 {
				return nil
			}
			return &nuvlaops.Error{Resource: image, Reason: fmt.Sprintf("the probe exits with %d: %s", res.StatusCode,
				s.lastContainerLines(ctx, made.ID)), Err: nuvlaops.ErrUnavailable}
		}
	}
}

func (s *Swarm) removeProbe(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	_, err := s.api.ContainerRemove(ctx, name, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	if err != nil && !cerrdefs.IsNotFound(err) {
		s.opts.Logger.WarnContext(ctx, "container of a probe not removed", "container", name, "error", err)
	}
}

func (s *Swarm) lastContainerLines(ctx context.Context, id string) string {
	logs, err := s.api.ContainerLogs(ctx, id, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Tail: fmt.Sprint(logLines)})
	if err != nil {
		return ""
	}
	defer logs.Close()
	return strings.Join(readLog(logs), " | ")
}
