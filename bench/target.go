package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	neturl "net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"bellhop/internal/sandbox"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

const (
	operatorKey = "bench-operator-key-0123456789"
	serverKey   = "bench-server-key-0123456789"
	jwtSecret   = "bench-jwt-secret-0123456789-0123456789-0123456789"
	supabaseURL = "http://127.0.0.1:1"
)

// lab is what all measurements share.
type lab struct {
	dir     string // removed at the end
	binary  string // the release binary
	self    string // this program, which is the floor as well
	pg      *storetest.Cluster
	box     *sandbox.Server
	vendor  *vendor
	seconds time.Duration // of one measurement
	rounds  int
	conns   int
	out     *report
	dbs     int // databases made so far
	events  int // prefixes given out so far
}

// target is a process that is measured.
type target struct {
	addr  string
	db    string
	cmd   *exec.Cmd
	log   *os.File
	ready time.Duration // from start to the first answer
}

// database returns the URL of a new, empty database.
func (l *lab) database(ctx context.Context, kind store.Kind) (string, error) {
	l.dbs++
	name := fmt.Sprintf("b%d", l.dbs)
	if kind == store.SQLite {
		dir := filepath.Join(l.dir, name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			return "", err
		}
		return "sqlite:" + filepath.Join(dir, "bellhop.db"), nil
	}
	if err := l.pg.CreateDB(ctx, name); err != nil {
		return "", err
	}
	return l.pg.DSN(name), nil
}

// dropDatabase removes what database made.
func (l *lab) dropDatabase(ctx context.Context, kind store.Kind, url string) error {
	if kind == store.SQLite {
		return os.RemoveAll(filepath.Dir(url[len("sqlite:"):]))
	}
	u, err := neturl.Parse(url)
	if err != nil {
		return err
	}
	return l.pg.DropDB(ctx, strings.TrimPrefix(u.Path, "/"))
}

func freeAddr() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}

// bellhop starts the release binary on a database. extra is YAML: the limits of the CRM
// connection, for one.
func (l *lab) bellhop(ctx context.Context, db, crmLimits string) (*target, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(l.dir, "serve-")
	if err != nil {
		return nil, err
	}
	cfg := fmt.Sprintf(`listen: %s
database: %q
auth:
  supabase: {url: %q, jwt_secret: %s}
connections:
  - {name: crm, vendor: hubspot, base_url: %q, token: %s%s}
  - {name: stripe, vendor: stripe, base_url: %q, secret_key: %s, webhook_secrets: ["%s"]}
  - {name: helpdesk, vendor: zendesk, base_url: %q, email: ops@example.com, token: %s}
`, addr, db, supabaseURL, jwtSecret, sandbox.BaseURL(l.vendor.url, "hubspot"), sandbox.Token, crmLimits,
		sandbox.BaseURL(l.vendor.url, "stripe"), sandbox.StripeKey, sandbox.DefaultStripeWebhookSecret,
		sandbox.BaseURL(l.vendor.url, "zendesk"), sandbox.Token)
	path := filepath.Join(dir, "bellhop.yaml")
	if err := os.WriteFile(path, []byte(cfg), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command(l.binary, "serve", "--config", path)
	cmd.Env = append(os.Environ(), "BELLHOP_OPERATOR_KEY="+operatorKey, "BELLHOP_SERVER_KEY="+serverKey)
	return l.start(ctx, cmd, dir, addr, db, "/readyz")
}

// floor starts the hand-written handler.
func (l *lab) floor(ctx context.Context, db string, grouped bool, call string) (*target, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(l.dir, "floor-")
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(l.self, "floor", "-listen", addr, "-db", db, "-call", call, fmt.Sprintf("-grouped=%v", grouped))
	return l.start(ctx, cmd, dir, addr, db, "/")
}

func (l *lab) start(ctx context.Context, cmd *exec.Cmd, dir, addr, db, probe string) (*target, error) {
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	t := &target{addr: addr, db: db, cmd: cmd, log: log}
	for time.Since(began) < 30*time.Second && ctx.Err() == nil {
		resp, err := http.Get("http://" + addr + probe)
		if err == nil {
			resp.Body.Close()
			if probe == "/" || resp.StatusCode == http.StatusOK {
				t.ready = time.Since(began)
				return t, nil
			}
		}
		time.Sleep(2 * time.Millisecond)
	}
	_ = cmd.Process.Kill() // it is told below
	_ = cmd.Wait()
	text, _ := os.ReadFile(log.Name())
	return nil, fmt.Errorf("%s did not become ready: %.2000s", filepath.Base(cmd.Path), text)
}

// stop ends the process gently, and by force when that takes too long: a backlog that
// nobody waits for is no reason to wait.
func (t *target) stop() error {
	defer t.log.Close()
	if err := t.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- t.cmd.Wait() }()
	select {
	case err := <-done:
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return nil // the floor's connections are cut
		}
		return err
	case <-time.After(15 * time.Second):
		_ = t.cmd.Process.Kill()
		<-done
		return nil
	}
}
