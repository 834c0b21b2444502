// Command testservice is what the services of the tests run: it does one thing that a service may do.
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: testservice run|stubborn|fail|serve|ok|dial ...")
		os.Exit(2)
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, syscall.SIGINT)
	switch os.Args[1] {
	case "run": // until told to end; leaves a mark in /data if that is there
		mark()
		<-end
	case "stubborn": // until killed
		mark()
		for {
			<-end
		}
	case "fail": // at once, with words
		fmt.Println("starting")
		fmt.Println("cannot open the database: no such luck")
		os.Exit(3)
	case "serve": // HTTP after a while
		delay, err := time.ParseDuration(os.Args[2])
		check(err)
		time.Sleep(delay)
		listener, err := net.Listen("tcp", ":8080")
		check(err)
		go func() { check(http.Serve(listener, http.NotFoundHandler())) }()
		<-end
	case "ok": // a healthcheck that succeeds
	case "dial": // an address, once
		conn, err := net.DialTimeout("tcp", os.Args[2], time.Second)
		check(err)
		check(conn.Close())
	}
}

func mark() {
	if _, err := os.Stat("/data"); err == nil {
		check(os.WriteFile("/data/mark-"+fmt.Sprint(time.Now().UnixNano()), nil, 0o600))
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
