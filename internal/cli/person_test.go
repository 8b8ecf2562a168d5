package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bellhop"
	"bellhop/internal/config"
	"bellhop/internal/sandbox"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// later is a clock that is ahead of the machine's.
type later struct{ by time.Duration }

func (c later) Now() time.Time { return time.Now().UTC().Add(c.by) }

// product is a configured Bellhop with a fake HubSpot, for commands and servers.
type product struct {
	t    *testing.T
	path string
	box  *sandbox.Server
	env  func(string) (string, bool)
}

func newProduct(t *testing.T, kind store.Kind) *product {
	t.Helper()
	p := &product{t: t, path: filepath.Join(t.TempDir(), "bellhop.yaml"), box: sandbox.New(sandbox.Options{SearchLag: -1})}
	run, err := p.box.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(run.Close)
	p.env = func(name string) (string, bool) {
		v, ok := map[string]string{"BELLHOP_LISTEN": "127.0.0.1:0", "BELLHOP_SERVER_KEY": "person-test-server-key", "USER": "sam"}[name]
		return v, ok
	}
	yaml := fmt.Sprintf("database: %q\nconnections:\n  - {name: crm, vendor: hubspot, base_url: %q, token: %s}\n",
		storetest.URL(t, kind), sandbox.BaseURL(run.URL, "hubspot"), sandbox.Token)
	if err := os.WriteFile(p.path, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *product) serve(clock bellhop.Clock) *server {
	p.t.Helper()
	cfg, err := config.Load(config.LoadOpts{Path: p.path, Explicit: true, Vendors: manifests(), Env: p.env})
	if err != nil {
		p.t.Fatal(err)
	}
	srv, err := startServer(p.t.Context(), serverOpts{Config: cfg, Logger: newLogger(io.Discard, false, nil), Clock: clock, Version: "test"})
	if err != nil {
		p.t.Fatal(err)
	}
	return srv
}

// command runs a command and returns what it printed and its exit code.
func (p *product) command(cmd interface{ Run(*session) error }) (string, int, error) {
	p.t.Helper()
	var out bytes.Buffer
	s := testSession(p.t, &out)
	s.configFile, s.env = p.path, p.env
	err := cmd.Run(s)
	return out.String(), codeOf(err), err
}

func TestAPersonIsExportedErasedAndDeletedAtTheVendor(t *testing.T) {
	t.Parallel()
	for _, kind := range storetest.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			p := newProduct(t, kind)
			p.takeLead()
			export, code, err := p.command(&personExportCmd{Who: "Ada@example.com"})
			if code != exitGood || !strings.Contains(export, "Ada Byron") {
				t.Fatalf("export: %d %v %s", code, err, export)
			}
			if _, code, err := p.command(&personEraseCmd{Who: "ada@example.com"}); code != exitUsage || !strings.Contains(err.Error(), "--yes") {
				t.Errorf("erased without being asked to: %d %v", code, err)
			}
			receipt, code, err := p.command(&personEraseCmd{Who: "ada@example.com", Yes: true, JSON: true})
			if code != exitGood {
				t.Fatalf("erase: %d %v", code, err)
			}
			var exp store.PersonExport
			var rec store.Receipt
			if err := json.Unmarshal([]byte(export), &exp); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(receipt), &rec); err != nil || rec.SHA256 != exp.SHA256 || rec.RequestedBy != "sam" {
				t.Errorf("receipt %s, %v; export %s", receipt, err, exp.SHA256)
			}
			for _, cmd := range []interface{ Run(*session) error }{&personExportCmd{Who: "ada@example.com"},
				&personEraseCmd{Who: "ada@example.com", Yes: true}, &personReceiptCmd{Who: "bob@example.com"}} {
				if _, code, err := p.command(cmd); code != exitFindings {
					t.Errorf("%T of nobody: %d %v", cmd, code, err)
				}
			}
			if out, code, err := p.command(&personReceiptCmd{Who: "ada@example.com"}); code != exitGood || !strings.Contains(out, rec.Signature) {
				t.Errorf("receipt: %d %v %s", code, err, out)
			}
			srv := p.serve(later{2 * time.Minute}) // by now the step is long due
			if err := p.box.Wait(t.Context(), func(s sandbox.Snapshot) bool { return len(s.ErasedContacts) == 1 && len(s.Contacts) == 0 }); err != nil {
				t.Errorf("HubSpot still has the contact: %v", err)
			}
			if err := srv.stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

// takeLead serves until a lead has reached HubSpot and nothing is open.
func (p *product) takeLead() {
	p.t.Helper()
	srv := p.serve(bellhop.SystemClock{})
	api := newAPIClient(srv.url, "")
	defer api.close()
	req, err := http.NewRequest(http.MethodPost, srv.url+"/v1/leads", strings.NewReader(`{"name":"Ada Byron","email":"ada@example.com","message":"a demo"}`))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", "k1")
	req.Header.Set("Authorization", "Bearer person-test-server-key")
	resp, err := api.http.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		p.t.Fatalf("lead: %s", resp.Status)
	}
	if err := p.box.Wait(p.t.Context(), func(s sandbox.Snapshot) bool { return len(s.Contacts) == 1 && len(s.Notes) == 1 }); err != nil {
		p.t.Fatal(err)
	}
	p.settled(srv)
	if err := srv.stop(); err != nil {
		p.t.Fatal(err)
	}
}

// settled waits until no step is open: an answer is recorded a moment after it came.
func (p *product) settled(srv *server) {
	p.t.Helper()
	limit, tick := time.NewTimer(time.Minute), time.NewTicker(10*time.Millisecond)
	defer limit.Stop()
	defer tick.Stop()
	for {
		left, err := srv.db.OpenConnections(p.t.Context())
		if err != nil {
			p.t.Fatal(err)
		}
		if len(left) == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-limit.C:
			p.t.Fatal("steps stay open")
		}
	}
}
