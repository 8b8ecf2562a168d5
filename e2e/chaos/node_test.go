//go:build unix

package chaos

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

const (
	operatorKey = "chaos-operator-key-0123456789"
	serverKey   = "chaos-server-key-0123456789ab"
)

// node is one server process: this test binary, run again as the real command line.
type node struct {
	url    string
	config string
	clock  string // file, see movedClock
	log    *os.File

	mu     sync.Mutex // of the process: one thing is done to it at a time
	cmd    *exec.Cmd
	offset time.Duration
}

// newNode makes a node that is not running. dir is its own.
func newNode(dir, listen, config string) (*node, error) {
	n := &node{url: "http://" + listen, config: filepath.Join(dir, "bellhop.yaml"), clock: filepath.Join(dir, "clock")}
	if err := os.WriteFile(n.config, []byte(config), 0o600); err != nil {
		return nil, err
	}
	if err := setClock(n.clock, 0); err != nil {
		return nil, err
	}
	var err error
	n.log, err = os.Create(filepath.Join(dir, "log"))
	return n, err
}

// start runs the process. It comes up only while its database can be reached, so start
// tries again until it is ready.
func (n *node) start() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.startLocked()
}

func (n *node) startLocked() error {
	if n.cmd != nil {
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); {
		cmd := exec.Command(self, "serve", "--config", n.config)
		cmd.Env = append(os.Environ(), clockEnv+"="+n.clock, "BELLHOP_OPERATOR_KEY="+operatorKey, "BELLHOP_SERVER_KEY="+serverKey)
		cmd.Stdout, cmd.Stderr, cmd.Dir = n.log, n.log, filepath.Dir(n.config)
		if _, err := cmd.StdinPipe(); err != nil { // closed when the process ends, theirs or ours
			return err
		}
		if err := cmd.Start(); err != nil {
			return err
		}
		ended := make(chan struct{})
		go func() { _ = cmd.Wait(); close(ended) }()
		if n.ready(ended) {
			n.cmd = cmd
			return nil
		}
		_ = cmd.Process.Kill()
		<-ended
		pause(50 * time.Millisecond)
	}
	return errors.New("the server did not become ready")
}

// ready looks, for longer than a busy machine needs, until the server answers, its process ends or the time is up.
func (n *node) ready(ended <-chan struct{}) bool {
	c := http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); pause(10 * time.Millisecond) {
		select {
		case <-ended:
			return false
		default:
		}
		if resp, err := c.Get(n.url + "/readyz"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return true
			}
		}
	}
	return false
}

// signal sends a signal to the process, if there is one, and reports whether there was.
func (n *node) signal(s syscall.Signal) bool {
	return n.cmd != nil && n.cmd.Process.Signal(s) == nil
}

// end ends the process and waits for that. It returns the process id, 0 when there was none.
func (n *node) end(s syscall.Signal) int {
	if n.cmd == nil {
		return 0
	}
	pid := n.cmd.Process.Pid
	n.signal(s)
	for deadline := time.Now().Add(20 * time.Second); processLives(pid); pause(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			n.signal(syscall.SIGKILL)
		}
	}
	n.cmd = nil
	return pid
}

// processLives reports whether the process has not ended yet; who started it waits for
// it, so an ended one is gone.
func processLives(pid int) bool { return syscall.Kill(pid, 0) == nil }

// move moves the node's clock to an offset from the machine's.
func (n *node) move(offset time.Duration) error {
	n.offset = offset
	return setClock(n.clock, offset)
}

// tail is the end of the node's log.
func (n *node) tail() string {
	data, err := os.ReadFile(n.log.Name())
	if err != nil {
		return err.Error()
	}
	if len(data) > 5000 {
		data = data[len(data)-5000:]
	}
	return fmt.Sprintf("the end of the log of %s:\n%s", n.url, data)
}
