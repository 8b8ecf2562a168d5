// Package storetest gives tests a clean database of each kind. It is imported by tests
// only.
package storetest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib" // the "pgx" driver of database/sql
)

// ErrNoPostgres says that no PostgreSQL server of a supported version is installed.
var ErrNoPostgres = errors.New("no PostgreSQL server binaries (version 15 or newer) found; `make test` installs them, " +
	"or set BELLHOP_PG_BIN to the folder that holds initdb and postgres")

const (
	superuser    = "bellhop_test"
	startTimeout = 60 * time.Second
	portAttempts = 10
)

// Opts configures a private cluster.
type Opts struct {
	// Durable makes commits survive a crash of the server, as in production. Tests
	// that only care about answers leave it off and are many times faster.
	Durable bool
	// Settings are further settings of the server, "name=value", after those of the tests.
	Settings []string
}

// Cluster is a private PostgreSQL server: its own data folder, a loopback port of its
// own and a random password, so that neither another test binary nor a server that
// happens to run on the machine can be touched by mistake.
type Cluster struct {
	dir      string // everything of the cluster; removed by Stop
	bin      string
	port     int
	password string
	opts     Opts
	account  *account // nil: run as ourselves
	server   *server
	guard    *watchdog
}

// StartPostgres makes and starts a private cluster below dir, or below the machine's
// folder for temporary files when dir is "". Started by root it runs as the user
// "postgres" or "nobody", because PostgreSQL refuses to run as root; dir must then be
// reachable by that user. The error wraps ErrNoPostgres when nothing is installed.
func StartPostgres(dir string, opts Opts) (*Cluster, error) {
	bin, err := findBinaries(os.Getenv)
	if err != nil {
		return nil, err
	}
	acc, err := unprivileged()
	if err != nil {
		return nil, err
	}
	base, err := baseFolder(dir, acc)
	if err != nil {
		return nil, err
	}
	removeStale(base, time.Now())
	c := &Cluster{bin: bin, opts: opts, account: acc, password: randomHex(16)}
	if c.dir, err = makeFolder(base, acc); err != nil {
		return nil, err
	}
	if err := c.boot(); err != nil {
		c.Stop()
		return nil, err
	}
	return c, nil
}

// boot fills the data folder and starts the server on the first port that is free.
func (c *Cluster) boot() error {
	if err := c.initdb(); err != nil {
		return err
	}
	// Started before the server: from here on nothing can be left behind.
	guard, err := startWatchdog(c.dir)
	if err != nil {
		return err
	}
	c.guard = guard
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for range portAttempts {
		if c.port, err = freePort(); err != nil {
			return err
		}
		if err = c.start(ctx); !errors.Is(err, errPortTaken) {
			return err
		}
	}
	return err
}

func (c *Cluster) initdb() error {
	pwfile := filepath.Join(c.dir, "password")
	if err := os.WriteFile(pwfile, []byte(c.password), 0o600); err != nil {
		return err
	}
	defer func() { _ = os.Remove(pwfile) }()
	if err := c.account.own(pwfile); err != nil {
		return err
	}
	// --no-locale: byte order, as SQLite sorts, on every machine. --no-sync: an empty
	// cluster that is lost in a power cut is nobody's loss, durable or not.
	cmd := exec.Command(filepath.Join(c.bin, "initdb"), "--pgdata", c.dataDir(), "--username", superuser,
		"--pwfile", pwfile, "--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale", "--no-sync")
	c.prepare(cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, tail(string(out)))
	}
	return nil
}

// prepare gives a command the cluster's user, folder and a clean environment: PGDATA,
// PGPORT and their like must not reach a private cluster.
func (c *Cluster) prepare(cmd *exec.Cmd) {
	cmd.Dir = c.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + c.dir, "LC_ALL=C", "TZ=UTC"}
	if root := os.Getenv("SYSTEMROOT"); root != "" {
		cmd.Env = append(cmd.Env, "SYSTEMROOT="+root) // Windows cannot open sockets without it
	}
	cmd.SysProcAttr = c.account.procAttr()
}

