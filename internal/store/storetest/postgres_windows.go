package storetest

import (
	"os"
	"syscall"
)

// Windows has no signals: every stop is a kill, after which the server recovers.
var (
	stopFast      = os.Kill
	stopImmediate = os.Kill
)

// account is unused: a server on Windows runs as ourselves.
type account struct{}

func unprivileged() (*account, error) { return nil, nil }

func (*account) name() string                   { return "(ourselves)" }
func (*account) own(string) error               { return nil }
func (*account) canReach(string) bool           { return true }
func (*account) procAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }

func endWithParent(*syscall.SysProcAttr) {}

// processAlive has no cheap answer here; "yes" leaves the folder alone.
func processAlive(int) bool { return true }

type watchdog struct{}

func startWatchdog(string) (*watchdog, error) { return nil, nil }

func (*watchdog) release() {}
