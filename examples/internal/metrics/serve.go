package metrics

import (
	"context"
	"net"
	"net/http"
	"time"
)

// Serve answers /metrics with the set of the moment, and /healthz, on an address such as ":9115" until stop is called. It
// returns the address that it listens on.
func Serve(address string, now func() *Set, healthz http.HandlerFunc) (on net.Addr, stop func(), err error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", Handler(now))
	mux.HandleFunc("GET /healthz", healthz)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(l) }()
	return l.Addr(), func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = server.Shutdown(ctx)
	}, nil
}
