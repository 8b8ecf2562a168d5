//go:build unix

// Package nodes runs several servers on one Postgres, as real processes, and breaks what
// is between and below them: nodes that are killed, frozen or restarted, a transaction
// pooler, a database that restarts, fails over, runs full or has no connections left.
package nodes

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"bellhop/internal/cli"
	"bellhop/internal/store/storetest"
)

// clockEnv holds how far the clock of a server's machine is off. A test binary that finds
// it in its environment is that server.
const clockEnv = "BELLHOP_NODES_CLOCK"

func TestMain(m *testing.M) {
	if off := os.Getenv(clockEnv); off != "" {
		serve(off)
	}
	// These tests wait much more than they work: more of them at a time than there are cores.
	flag.Parse()
	if err := flag.Set("test.parallel", "4"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	storetest.Main(m)
}

// wrongClock is a clock that is off.
type wrongClock struct{ by time.Duration }

func (c wrongClock) Now() time.Time { return time.Now().UTC().Add(c.by) }

// serve is the real command line.
func serve(off string) {
	by, err := time.ParseDuration(off)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(cli.Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, cli.Build{Version: "nodes", Clock: wrongClock{by}}))
}
