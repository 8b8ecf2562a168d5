package storetest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os/exec"
	"path/filepath"
	"strconv"
)

// Standby makes and starts a streaming replica of the cluster, which has to be durable.
// From then on a commit of the cluster is acknowledged only when the replica has it.
func (c *Cluster) Standby(ctx context.Context) (*Cluster, error) {
	s := &Cluster{bin: c.bin, opts: c.opts, account: c.account, password: c.password}
	base, err := baseFolder("", c.account)
	if err != nil {
		return nil, err
	}
	if s.dir, err = makeFolder(base, c.account); err != nil {
		return nil, err
	}
	if err := s.follow(ctx, c); err != nil {
		s.Stop()
		return nil, err
	}
	for _, q := range []string{"ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"} {
		if err := c.exec(ctx, q); err != nil {
			s.Stop()
			return nil, err
		}
	}
	return s, nil
}

func (c *Cluster) follow(ctx context.Context, primary *Cluster) error {
	guard, err := startWatchdog(c.dir)
	if err != nil {
		return err
	}
	c.guard = guard
	cmd := exec.CommandContext(ctx, filepath.Join(c.bin, "pg_basebackup"), "--pgdata", c.dataDir(), "--write-recovery-conf",
		"--checkpoint=fast", "--wal-method=stream", "--no-sync", "--dbname", primary.DSN("postgres"))
	c.prepare(cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("pg_basebackup: %w\n%s", err, tail(string(out)))
	}
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

// Promote makes a standby a primary and returns when it takes writes.
func (c *Cluster) Promote(ctx context.Context) error {
	return c.exec(ctx, "SELECT pg_promote(true, 30)")
}

// EitherDSN returns the address of a database that is at one of the clusters, whichever
// takes writes.
func EitherDSN(db string, clusters ...*Cluster) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(superuser, clusters[0].password), Path: "/" + db,
		RawQuery: "sslmode=disable&target_session_attrs=read-write"}
	for i, c := range clusters {
		if i > 0 {
			u.Host += ","
		}
		u.Host += net.JoinHostPort("127.0.0.1", strconv.Itoa(c.port))
	}
	return u.String()
}
