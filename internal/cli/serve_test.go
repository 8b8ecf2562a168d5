package cli

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"bellhop"
	"bellhop/internal/config"
)

func testServer(t *testing.T, database string) (*server, error) {
	t.Helper()
	cfg, err := config.Load(config.LoadOpts{Path: filepath.Join(t.TempDir(), "none.yaml"), Vendors: manifests(),
		Env: func(name string) (string, bool) {
			v, ok := map[string]string{"BELLHOP_LISTEN": "127.0.0.1:0", "BELLHOP_DATABASE": database}[name]
			return v, ok
		}})
	if err != nil {
		t.Fatal(err)
	}
	return startServer(t.Context(), serverOpts{Config: cfg, Logger: newLogger(io.Discard, false, nil),
		Clock: bellhop.SystemClock{}, Version: "test"})
}

func TestServeRunsWithoutConfiguration(t *testing.T) {
	t.Parallel()
	database := "sqlite:" + filepath.Join(t.TempDir(), "b.db")
	for range 2 { // the second start finds a database
		srv, err := testServer(t, database)
		if err != nil {
			t.Fatal(err)
		}
		api := newAPIClient(srv.url, "")
		for _, path := range []string{"/healthz", "/readyz", "/openapi.json"} {
			if err := api.do(t.Context(), http.MethodGet, path, "", nil, nil); err != nil {
				t.Error(err)
			}
		}
		if _, err := api.support(t.Context()); err == nil {
			t.Error("ops endpoints are open without an operator")
		}
		api.close()
		if err := srv.stop(); err != nil {
			t.Error(err)
		}
	}
}

func TestOneProcessServesASQLiteFile(t *testing.T) {
	t.Parallel()
	database := "sqlite:" + filepath.Join(t.TempDir(), "b.db")
	srv, err := testServer(t, database)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := testServer(t, database); err == nil || !strings.Contains(err.Error(), "another bellhop is serving") {
		t.Errorf("a second server: %v", err)
	}
	if err := srv.stop(); err != nil {
		t.Error(err)
	}
}

func TestServeSaysWhereItListensAndStopsWhenTold(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	s := testSession(t, in)
	s.ctx, s.configFile = ctx, ""
	database := "sqlite:" + filepath.Join(t.TempDir(), "b.db")
	s.env = func(name string) (string, bool) {
		v, ok := map[string]string{"BELLHOP_LISTEN": "127.0.0.1:0", "BELLHOP_DATABASE": database}[name]
		return v, ok
	}
	done := make(chan error, 1)
	go func() {
		done <- (&serveCmd{}).Run(s)
		in.Close()
	}()
	first := make([]byte, 4096)
	n, err := out.Read(first)
	if err != nil || !bytes.Contains(first[:n], []byte("bellhop is listening on http://127.0.0.1:")) ||
		!bytes.Contains(first[:n], []byte("(sqlite, 0 connections)")) {
		t.Errorf("%q, %v", first[:n], err)
	}
	cancel()
	rest, _ := io.ReadAll(out)
	if !strings.Contains(string(rest), "BELLHOP_OPERATOR_KEY") || !strings.Contains(string(rest), "/console/setup?t=") {
		t.Errorf("does not say how to open the console: %q", rest)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Promise: a server that others can reach has an operator. One who is in the database counts;
// without one it refuses before it listens.
func TestServeBeyondLoopbackNeedsAnOperator(t *testing.T) {
	t.Parallel()
	database := "sqlite:" + filepath.Join(t.TempDir(), "b.db")
	var out bytes.Buffer
	s := testSession(t, &out)
	s.env = func(name string) (string, bool) {
		v, ok := map[string]string{"BELLHOP_LISTEN": "0.0.0.0:0", "BELLHOP_DATABASE": database}[name]
		return v, ok
	}
	if err := (&serveCmd{}).Run(s); err == nil || bellhop.CodeOf(err) != bellhop.CodeInvalid || !strings.Contains(err.Error(), "nobody is its operator") {
		t.Fatalf("without an operator: %v", err)
	}
	s.stdin = strings.NewReader("correct horse battery\n")
	if err := (&addOperatorCmd{Name: "ada", Role: bellhop.OperatorOwner}).Run(s); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	s.ctx, s.stdout = ctx, w
	done := make(chan error, 1)
	go func() {
		done <- (&serveCmd{}).Run(s)
		w.Close()
	}()
	first := make([]byte, 4096)
	n, err := r.Read(first)
	if err != nil || !bytes.Contains(first[:n], []byte("bellhop is listening")) {
		t.Errorf("with an operator: %q, %v", first[:n], err)
	}
	s2 := testSession(t, io.Discard) // operators and keys are changed while it runs
	s2.env, s2.stdin = s.env, strings.NewReader("correct horse battery 2\n")
	if err := (&operatorPasswordCmd{Name: "ada"}).Run(s2); err != nil {
		t.Errorf("beside a running server: %v", err)
	}
	if err := (&createKeyCmd{Name: "shop", Scope: []bellhop.Scope{bellhop.ScopeLeadsWrite}}).Run(s2); err != nil {
		t.Errorf("a key beside a running server: %v", err)
	}
	cancel()
	rest, _ := io.ReadAll(r)
	if strings.Contains(string(rest), "/console/setup") {
		t.Errorf("a first-run link beside an operator: %q", rest)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
