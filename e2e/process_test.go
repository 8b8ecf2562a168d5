package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	parts "bellhop/e2e/world"
	"bellhop/internal/sandbox"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

const (
	operatorKey = "e2e-operator-key-0123456789"
	serverKey   = "e2e-server-key-0123456789ab"
)

// world is one installation: a database, sandbox vendors and a server that can die.
type world struct {
	t      *testing.T
	dir    string
	url    string // of the API
	listen string
	box    *sandbox.Server
	root   string // of the sandbox
	log    *os.File
	http   *http.Client

	mu  sync.Mutex
	cmd *exec.Cmd
}

type worldOpts struct {
	retry   string // YAML of the retry section
	latency time.Duration
	noRun   bool
}

func newWorld(t *testing.T, kind store.Kind, o worldOpts) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), box: sandbox.New(sandbox.Options{SearchLag: -1, Latency: o.latency}),
		http: &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	run, err := w.box.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.root = run.URL
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.listen = l.Addr().String()
	l.Close()
	w.url = "http://" + w.listen
	if w.log, err = os.Create(filepath.Join(w.dir, "log")); err != nil {
		t.Fatal(err)
	}
	w.config(kind, o)
	t.Cleanup(func() {
		w.stop()
		run.Close()
		w.http.CloseIdleConnections()
		w.checkLog()
		if t.Failed() {
			w.dumpLog()
		}
	})
	if !o.noRun {
		w.start()
	}
	return w
}

func (w *world) config(kind store.Kind, o worldOpts) {
	w.t.Helper()
	db := "sqlite:" + filepath.Join(w.dir, "bellhop.db")
	if kind == store.Postgres {
		db = storetest.URL(w.t, kind)
	}
	retry := o.retry
	if retry == "" {
		retry = "{attempts: 3, backoff: [50ms, 100ms]}"
	}
	cfg := fmt.Sprintf("listen: %s\ndatabase: %q\n%s", w.listen, db, parts.Connections(w.root, retry))
	if err := os.WriteFile(filepath.Join(w.dir, "bellhop.yaml"), []byte(cfg), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// checkLog looks for what may not be in a log. Promise: no secret and no e-mail address is.
func (w *world) checkLog() {
	for _, leak := range parts.LogLeaks(w.log.Name(), operatorKey, serverKey) {
		w.t.Error(leak)
	}
}

func (w *world) dumpLog() {
	data, err := os.ReadFile(filepath.Join(w.dir, "log"))
	if err != nil {
		return
	}
	if len(data) > 6000 {
		data = data[len(data)-6000:]
	}
	w.t.Logf("the end of the server's log:\n%s", data)
}

// start starts the server and returns when it is ready.
func (w *world) start() {
	w.t.Helper()
	cmd := exec.Command(binary, "serve", "--config", filepath.Join(w.dir, "bellhop.yaml"))
	cmd.Dir = w.dir
	cmd.Env = append(os.Environ(), "BELLHOP_OPERATOR_KEY="+operatorKey, "BELLHOP_SERVER_KEY="+serverKey)
	w.begin(cmd)
}

// begin starts a server's process and returns when it is ready.
func (w *world) begin(cmd *exec.Cmd) {
	w.t.Helper()
	cmd.Stdout, cmd.Stderr = w.log, w.log
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.mu.Lock()
	w.cmd = cmd
	w.mu.Unlock()
	if !w.ready(60 * time.Second) {
		w.dumpLog()
		w.t.Fatal("the server did not become ready")
	}
}

// ready looks until the server answers, or the time is up.
func (w *world) ready(limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if resp, err := w.http.Get(w.url + "/readyz"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return true
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
}

// signal sends a signal and waits for the process to end.
func (w *world) signal(sig syscall.Signal) error {
	w.mu.Lock()
	cmd := w.cmd
	w.cmd = nil
	w.mu.Unlock()
	if cmd == nil {
		return nil
	}
	if err := cmd.Process.Signal(sig); err != nil {
		return err
	}
	return cmd.Wait()
}

func (w *world) kill() { _ = w.signal(syscall.SIGKILL) } // it always ends with "killed"

// stop ends the server as an operator does.
func (w *world) stop() {
	var exit *exec.ExitError
	if err := w.signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) && !errors.As(err, &exit) {
		w.t.Errorf("stop: %v", err)
	} else if exit != nil {
		w.t.Errorf("the server ended with %v after SIGTERM", exit)
	}
}

// call sends a request; an error means that no answer came.
func (w *world) call(method, path, key string, body any, header ...string) (int, map[string]any, error) {
	return parts.Call(w.http, method, w.url+path, key, body, header...)
}

// mustCall is call for a server that lives.
func (w *world) mustCall(method, path, key string, body any, header ...string) (int, map[string]any) {
	w.t.Helper()
	code, out, err := w.call(method, path, key, body, header...)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	return code, out
}

func (w *world) until(what string, limit time.Duration, cond func() bool) {
	w.t.Helper()
	parts.Until(w.t, what, limit, cond)
}

// openSteps counts the steps that are not finished, by state.
func (w *world) openSteps() map[string]int { return parts.OpenSteps(w.http, w.url, operatorKey) }

func (w *world) drained() bool { return len(w.openSteps()) == 0 }
