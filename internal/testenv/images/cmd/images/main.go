// Command images finds or makes the images of the test environment and prints their references.
//
//	go run ./internal/testenv/images/cmd/images [-all] [NAME[:VERSION]...]
//
// Without names it takes those that the demo needs, with -all those that the tests need. Steps go to standard error,
// lines NAME:VERSION=REFERENCE to standard output.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/nuvla/nuvlaops/internal/testenv/images"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "images:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	all := flag.Bool("all", false, "also the versions that only the tests need")
	flag.Parse()
	specs, err := wanted(*all, flag.Args())
	if err != nil {
		return err
	}
	resolver, err := images.New(&images.Options{Progress: show})
	if err != nil {
		return err
	}
	start := time.Now()
	found, err := resolver.ResolveAll(ctx, specs)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%d images in %s\n", len(found), time.Since(start).Round(100*time.Millisecond))
	for _, image := range found {
		fmt.Printf("%s:%s=%s\n", image.Name, image.Version, image.Ref)
	}
	return nil
}

func wanted(all bool, names []string) ([]images.Spec, error) {
	if len(names) == 0 && all {
		return images.All(), nil
	}
	if len(names) == 0 {
		return images.Defaults(), nil
	}
	var specs []images.Spec
	for _, name := range names {
		spec, err := images.ParseSpec(name)
		if err != nil {
			return nil, err
		}
		specs = append(specs, spec)
	}
	return specs, nil
}

func show(s images.Step) { fmt.Fprintln(os.Stderr, s) }
