//go:build unix

package nodes

import (
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

	"bellhop/e2e/world"
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
	cfg := fmt.Sprintf("database: %q\npublic_url: http://bellhop.test\n%s", o.database, world.Connections(run.URL, o.retry))
	if err := os.WriteFile(filepath.Join(s.dir, "bellhop.yaml"), []byte(cfg), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, n := range s.nodes {
			n.signal(syscall.SIGCONT)
			n.end(syscall.SIGTERM)
		}
		run.Close()
		for _, n := range s.nodes {
			for _, leak := range world.LogLeaks(n.log.Name(), operatorKey, serverKey) {
				t.Error(leak)
			}
		}
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
	return world.Call(n.s.http, method, n.url+path, key, body, header...)
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
	return world.Until(s.t, what, limit, cond)
}

// open counts the steps that are not finished, as a node sees them.
func (n *node) open() map[string]int { return world.OpenSteps(n.s.http, n.url, operatorKey) }

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
