//go:build unix

package nodes

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"bellhop/internal/sandbox"
)

const (
	operatorKey = "nodes-operator-key-0123456789"
	serverKey   = "nodes-server-key-0123456789ab"
)

// site is one installation: sandbox vendors and nodes on one database.
type site struct {
	t     *testing.T
	dir   string
	box   *sandbox.Server
	nodes []*node
	http  *http.Client
}

type siteOpts struct {
	database string
	nodes    int
	retry    string          // YAML of the section; "" for quick retries
	latency  time.Duration   // of the vendors
	clocks   []time.Duration // how far each node's clock is off
	wrap     []string        // a command that runs the server
	idle     bool            // the nodes are not started
}

// node is one server process: this test binary, run again as the real command line.
type node struct {
	s      *site
	url    string
	listen string
	clock  time.Duration
	wrap   []string
	log    *os.File

	mu    sync.Mutex
	cmd   *exec.Cmd
	ended chan struct{}
}

func newSite(t *testing.T, o siteOpts) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), box: sandbox.New(sandbox.Options{SearchLag: -1, Latency: o.latency}),
		http: &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}}
	run, err := s.box.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if o.retry == "" {
		o.retry = "{attempts: 3, backoff: [100ms, 300ms]}"
	}
	root := run.URL
	cfg := fmt.Sprintf(`database: %q
public_url: http://bellhop.test
connections:
  - {name: crm, vendor: hubspot, base_url: %q, token: %s}
  - {name: stripe, vendor: stripe, base_url: %q, secret_key: %s, webhook_secrets: ["%s"]}
  - {name: helpdesk, vendor: zendesk, base_url: %q, email: ops@example.com, token: %s}
  - {name: founder, vendor: slack, url: %q}
retry: %s
`, o.database, sandbox.BaseURL(root, "hubspot"), sandbox.Token, sandbox.BaseURL(root, "stripe"), sandbox.StripeKey,
		sandbox.DefaultStripeWebhookSecret, sandbox.BaseURL(root, "zendesk"), sandbox.Token, sandbox.BaseURL(root, "slack"), o.retry)
	if err := os.WriteFile(filepath.Join(s.dir, "bellhop.yaml"), []byte(cfg), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, n := range s.nodes {
			n.signal(syscall.SIGCONT)
			n.end(syscall.SIGTERM)
		}
		run.Close()
		if t.Failed() {
			s.dumpLogs()
		}
	})
	for i := range max(o.nodes, 1) {
		n := s.addNode(o)
		if i < len(o.clocks) {
			n.clock = o.clocks[i]
		}
		if !o.idle {
			n.start()
		}
	}
	return s
}

// addNode makes a node that is not running.
func (s *site) addNode(o siteOpts) *node {
	s.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	n := &node{s: s, listen: l.Addr().String(), url: "http://" + l.Addr().String(), wrap: o.wrap}
	l.Close()
	if n.log, err = os.Create(filepath.Join(s.dir, fmt.Sprintf("log-%d", len(s.nodes)))); err != nil {
		s.t.Fatal(err)
	}
	s.nodes = append(s.nodes, n)
	return n
}

// begin runs the process; start waits until it is ready too.
func (n *node) begin() {
	n.s.t.Helper()
	self, err := os.Executable()
	if err != nil {
		n.s.t.Fatal(err)
	}
	args := append(append([]string{}, n.wrap...), self, "serve", "--config", filepath.Join(n.s.dir, "bellhop.yaml"))
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = n.s.dir
	cmd.Env = append(os.Environ(), clockEnv+"="+n.clock.String(), "BELLHOP_LISTEN="+n.listen,
		"BELLHOP_OPERATOR_KEY="+operatorKey, "BELLHOP_SERVER_KEY="+serverKey)
	cmd.Stdout, cmd.Stderr = n.log, n.log
	if err := cmd.Start(); err != nil {
		n.s.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	n.mu.Lock()
	n.cmd, n.ended = cmd, ended
	n.mu.Unlock()
}

func (n *node) start() {
	n.s.t.Helper()
	n.begin()
	n.s.until("node "+n.url+" to be ready", 90*time.Second, func() bool {
		select {
		case <-n.ended:
			n.s.t.Fatal("a node ended at its start")
		default:
		}
		return n.ready() == http.StatusOK
	})
}

// ready returns the status of /readyz, 0 when nobody answers.
func (n *node) ready() int {
	code, _, err := n.call("GET", "/readyz", "", nil)
	if err != nil {
		return 0
	}
	return code
}

// pid returns the process id, 0 when it does not run.
func (n *node) pid() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cmd == nil {
		return 0
	}
	return n.cmd.Process.Pid
}

