package storetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// errPortTaken says that another process got the port between choosing and using it.
var errPortTaken = errors.New("the port is taken")

// server is a running postmaster.
type server struct {
	cmd     *exec.Cmd
	logPath string
	exited  chan struct{} // closed when the process is gone
}

// startServer runs cmd with its output in logPath. The process is started and waited
// for on one locked thread: on Linux the signal that ends a child with its parent is
// sent when the thread that started it ends, and Go's threads come and go.
func startServer(cmd *exec.Cmd, logPath string) (*server, error) {
	out, err := os.Create(logPath)
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = out, out
	endWithParent(cmd.SysProcAttr)
	s := &server{cmd: cmd, logPath: logPath, exited: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(s.exited)
		defer func() { _ = out.Close() }()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is in the log
		}
	}()
	return s, <-started
}

func (s *server) log() string {
	b, err := os.ReadFile(s.logPath)
	if err != nil {
		return err.Error()
	}
	return tail(string(b))
}

// failure says why the server ended by itself.
func (s *server) failure() error {
	text := s.log()
	if strings.Contains(text, "could not bind") || strings.Contains(text, "could not create any TCP/IP sockets") {
		return fmt.Errorf("%w\n%s", errPortTaken, text)
	}
	return fmt.Errorf("postgres ended at once:\n%s", text)
}

// stop ends the server and waits for it; one that outlives ctx is killed, which is an
// error because a killed postmaster can leave its children behind for a moment.
func (s *server) stop(ctx context.Context, sig os.Signal) error {
	if err := s.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-s.exited:
		return nil
	case <-ctx.Done():
		_ = s.cmd.Process.Kill()
		<-s.exited
		return fmt.Errorf("postgres did not stop in time: %w", ctx.Err())
	}
}
