// Package e2e runs the real program as a process, on both databases, against sandbox
// vendors, and compares what they really hold with what was accepted.
package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"bellhop/internal/store/storetest"
)

// binary is the program under test; TestMain builds it once for the test binary.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "bellhop-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "bellhop")
	build := exec.Command("go", "build", "-o", binary, "bellhop/cmd/bellhop")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		os.Exit(1)
	}
	storetest.Main(m)
}
