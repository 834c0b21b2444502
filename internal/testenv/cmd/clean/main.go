// Command clean removes everything that carries the label of the test environment from the Docker engine, whoever made it:
// containers, services, secrets, networks, volumes, images, and a swarm that was made for tests. Nothing else is touched.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/nuvla/nuvlaops/internal/testenv"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	removed, err := testenv.Clean(ctx)
	for _, what := range removed {
		fmt.Println("removed", what)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "clean:", err)
		os.Exit(1)
	}
}
