//go:build unix

// Package chaos breaks a running installation in every way it can think of, at moments
// that a seed decides, and then counts: what was accepted is at the vendors once, or with
// a person who knows why.
//
// A seed decides the plan: who asks for what and when, what breaks when and for how long,
// what the operators press. The same seed is the same plan. How the operating system
// schedules the processes in between is not in anybody's hands, so a seed that failed once
// may have to be run a few times to fail again.
package chaos

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"bellhop/internal/cli"
)

// clockEnv names the file that holds how far the clock of a server is off. A test binary
// that finds it in its environment is that server.
const clockEnv = "BELLHOP_CHAOS_CLOCK"

func TestMain(m *testing.M) {
	if path := os.Getenv(clockEnv); path != "" {
		serve(path)
	}
	m.Run()
}

// serve is the real command line on a clock that can be moved.
func serve(path string) {
	clock, err := openClock(path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	go func() { // the test holds the other end: a server does not outlive it
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(3)
	}()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(cli.Run(ctx, os.Args[1:], nil, os.Stdout, os.Stderr, cli.Build{Version: "chaos", Clock: clock}))
}
