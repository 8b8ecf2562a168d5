// Bench measures Bellhop as its users run it: the release binary as a process, on each
// store, beside a floor in the same run. The floor is a hand-written handler that checks
// the signature, inserts one row and answers. Only ratios of one run say something about
// Bellhop; the figures themselves are the machine's.
//
//	go run ./bench                          # all that fits into about 20 minutes
//	go run ./bench -work W1,W2 -store sqlite -rounds 3
//	go run ./bench -full                    # with backlogs of 1 M steps and 10 M events
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"bellhop/internal/sandbox"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

// opts are the flags.
type opts struct {
	work, stores, json string
	binary             string
	seconds            time.Duration
	rounds, conns      int
	full               bool
	pgSettings         string
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == "floor" {
		return floorCommand(args[1:])
	}
	var o opts
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.StringVar(&o.work, "work", "", "which of W0 to W9, separated by commas; all when empty")
	fs.StringVar(&o.stores, "store", "sqlite,postgres", "which stores")
	fs.StringVar(&o.json, "json", "", "write every value to this file")
	fs.StringVar(&o.binary, "binary", "", "measure this binary; empty builds the release one")
	fs.DurationVar(&o.seconds, "time", 5*time.Second, "length of one measurement")
	fs.IntVar(&o.rounds, "rounds", 5, "rounds, alternating between the subjects")
	fs.IntVar(&o.conns, "conns", 64, "connections of the load generator")
	fs.BoolVar(&o.full, "full", false, "the large backlogs and databases too")
	fs.StringVar(&o.pgSettings, "pg", "", "further settings of the Postgres server, name=value separated by spaces")
	if err := fs.Parse(args); err != nil {
		return err
	}
	return measure(ctx, o)
}

func floorCommand(args []string) error {
	var o floorOpts
	fs := flag.NewFlagSet("floor", flag.ContinueOnError)
	fs.StringVar(&o.listen, "listen", "", "")
	fs.StringVar(&o.db, "db", "", "")
	fs.StringVar(&o.call, "call", "", "")
	fs.BoolVar(&o.grouped, "grouped", false, "")
	if err := fs.Parse(args); err != nil {
		return err
	}
	return runFloor(o)
}

// works are the pieces of work, in the order in which they are measured.
func works() []struct {
	name string
	run  func(context.Context, *lab, store.Kind, opts) error
} {
	return []struct {
		name string
		run  func(context.Context, *lab, store.Kind, opts) error
	}{
		{"W0", workStart}, {"W1", workAccept}, {"W2", workDeliver}, {"W3", workDuplicates}, {"W4", workChat},
		{"W5", workBacklog}, {"W6", workGrown}, {"W7", workSlowVendor}, {"W8", workIdle},
	}
}

func measure(ctx context.Context, o opts) error {
	l, err := newLab(ctx, o)
	if err != nil {
		return err
	}
	defer l.close()
	wanted := strings.FieldsFunc(strings.ToUpper(o.work), func(r rune) bool { return r == ',' || r == ' ' })
	var errs []error
	for _, w := range works() {
		if len(wanted) > 0 && !slices.Contains(wanted, w.name) {
			continue
		}
		for _, kind := range []store.Kind{store.SQLite, store.Postgres} {
			if !strings.Contains(o.stores, string(kind)) || ctx.Err() != nil {
				continue
			}
			if err := w.run(ctx, l, kind, o); err != nil {
				errs = append(errs, fmt.Errorf("%s on %s: %w", w.name, kind, err))
				fmt.Fprintln(os.Stderr, errs[len(errs)-1])
			}
		}
	}
	fmt.Println()
	l.out.print(os.Stdout)
	if o.json != "" {
		errs = append(errs, l.out.save(o.json))
	}
	return errors.Join(errs...)
}

func newLab(ctx context.Context, o opts) (*lab, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "bellhop-bench-")
	if err != nil {
		return nil, err
	}
	l := &lab{dir: dir, self: self, binary: o.binary, seconds: o.seconds, rounds: o.rounds, conns: o.conns,
		out: &report{Machine: fmt.Sprintf("%s/%s, %d CPUs, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version()),
			Began: time.Now().UTC(), w: os.Stderr}}
	if l.binary == "" {
		l.binary = filepath.Join(dir, "bellhop")
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", l.binary, "bellhop/cmd/bellhop")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			l.close()
			return nil, fmt.Errorf("build: %w\n%s", err, out)
		}
	}
	if strings.Contains(o.stores, string(store.Postgres)) {
		if l.pg, err = storetest.StartPostgres("", storetest.Opts{Durable: true, Settings: append(serverSettings(), strings.Fields(o.pgSettings)...)}); err != nil {
			l.close()
			return nil, err
		}
	}
	l.box = sandbox.New(sandbox.Options{SearchLag: -1, Latency: time.Millisecond})
	if l.vendor, err = startVendor(l.box); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// serverSettings are those of a small database server of a founder, not those of a test.
func serverSettings() []string {
	return []string{"shared_buffers=512MB", "max_wal_size=4GB", "maintenance_work_mem=256MB"}
}

func (l *lab) close() {
	if l.vendor != nil {
		l.vendor.close()
	}
	if l.box != nil {
		l.box.Close()
	}
	if l.pg != nil {
		l.pg.Stop()
	}
	_ = os.RemoveAll(l.dir) // a folder for temporary files
}
