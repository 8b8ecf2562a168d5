package nodes

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"bellhop/internal/sandbox"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// smallDisk mounts a file system of a few MB; false where nobody may mount.
func smallDisk(t *testing.T, megabytes int) (string, bool) {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "bellhop-disk-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	run := func(args ...string) error {
		if os.Geteuid() != 0 {
			args = append([]string{"sudo", "-n"}, args...)
		}
		return exec.Command(args[0], args[1:]...).Run()
	}
	if err := run("mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%dm,mode=0777", megabytes), "tmpfs", dir); err != nil {
		t.Logf("no small disk can be mounted here (%v)", err)
		return "", false
	}
	t.Cleanup(func() {
		if err := run("umount", "-l", dir); err != nil {
			t.Errorf("umount: %v", err)
		}
	})
	return dir, true
}

// ballast fills a disk to the last byte; the returned function takes it away.
func ballast(t *testing.T, dir string) func() {
	t.Helper()
	name := filepath.Join(dir, "ballast")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, size := range []int{1 << 16, 1 << 12, 1} { // to the last byte
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
	return func() {
		if err := os.Remove(name); err != nil {
			t.Error(err)
		}
	}
}

// random is text that nothing can make smaller, so that a disk is soon full.
func random(t *testing.T) string {
	b := make([]byte, 1500)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return " " + hex.EncodeToString(b)
}

// fullDisk takes the space away from under a load, looks at how the site bears it, gives
// the space back and checks that everything goes on by itself. fill returns what undoes it.
func (s *site) fullDisk(l *load, fill func() func()) {
	t := s.t
	t.Helper()
	s.until("some load", 90*time.Second, func() bool { return l.accepted() > 20 })
	empty := fill()
	n := s.nodes[0]
	refusals := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.codes[http.StatusServiceUnavailable]
	}
	s.until("requests to be refused", 90*time.Second, func() bool { return refusals() > 5 })
	s.until("/readyz to say that the disk is full", 90*time.Second, func() bool {
		code, out, err := n.call("GET", "/readyz", "", nil)
		return err == nil && code == http.StatusServiceUnavailable && strings.Contains(fmt.Sprint(out["detail"]), "disk of the database is full")
	})
	evs := s.box.Stripe().PayCheckout(sandbox.CheckoutParams{Email: "ada@example.com", Name: "Ada Byron", Amount: 4900, Currency: "eur"})
	l.note(func() {
		if !strings.Contains(l.refusal, "disk of the database is full") {
			t.Errorf("requests are refused with %q", l.refusal)
		}
	})
	if code, _, err := n.call("GET", "/healthz", "", nil); err != nil || code != http.StatusOK {
		t.Errorf("/healthz: %d %v", code, err)
	}
	empty()
	began, before := time.Now(), l.accepted()
	s.until("the load to go on", 90*time.Second, func() bool { return l.accepted() > before+10 })
	t.Logf("accepted again %s after there was space", time.Since(began).Round(time.Millisecond))
	l.deliver(0, evs)
	l.note(func() { l.paid["ada@example.com"] = true })
	s.until("/readyz", 90*time.Second, func() bool { return n.ready() == http.StatusOK })
	l.check(2 * time.Minute)
	if c := l.codes[http.StatusInternalServerError]; c > 0 {
		t.Errorf("%d requests were answered with 500", c)
	}
}

