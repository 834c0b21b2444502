package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// docker runs the docker program and returns what it printed. stdin carries what must not stand in an argument list.
func docker(ctx context.Context, stdin string, args ...string) (string, error) {
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	endGently(cmd)
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		return "", fmt.Errorf("docker %s: %w: %s", args[0], err, strings.TrimSpace(errs.String()))
	}
	return strings.TrimSpace(out.String()), nil
}

// atDatabases runs the docker program against the engine of the databases' node.
func (d *demo) atDatabases(ctx context.Context, args ...string) (string, error) {
	if _, engine, elsewhere := strings.Cut(d.node, "="); elsewhere {
		args = append([]string{"--host=" + engine}, args...)
	}
	return docker(ctx, "", args...)
}

// endGently makes the end of the context a SIGTERM, and keeps the terminal's Ctrl-C away: the demo itself passes it on, once.
func endGently(cmd *exec.Cmd) {
	cmd.SysProcAttr = ownGroup()
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
}
