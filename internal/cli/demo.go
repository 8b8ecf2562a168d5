package cli

import (
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"bellhop/internal/config"
	"bellhop/internal/sandbox"
)

//go:embed demo/knowledge
var demoKnowledge embed.FS

// demoCmd plays the product against fake vendors.
type demoCmd struct {
	Once   bool   `help:"Stop after the table; exit code 1 when an expectation did not hold."`
	Listen string `placeholder:"HOST:PORT" help:"Address of the server. Default: 127.0.0.1:8080, or a free port when that is taken."`
	Keep   string `placeholder:"DIR" type:"path" help:"Keep database, configuration and log in this folder."`
	JSON   bool   `help:"The table as JSON; implies --once."`

	// For tests: what happens at the vendors once they run, and how long to wait for what
	// may never come.
	meddle   func(*sandbox.Server)
	patience time.Duration
}

// Help is the command's longer help.
func (demoCmd) Help() string {
	return "Starts the real server on SQLite and fake vendors on this machine, lets customers chat and pay, takes the CRM away " +
		"in the middle and compares what every vendor holds in the end with what was asked. Then it stays up for you to look " +
		"around.\n\nExample:\n\n    bellhop demo --once"
}

// Run plays, shows the table, and stays up unless told otherwise.
func (c *demoCmd) Run(s *session) (err error) {
	dir, clean, err := c.folder()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, clean()) }()
	box := sandbox.New(sandbox.Options{Clock: s.clock, SearchLag: 200 * time.Millisecond})
	running, err := box.Start("127.0.0.1:0")
	if err != nil {
		return err
	}
	defer running.Close()
	srv, key, err := c.start(s, dir, running.URL)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, srv.stop()) }()
	if c.meddle != nil {
		c.meddle(box)
	}
	api := newAPIClient(srv.url, key)
	defer api.close()
	rows, err := c.play(s, box, api)
	if err != nil {
		return err
	}
	if err := c.report(s, rows); err != nil || c.Once || c.JSON {
		return err
	}
	c.invite(s, srv, running.URL, key)
	select {
	case <-s.ctx.Done():
		return nil
	case err := <-srv.failed:
		return err
	}
}

// folder is where the demo keeps its things, and how they are taken away.
func (c *demoCmd) folder() (string, func() error, error) {
	if c.Keep != "" {
		return c.Keep, func() error { return nil }, os.MkdirAll(c.Keep, 0o700)
	}
	dir, err := os.MkdirTemp("", "bellhop-demo-")
	return dir, func() error { return os.RemoveAll(dir) }, err
}

// start writes a configuration like anybody's and starts the server with it.
func (c *demoCmd) start(s *session, dir, vendors string) (*server, string, error) {
	if err := writeKnowledge(filepath.Join(dir, "knowledge")); err != nil {
		return nil, "", err
	}
	key := "demo-" + rand.Text()
	listen := c.Listen
	if listen == "" && !c.Once && !c.JSON {
		listen = "127.0.0.1:8080"
	}
	if listen == "" {
		listen = "127.0.0.1:0"
	}
	srv, err := c.startOn(s, dir, vendors, key, listen)
	if err != nil && c.Listen == "" && strings.Contains(err.Error(), "cannot listen") {
		srv, err = c.startOn(s, dir, vendors, key, "127.0.0.1:0")
	}
	return srv, key, err
}