func (n *node) signal(sig syscall.Signal) {
	if pid := n.pid(); pid != 0 {
		_ = syscall.Kill(pid, sig) // it may have ended
	}
}

// end ends the process and waits; it must end by itself within its own limits.
func (n *node) end(sig syscall.Signal) {
	n.mu.Lock()
	cmd, ended := n.cmd, n.ended
	n.cmd = nil
	n.mu.Unlock()
	if cmd == nil {
		return
	}
	_ = cmd.Process.Signal(sig)
	timer := time.NewTimer(40 * time.Second)
	defer timer.Stop()
	select {
	case <-ended:
	case <-timer.C:
		n.s.t.Errorf("a node did not end within 40 s after %s", sig)
		_ = cmd.Process.Kill()
		<-ended
	}
}

// logText returns everything the node wrote.
func (n *node) logText() string {
	data, err := os.ReadFile(n.log.Name())
	if err != nil {
		n.s.t.Error(err)
	}
	return string(data)
}

func (s *site) dumpLogs() {
	for i, n := range s.nodes {
		text := n.logText()
		s.t.Logf("the end of the log of node %d:\n%s", i, text[max(0, len(text)-40000):])
	}
}

// call sends a request; an error means that no answer came.
func (n *node) call(method, path, key string, body any, header ...string) (int, map[string]any, error) {
	var rd io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return 0, nil, err
		}
		rd = bytes.NewReader(data)
	}
	req, err := http.NewRequest(method, n.url+path, rd)
	if err != nil {
		return 0, nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := n.s.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil, err
	}
	out := map[string]any{}
	if len(data) > 0 && strings.Contains(resp.Header.Get("Content-Type"), "json") {
		err = json.Unmarshal(data, &out)
	}
	return resp.StatusCode, out, err
}

// must is call for a node that answers with one of the statuses of success.
func (n *node) must(method, path, key string, body any, header ...string) map[string]any {
	n.s.t.Helper()
	code, out, err := n.call(method, path, key, body, header...)
	if err != nil || code/100 != 2 {
		n.s.t.Fatalf("%s %s: %d %v %v", method, path, code, out, err)
	}
	return out
}

// until looks until a condition holds.
func (s *site) until(what string, limit time.Duration, cond func() bool) time.Duration {
	s.t.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			s.t.Fatalf("waited %s in vain for %s", limit, what)
		}
	}
	return time.Since(began)
}

// open counts the steps that are not finished, as a node sees them.
func (n *node) open() map[string]int {
	code, out, err := n.call("GET", "/v1/ops/stats?window=1h", operatorKey, nil)
	if err != nil || code != http.StatusOK {
		return map[string]int{"unreachable": 1}
	}
	open := map[string]int{}
	for state, c := range out["steps_by_state"].(map[string]any) {
		if state != "done" && state != "dropped" {
			open[state] = int(c.(float64))
		}
	}
	return open
}

func (n *node) drained() bool { return len(n.open()) == 0 }

// steps returns the newest steps of a connection.
func (n *node) steps(connection string) []map[string]any {
	n.s.t.Helper()
	out := n.must("GET", "/v1/ops/steps?limit=1000&connection="+connection, operatorKey, nil)
	var list []map[string]any
	for _, x := range out["steps"].([]any) {
		list = append(list, x.(map[string]any))
	}
	return list
}

// wait lets real time pass, where that is what is tested.
func wait(d time.Duration) {
	t := time.NewTimer(d)
	<-t.C
}