// Promise: a full disk refuses requests with 503 and a sentence, stores nothing by half,
// shows in /readyz, and is over by itself when there is space again.
func TestAFullDiskOnSQLite(t *testing.T) {
	t.Parallel()
	dir, mounted := smallDisk(t, 96)
	if !mounted {
		dir = t.TempDir()
	}
	path := filepath.Join(dir, "bellhop.db")
	s := newSite(t, siteOpts{database: "sqlite:" + path})
	fill := func() func() { return ballast(t, dir) }
	if !mounted {
		fill = func() func() { return s.limitFiles() }
	}
	s.fullDisk(s.load(3, random(t)), fill)
	s.nodes[0].end(syscall.SIGTERM)
	if _, err := store.Inspect(t.Context(), path); err != nil {
		t.Errorf("the file afterwards: %v", err)
	}
	db, err := sql.Open("sqlite3", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	checkWhole(t, db, "")
}

// limitFiles keeps the node's files from growing, where no small disk can be mounted.
func (s *site) limitFiles() func() {
	s.t.Helper()
	limit := func(soft string) {
		out, err := exec.Command("prlimit", "--pid", strconv.Itoa(s.nodes[0].pid()), "--fsize="+soft+":").CombinedOutput()
		if err != nil {
			s.t.Fatalf("prlimit: %v %s", err, out)
		}
	}
	limit("65536")
	return func() { limit("unlimited") }
}

// The same on Postgres: the tables are on the small disk, the log of the server is not.
func TestAFullDiskOnPostgres(t *testing.T) {
	t.Parallel()
	// A server of its own: its checkpoints fail too, and other tests need theirs to make databases.
	c, err := storetest.StartPostgres("", storetest.Opts{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	ctx := context.Background()
	admin, err := sql.Open("pgx", c.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { admin.Close() })
	exec := func(db *sql.DB, q string) {
		t.Helper()
		if _, err := db.ExecContext(ctx, q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	dir, mounted := smallDisk(t, 40)
	if mounted {
		space := filepath.Join(dir, "space")
		if err := os.Mkdir(space, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := chownToServer(space); err != nil {
			t.Fatal(err)
		}
		exec(admin, "CREATE TABLESPACE small LOCATION '"+space+"'")
		exec(admin, "CREATE DATABASE small TABLESPACE small")
		t.Cleanup(func() {
			if err := c.DropDB(ctx, "small"); err != nil {
				t.Error(err)
			}
			if _, err := admin.Exec("DROP TABLESPACE small"); err != nil {
				t.Error(err)
			}
		})
	} else {
		exec(admin, "CREATE DATABASE small")
	}
	s := newSite(t, siteOpts{database: c.DSN("small"), nodes: 2})
	db, err := sql.Open("pgx", c.DSN("small"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	fill := func() func() { return ballast(t, dir) }
	if !mounted {
		fill = func() func() { return refuseEvents(t, db) }
	}
	s.fullDisk(s.load(3, random(t)), fill)
	checkWhole(t, db, "bellhop.")
	for _, n := range s.nodes {
		n.end(syscall.SIGTERM)
	}
	db.Close()
}

// chownToServer gives a folder to the user that the tests' servers run as.
func chownToServer(dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return err
	}
	return os.Chown(dir, uid, -1)
}

// refuseEvents has Postgres say what it says on a full disk, where none can be mounted.
func refuseEvents(t *testing.T, db *sql.DB) func() {
	t.Helper()
	exec := func(q string) {
		t.Helper()
		if _, err := db.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	exec(`CREATE FUNCTION bellhop.full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$`)
	exec("CREATE TRIGGER is_full BEFORE INSERT ON bellhop.events FOR EACH ROW EXECUTE FUNCTION bellhop.full()")
	return func() { exec("DROP FUNCTION bellhop.full() CASCADE") }
}

// checkWhole looks for anything that was stored by half.
func checkWhole(t *testing.T, db *sql.DB, schema string) {
	t.Helper()
	for what, q := range map[string]string{
		"keys without an event":    "SELECT count(*) FROM bellhop.event_keys k WHERE NOT EXISTS (SELECT 1 FROM bellhop.events e WHERE e.id = k.event_id)",
		"events without a key":     "SELECT count(*) FROM bellhop.events e WHERE NOT EXISTS (SELECT 1 FROM bellhop.event_keys k WHERE k.event_id = e.id)",
		"steps without an event":   "SELECT count(*) FROM bellhop.steps s WHERE s.event_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM bellhop.events e WHERE e.id = s.event_id)",
		"requests without a step":  "SELECT count(*) FROM bellhop.requests r WHERE kind <> 'payment' AND NOT EXISTS (SELECT 1 FROM bellhop.steps s WHERE s.request_id = r.id)",
		"lanes that are held open": "SELECT count(*) FROM bellhop.lanes WHERE open <> 0",
	} {
		var n int
		if err := db.QueryRow(strings.ReplaceAll(q, "bellhop.", schema)).Scan(&n); err != nil || n != 0 {
			t.Errorf("%d %s (%v)", n, what, err)
		}
	}
}
