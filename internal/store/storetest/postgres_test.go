package storetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// childEnv makes this test binary play the parent that is killed, see
// TestClusterDiesWithItsParent.
const childEnv = "BELLHOP_STORETEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		runChild()
	}
	Main(m)
}

// runChild starts a cluster, tells where it is and waits to be killed.
func runChild() {
	c, err := StartPostgres("", Opts{})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(c.dir, c.server.cmd.Process.Pid)
	select {}
}

func startForTest(t *testing.T, opts Opts) *Cluster {
	t.Helper()
	c, err := StartPostgres("", opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	return c
}

func open(t *testing.T, c *Cluster, name string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", c.DSN(name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func mustExec(t *testing.T, db *sql.DB, stmt string) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), stmt); err != nil {
		t.Fatalf("%s: %v", stmt, err)
	}
}

func queryString(t *testing.T, db *sql.DB, query string) string {
	t.Helper()
	var s string
	if err := db.QueryRowContext(t.Context(), query).Scan(&s); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return s
}

func TestTwoClustersShareNothing(t *testing.T) {
	t.Parallel()
	a, b := startForTest(t, Opts{}), startForTest(t, Opts{})
	if a.DSN("x") == b.DSN("x") || a.dir == b.dir {
		t.Fatalf("two clusters at one place: %s", a.dir)
	}
	if err := a.CreateDB(t.Context(), `odd "name"`); err != nil {
		t.Fatal(err)
	}
	mustExec(t, open(t, a, `odd "name"`), "CREATE TABLE here (x int)")
	if got := queryString(t, open(t, b, "postgres"), `SELECT count(*) FROM pg_database WHERE datname LIKE 'odd%'`); got != "0" {
		t.Fatalf("the database of one cluster is seen in the other")
	}
	if got := queryString(t, open(t, a, "postgres"), "SHOW server_encoding"); got != "UTF8" {
		t.Fatalf("encoding is %s", got)
	}
}

func TestImmediateRestartKeepsAddressAndDurableData(t *testing.T) {
	t.Parallel()
	c := startForTest(t, Opts{Durable: true})
	if err := c.CreateDB(t.Context(), "kept"); err != nil {
		t.Fatal(err)
	}
	db := open(t, c, "kept")
	if got := queryString(t, db, "SHOW fsync"); got != "on" {
		t.Fatalf("durable, but fsync is %s", got)
	}
	mustExec(t, db, "CREATE TABLE kept (x int)")
	mustExec(t, db, "INSERT INTO kept VALUES (7)")
	before := c.DSN("kept")
	for _, immediate := range []bool{true, false} {
		if err := c.Restart(t.Context(), immediate); err != nil {
			t.Fatal(err)
		}
		if c.DSN("kept") != before {
			t.Fatal("the address changed")
		}
		if got := queryString(t, open(t, c, "kept"), "SELECT x FROM kept"); got != "7" {
			t.Fatalf("after a restart (immediate %v) x is %s", immediate, got)
		}
	}
}

func TestStopRemovesEverythingAndMayBeRepeated(t *testing.T) {
	t.Parallel()
	c := startForTest(t, Opts{})
	srv := c.server
	c.Stop()
	c.Stop()
	if processAlive(srv.cmd.Process.Pid) {
		t.Error("the server still runs")
	}
	if _, err := os.Stat(c.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is still there: %v", err)
	}
}

func TestCloneAndDrop(t *testing.T) {
	t.Parallel()
	c := Postgres(t)
	for _, step := range []error{
		c.CreateDB(t.Context(), "clone_from"),
		c.CloneDB(t.Context(), "clone_from", "clone_to"),
		c.DropDB(t.Context(), "clone_from"),
		c.DropDB(t.Context(), "clone_from"),
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
	if got := queryString(t, open(t, c, "clone_to"), "SELECT current_database()"); got != "clone_to" {
		t.Fatalf("connected to %s", got)
	}
}

func TestServerIsNotRootAndNeedsThePassword(t *testing.T) {
	t.Parallel()
	c := Postgres(t)
	if os.Geteuid() == 0 && c.account == nil {
		t.Error("started by root the server must drop its privileges")
	}
	wrong := strings.Replace(c.DSN("postgres"), c.password, "guess", 1)
	db, err := sql.Open("pgx", wrong)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if err := db.PingContext(t.Context()); err == nil {
		t.Error("a wrong password got in")
	}
}

func TestMissingServerIsTold(t *testing.T) {
	t.Parallel()
	_, err := findBinaries(func(string) string { return "/nowhere" })
	if !errors.Is(err, ErrNoPostgres) || !strings.Contains(err.Error(), "make test") {
		t.Fatalf("the error does not tell what to do: %v", err)
	}
}

func TestUnreachableFolderIsTold(t *testing.T) {
	t.Parallel()
	acc, err := unprivileged()
	if err != nil || acc == nil {
		acc = nil // not root: every folder of ours can be reached
	}
	dir := filepath.Join(t.TempDir(), "closed")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	_, err = baseFolder(dir, acc)
	if (err == nil) != (acc == nil) {
		t.Fatalf("as %s: %v", acc.name(), err)
	}
}

func TestStaleFoldersGoAndLiveOnesStay(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	folder := func(name, pid string, age time.Duration) string {
		dir := filepath.Join(base, folderPrefix+name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, ownerFile), []byte(pid), 0o600); err != nil {
			t.Fatal(err)
		}
		then := time.Now().Add(-age)
		if err := os.Chtimes(dir, then, then); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	const gone = "999999999" // beyond every system's largest process id
	stale := folder("stale", gone, 2*staleAfter)
	young := folder("young", gone, 0)
	live := folder("live", "2", 2*staleAfter)
	if err := os.WriteFile(filepath.Join(live, ownerFile), []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
		t.Fatal(err)
	}
	then := time.Now().Add(-2 * staleAfter)
	if err := os.Chtimes(live, then, then); err != nil {
		t.Fatal(err)
	}
	removeStale(base, time.Now())
	if _, err := os.Stat(stale); err == nil && runtime.GOOS != "windows" {
		t.Error("a stale folder stays")
	}
	for _, dir := range []string{young, live} {
		if _, err := os.Stat(dir); err != nil {
			t.Errorf("%s was taken: %v", filepath.Base(dir), err)
		}
	}
}

// TestClusterDiesWithItsParent kills a process that owns a cluster and sees that
// neither the server nor its folder outlives it.
func TestClusterDiesWithItsParent(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childEnv+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	n, _ := out.Read(buf)
	dir, pidText, ok := strings.Cut(strings.TrimSpace(string(buf[:n])), " ")
	pid, err := strconv.Atoi(pidText)
	if !ok || err != nil {
		_ = cmd.Process.Kill()
		t.Fatalf("the child said %q", buf[:n])
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed: that is an error
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		_, statErr := os.Stat(dir)
		if !processAlive(pid) && errors.Is(statErr, os.ErrNotExist) {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("after its parent's death: server alive %v, folder: %v", processAlive(pid), statErr)
		case <-poll.C:
		}
	}
}