func (c *Cluster) dataDir() string { return filepath.Join(c.dir, "data") }

func (c *Cluster) serverArgs() []string {
	args := []string{"-D", c.dataDir(), "-p", strconv.Itoa(c.port)}
	settings := []string{"listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=200",
		"shared_buffers=32MB", "max_wal_size=256MB", "checkpoint_timeout=30min", "timezone=UTC", "jit=off",
		"logging_collector=off", "log_min_messages=warning"}
	if !c.opts.Durable {
		settings = append(settings, "fsync=off", "full_page_writes=off", "synchronous_commit=off")
	}
	settings = append(settings, c.opts.Settings...)
	for _, s := range settings {
		args = append(args, "-c", s)
	}
	return args
}

// start runs the server and waits until it answers.
func (c *Cluster) start(ctx context.Context) error {
	cmd := exec.Command(filepath.Join(c.bin, "postgres"), c.serverArgs()...)
	c.prepare(cmd)
	srv, err := startServer(cmd, filepath.Join(c.dir, "postgres.log"))
	if err != nil {
		return fmt.Errorf("start postgres: %w", err)
	}
	c.server = srv
	db, err := sql.Open("pgx", c.DSN("postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		if err = db.PingContext(ctx); err == nil {
			return nil
		}
		select {
		case <-srv.exited:
			return srv.failure()
		case <-ctx.Done():
			return fmt.Errorf("postgres does not answer: %w\n%s", err, srv.log())
		case <-poll.C:
		}
	}
}

// DSN returns the address of a database of the cluster as a postgres:// URL.
func (c *Cluster) DSN(db string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(superuser, c.password),
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(c.port)), Path: "/" + db, RawQuery: "sslmode=disable"}
	return u.String()
}

// CreateDB makes an empty database.
func (c *Cluster) CreateDB(ctx context.Context, name string) error {
	return c.exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
}

// CloneDB makes a database as a copy of another one that nobody is connected to: many
// times faster than migrating an empty one.
func (c *Cluster) CloneDB(ctx context.Context, from, name string) error {
	return c.exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()+" TEMPLATE "+pgx.Identifier{from}.Sanitize())
}

// DropDB removes a database and ends whatever is still connected to it.
func (c *Cluster) DropDB(ctx context.Context, name string) error {
	return c.exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)")
}

func (c *Cluster) exec(ctx context.Context, stmt string) error {
	conn, err := pgx.Connect(ctx, c.DSN("postgres"))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, stmt)
	return errors.Join(err, conn.Close(ctx))
}

// Restart stops the server and starts it again under the same address. Immediate ends
// it as a crash would: no checkpoint, connections cut, recovery from the log.
func (c *Cluster) Restart(ctx context.Context, immediate bool) error {
	how := stopFast
	if immediate {
		how = stopImmediate
	}
	if err := c.server.stop(ctx, how); err != nil {
		return err
	}
	return c.Resume(ctx)
}

// Pause stops the server in order; Resume starts it again.
func (c *Cluster) Pause(ctx context.Context) error { return c.server.stop(ctx, stopFast) }

// Resume starts a stopped server again under the same address.
func (c *Cluster) Resume(ctx context.Context) error {
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for {
		err := c.start(ctx)
		if !errors.Is(err, errPortTaken) {
			return err
		}
		select { // somebody got our port in between; the address is promised, so wait for it
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-poll.C:
		}
	}
}

// Stop ends the server at once and removes everything of it. It may be called twice.
func (c *Cluster) Stop() {
	if c.server != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = c.server.stop(ctx, stopImmediate) // what does not end is killed
		c.server = nil
	}
	_ = os.RemoveAll(c.dir)
	c.guard.release()
	c.guard = nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// tail returns the last lines of a log: the part that says what went wrong.
func tail(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}
