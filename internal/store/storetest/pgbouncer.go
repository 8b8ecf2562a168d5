package storetest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrNoPgBouncer says that PgBouncer is not installed.
var ErrNoPgBouncer = errors.New("PgBouncer is not installed; `make test` installs it")

// Pooler is a PgBouncer that lends a cluster's sessions for a transaction.
type Pooler struct {
	c      *Cluster
	port   int
	server *server
}

// StartPooler starts a PgBouncer before the cluster that keeps up to so many sessions
// for each database.
func (c *Cluster) StartPooler(sessions int) (*Pooler, error) {
	program, err := findPgBouncer()
	if err != nil {
		return nil, err
	}
	p := &Pooler{c: c}
	if p.port, err = freePort(); err != nil {
		return nil, err
	}
	users := filepath.Join(c.dir, "pgbouncer-users-"+strconv.Itoa(p.port))
	file := filepath.Join(c.dir, "pgbouncer-"+strconv.Itoa(p.port)+".ini")
	ini := fmt.Sprintf(`[databases]
* = host=127.0.0.1 port=%d
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = scram-sha-256
auth_file = %s
pool_mode = transaction
default_pool_size = %d
max_client_conn = 300
`, c.port, p.port, users, sessions)
	for name, text := range map[string]string{users: fmt.Sprintf("%q %q\n", superuser, c.password), file: ini} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			return nil, err
		}
		if err := c.account.own(name); err != nil {
			return nil, err
		}
	}
	cmd := exec.Command(program, "-q", file)
	c.prepare(cmd)
	if p.server, err = startServer(cmd, filepath.Join(c.dir, "pgbouncer-"+strconv.Itoa(p.port)+".log")); err != nil {
		return nil, fmt.Errorf("start pgbouncer: %w", err)
	}
	if err := p.wait(); err != nil {
		p.Stop()
		return nil, err
	}
	return p, nil
}

// findPgBouncer looks beside PATH too: Debian keeps it out of a user's.
func findPgBouncer() (string, error) {
	for _, name := range []string{"pgbouncer", "/usr/sbin/pgbouncer", "/opt/homebrew/bin/pgbouncer", "/usr/local/bin/pgbouncer"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", ErrNoPgBouncer
}

func (p *Pooler) wait() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		conn, err := pgx.Connect(ctx, p.DSN("postgres")+"&default_query_exec_mode=exec")
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-p.server.exited:
			return fmt.Errorf("pgbouncer ended at once:\n%s", p.server.log())
		case <-ctx.Done():
			return fmt.Errorf("pgbouncer does not answer: %w\n%s", err, p.server.log())
		case <-poll.C:
		}
	}
}

// DSN returns the address of a database through the pooler.
func (p *Pooler) DSN(db string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(superuser, p.c.password),
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(p.port)), Path: "/" + db, RawQuery: "sslmode=disable"}
	return u.String()
}

// Log returns the end of what the pooler wrote.
func (p *Pooler) Log() string { return p.server.log() }

// Stop ends the pooler.
func (p *Pooler) Stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = p.server.stop(ctx, stopImmediate) // what does not end is killed
}
