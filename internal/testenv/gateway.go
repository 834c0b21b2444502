package testenv

import (
	"context"
	_ "embed"
	"fmt"
	"net"

	"github.com/nuvla/nuvlaops/internal/testenv/images"
)

//go:embed gateway.py
var gatewayScript string

const gatewayPort = 7000

// StartGateway makes a port on 127.0.0.1 (Container.Addr) that leads to target, host:port on an attachable network whose
// services publish nothing. It returns when it listens, whether or not the target is there: a connection is closed at once
// while the target cannot be reached. The caller must Close it.
func StartGateway(ctx context.Context, network, target string) (*Container, error) {
	if _, _, err := net.SplitHostPort(target); err != nil {
		return nil, op("StartGateway", target, fmt.Errorf("%w: want host:port", err))
	}
	image, err := resolve(ctx, images.Consumer, "")
	if err != nil {
		return nil, op("StartGateway", target, err)
	}
	c, err := run(ctx, spec{
		kind: "gateway", image: image.Ref, network: network, port: gatewayPort,
		cmd:   []string{"python3", "/gateway.py", fmt.Sprint(gatewayPort), target},
		files: map[string]string{"/gateway.py": gatewayScript},
		serving: func(ctx context.Context, addr string) error {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
			if err == nil {
				err = conn.Close()
			}
			return err
		},
	})
	return c, op("StartGateway", target, err)
}
