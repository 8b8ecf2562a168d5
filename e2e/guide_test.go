package e2e

import (
	"bytes"
	"context"
	"database/sql"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"bellhop/internal/sandbox"
	"bellhop/internal/store/storetest"
)

// blocks returns the code blocks of a language in a section of a page.
func blocks(t *testing.T, page, section, lang string) []string {
	t.Helper()
	_, rest, ok := strings.Cut(page, "\n## "+section)
	if !ok {
		t.Fatalf("the guide has no section %q", section)
	}
	rest, _, _ = strings.Cut(rest, "\n## ")
	var out []string
	for _, m := range regexp.MustCompile("(?s)```"+lang+"\n(.*?)```").FindAllStringSubmatch(rest, -1) {
		out = append(out, m[1])
	}
	if len(out) == 0 {
		t.Fatalf("section %q of the guide has no %s", section, lang)
	}
	return out
}

// reader is somebody who follows the guide: its words, with their own addresses in it.
type reader struct {
	*world
	page string
	own  *strings.Replacer
	env  []string
	// exports are what the blocks before have put into the shell's environment.
	exports string
}

// sh runs what the guide says, in a shell, as it stands.
func (r *reader) sh(section string, n int) string {
	r.t.Helper()
	script := r.own.Replace(blocks(r.t, r.page, section, "sh")[n])
	cmd := exec.CommandContext(r.t.Context(), "sh", "-eu", "-c", r.exports+script)
	cmd.Dir, cmd.Env = r.dir, r.env
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		r.t.Fatalf("%s\n%v: %s", script, err, complaints.String())
	}
	for line := range strings.Lines(script) {
		if strings.HasPrefix(line, "export ") { // the next block finds it: it is the same shell
			r.exports += line
		}
	}
	return out.String()
}

// sql runs what the guide says, as the owner of the database.
func (r *reader) sql(db *sql.DB, section string) {
	r.t.Helper()
	for _, text := range blocks(r.t, r.page, section, "sql") {
		if _, err := db.ExecContext(r.t.Context(), r.own.Replace(text)); err != nil {
			r.t.Fatalf("%s\n%v", text, err)
		}
	}
}

// Promise: docs/supabase.md works word for word on a Postgres that has never seen Bellhop.
// What needs a Supabase project is tried elsewhere: the functions under Deno (supabase/).
func TestTheSupabaseGuideIsFollowed(t *testing.T) {
	page, err := os.ReadFile("../docs/supabase.md")
	if err != nil {
		t.Fatal(err)
	}
	c := storetest.Postgres(t)
	if err := c.CreateDB(context.Background(), "guide"); err != nil {
		t.Fatal(err)
	}
	owner := c.DSN("guide")
	u, err := url.Parse(owner)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("bellhop_app", "PASSWORD")
	db, err := sql.Open("pgx", owner)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() }) //nolint:errcheck // the test is over
	r := newReader(t, string(page), owner, u.String())

	if schema := r.sh("1.", 0); !strings.Contains(schema, "CREATE SCHEMA IF NOT EXISTS bellhop") {
		t.Errorf("what is looked at first is no schema:\n%.300s", schema)
	}
	r.sql(db, "2.")
	r.configure()
	key := r.sh("3.", 0)
	r.serve()
	key = strings.TrimSpace(key[strings.LastIndex(strings.TrimSpace(key), "\n")+1:])

	var strangers int
	if err := db.QueryRowContext(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE datname = 'guide' AND usename <> 'bellhop_app'
		AND pid <> pg_backend_pid()`).Scan(&strangers); err != nil || strangers > 0 {
		t.Errorf("the server holds %d connections that are not of the role with the least rights (%v)", strangers, err)
	}

	r.sql(db, "5.")
	var leads, support, facts int
	r.until("what was emitted to be taken in", 30*time.Second, func() bool {
		err := db.QueryRowContext(t.Context(), `SELECT (SELECT count(*) FROM bellhop.leads), (SELECT count(*) FROM bellhop.support_requests
			WHERE subject = 'Export fails'), (SELECT count(*) FROM bellhop.events WHERE vendor_type = 'trial.ended')`).Scan(&leads, &support, &facts)
		return err == nil && leads == 1 && support == 1 && facts == 1
	})
	code, out := r.mustCall(http.MethodPost, "/v1/leads", key, map[string]string{"email": "you@example.com"}, "Idempotency-Key", "try-1")
	again, same := r.mustCall(http.MethodPost, "/v1/leads", key, map[string]string{"email": "you@example.com"}, "Idempotency-Key", "try-1")
	if code != http.StatusAccepted || again != http.StatusOK || out["id"] != same["id"] {
		t.Errorf("the key of the guide: %d %v, then %d %v", code, out, again, same)
	}
	if code, _ := r.mustCall(http.MethodPost, "/v1/support-requests", key,
		map[string]string{"subject": "a", "message": "b"}, "Idempotency-Key", "try-2"); code != http.StatusForbidden {
		t.Errorf("the key has a right that the guide did not give it: %d", code)
	}
	r.stop()
	if _, err := db.ExecContext(t.Context(), "DROP SCHEMA bellhop CASCADE"); err != nil {
		t.Errorf("taking it out again: %v", err)
	}
}

func newReader(t *testing.T, page, owner, server string) *reader {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listen := l.Addr().String()
	l.Close()
	dir := t.TempDir()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, dir: dir, listen: listen, url: "http://" + listen, log: log, http: &http.Client{Timeout: 20 * time.Second}}
	t.Cleanup(func() {
		w.stop()
		w.http.CloseIdleConnections()
		w.checkLog()
	})
	r := &reader{world: w, page: page, own: strings.NewReplacer(
		"postgres://postgres:…@db.REF.supabase.co:5432/postgres?sslmode=require", owner,
		"0.0.0.0:8080", listen, "| less", "| cat", "\nbellhop serve\n", "\n",
		"postgres://bellhop_app:PASSWORD@db.REF.supabase.co:5432/postgres?sslmode=require", server, "read -rs CONSOLE_PASSWORD\n", "")}
	r.env = append(os.Environ(), "PATH="+filepath.Dir(binary)+string(os.PathListSeparator)+os.Getenv("PATH"),
		"STRIPE_SECRET_KEY="+sandbox.StripeKey,
		"STRIPE_WEBHOOK_SECRET="+sandbox.DefaultStripeWebhookSecret, "CONSOLE_PASSWORD=correct horse battery staple")
	return r
}

// configure writes the guide's bellhop.yaml.
func (r *reader) configure() {
	r.t.Helper()
	cfg := r.own.Replace(blocks(r.t, r.page, "3.", "yaml")[0])
	if err := os.WriteFile(filepath.Join(r.dir, "bellhop.yaml"), []byte(cfg), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// serve starts the server with no more than the guide has: no key in the environment.
func (r *reader) serve() {
	r.t.Helper()
	cmd := exec.Command("sh", "-eu", "-c", r.exports+"exec bellhop serve")
	cmd.Dir, cmd.Env = r.dir, r.env
	r.begin(cmd)
}