func (c *demoCmd) startOn(s *session, dir, vendors, key, listen string) (*server, error) {
	path := filepath.Join(dir, config.DefaultFile)
	if err := os.WriteFile(path, []byte(demoConfig(dir, vendors, listen)), 0o600); err != nil {
		return nil, err
	}
	cfg, err := config.Load(config.LoadOpts{Path: path, Explicit: true, Vendors: manifests(),
		Env: func(name string) (string, bool) {
			if name == "BELLHOP_OPERATOR_KEY" {
				return key, true
			}
			return "", false
		}})
	if err != nil {
		return nil, err
	}
	if err := cfg.Check(false); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(dir, "bellhop.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	log := newLogger(file, false, secretsOf(cfg))
	srv, err := startServer(s.ctx, serverOpts{Config: cfg, Logger: log, Clock: s.clock, Version: describe(s.build).Version,
		Product: "Fernly", Probe: time.Second})
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	srv.logFile = file
	return srv, nil
}

// demoConfig is the configuration: every vendor is the sandbox, retries are quick.
func demoConfig(dir, vendors, listen string) string {
	quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
	at := func(vendor string) string { return quote(sandbox.BaseURL(vendors, vendor)) }
	return "# Written by bellhop demo. The vendors are fakes that live as long as the demo.\n" +
		"listen: " + quote(listen) + "\n" +
		"database: " + quote("sqlite:"+filepath.Join(dir, "bellhop.db")) + "\n" +
		"assistant: {knowledge: " + quote(filepath.Join(dir, "knowledge")) + "}\n" +
		"connections:\n" +
		"  - {name: crm, vendor: hubspot, base_url: " + at("hubspot") + ", token: " + sandbox.Token + "}\n" +
		"  - {name: stripe, vendor: stripe, base_url: " + at("stripe") + ", secret_key: " + sandbox.StripeKey +
		", webhook_secrets: [" + sandbox.DefaultStripeWebhookSecret + "]}\n" +
		"  - {name: helpdesk, vendor: zendesk, base_url: " + at("zendesk") + ", email: agent@fernly.example, token: " + sandbox.Token + "}\n" +
		"  - {name: founder, vendor: slack, url: " + at("slack") + "}\n" +
		"retry: {attempts: 3, backoff: [200ms, 500ms]}\n"
}

// writeKnowledge puts the product's documents into a folder.
func writeKnowledge(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	const from = "demo/knowledge"
	entries, err := fs.ReadDir(demoKnowledge, from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		data, err := demoKnowledge.ReadFile(from + "/" + e.Name())
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, e.Name()), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// play runs the play under a live display.
func (c *demoCmd) play(s *session, box *sandbox.Server, api *apiClient) ([]row, error) {
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	var out io.Writer = s.stdout
	if c.JSON {
		out = s.stderr
	}
	p := &play{api: api, box: box, clock: s.clock, patience: c.patience, progress: newProgress(out, s.clock, func() string { return tally(box) })}
	if p.patience <= 0 {
		p.patience = 20 * time.Second
	}
	defer p.progress.close()
	if err := p.run(ctx); err != nil {
		return nil, err
	}
	return p.check(ctx)
}

// tally is the live line of the display.
func tally(box *sandbox.Server) string {
	n := box.Counts()
	return fmt.Sprintf("CRM: %d contacts, %d notes   helpdesk: %d tickets   founder: %d messages", n.Contacts, n.Notes,
		n.Tickets, n.Messages)
}

// report shows the table; a finding when a row does not hold.
func (c *demoCmd) report(s *session, rows []row) error {
	failed := 0
	for _, r := range rows {
		if !r.OK {
			failed++
		}
	}
	if c.JSON {
		if err := writeJSON(s.stdout, map[string]any{"rows": rows, "ok": failed == 0}); err != nil {
			return err
		}
	} else {
		printRows(s.stdout, rows, colours(s))
	}
	if failed > 0 {
		var names []string
		for _, r := range rows {
			if !r.OK {
				names = append(names, r.Asked)
			}
		}
		return findings("%d of %d expectations did not hold: %s; run it with --keep DIR and read DIR/bellhop.log", failed,
			len(rows), strings.Join(names, "; "))
	}
	return nil
}

// invite says where to look.
func (c *demoCmd) invite(s *session, srv *server, vendors, key string) {
	fmt.Fprintf(s.stdout, "\nThe server stays up. Look around:\n\n"+
		"  Console             %s/console   sign in with the key %s\n"+
		"  What went on        curl -H 'Authorization: Bearer %s' %s/v1/ops/stats\n"+
		"  What vendors hold   %s/_control/snapshot\n"+
		"  API description     %s/openapi.json\n\nCtrl-C stops it.\n", srv.url, key, key, srv.url, vendors, srv.url)
}
