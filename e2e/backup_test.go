package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"bellhop/internal/store"
)

// run runs a command of the program in the world's folder.
func (w *world) run(args ...string) (string, error) {
	cmd := exec.Command(binary, append(args, "--config", filepath.Join(w.dir, "bellhop.yaml"))...)
	cmd.Dir = w.dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// mustRun is run for a command that has to succeed.
func (w *world) mustRun(args ...string) string {
	w.t.Helper()
	out, err := w.run(args...)
	if err != nil {
		w.t.Fatalf("bellhop %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func newOracle() *oracle {
	return &oracle{leads: map[string]string{}, support: map[string]string{}, paid: map[string]bool{}, chats: map[string]string{}}
}

// copied returns what was accepted until now.
func (o *oracle) copied() *oracle {
	o.mu.Lock()
	defer o.mu.Unlock()
	c := newOracle()
	for k, v := range o.leads {
		c.leads[k] = v
	}
	for k, v := range o.support {
		c.support[k] = v
	}
	for k, v := range o.paid {
		c.paid[k] = v
	}
	for k, v := range o.chats {
		c.chats[k] = v
	}
	return c
}

// Promise: a backup that is made while the server works under load holds everything that
// was accepted before it began. Restored, nothing of that is lost, and what vendors did
// after the backup is not done a second time.
func TestABackupUnderLoadLosesNothingAndRepeatsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, store.SQLite, worldOpts{latency: 3 * time.Millisecond})
	o := newOracle()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for n := range 6 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			w.load(ctx, o, n)
		}()
	}
	var before *oracle
	w.until("some load", time.Minute, func() bool {
		before = o.copied()
		return len(before.leads) > 10 && len(before.paid) > 10 && len(before.chats) > 5
	})
	out := w.mustRun("backup", "--json", "b.db")
	var snap store.Snapshot
	if err := json.Unmarshal([]byte(out), &snap); err != nil || snap.Events == 0 || snap.Bytes == 0 {
		t.Fatalf("%v: %s", err, out)
	}
	if fi, err := os.Stat(filepath.Join(w.dir, "b.db")); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("the backup has mode %v (%v), want 0600", fi.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(w.dir, "b.db?*")); len(left) > 0 {
		t.Errorf("beside the backup there is %v", left)
	}
	if out, err := w.run("restore", "b.db"); err == nil || !strings.Contains(out, "another bellhop is serving") {
		t.Errorf("a restore under a server: %v\n%s", err, out)
	}
	// What was open in the backup is carried out before the server stops: after the restore
	// it is open again, and done already.
	cancel()
	wg.Wait()
	w.until("the work to be done", time.Minute, w.drained)
	w.stop()
	w.mustRun("restore", "b.db")
	w.start()
	w.until("the restored work to be settled", 3*time.Minute, func() bool {
		open := w.openSteps()
		delete(open, "manual")
		return len(open) == 0
	})
	w.compare(before)
	if kept, _ := filepath.Glob(filepath.Join(w.dir, "bellhop.db.before-restore-*")); len(kept) != 1 {
		t.Errorf("the database that was there: %v", kept)
	}
	t.Logf("the backup held %d events, %d of %d steps open", snap.Events, snap.OpenSteps, snap.Steps)
}

// A backup that is killed leaves nothing under its name.
func TestAKilledBackupLeavesNoHalfFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, store.SQLite, worldOpts{})
	for n := range 200 {
		code, out := w.mustCall("POST", "/v1/leads", serverKey, map[string]string{"email": fmt.Sprintf("p%d@example.com", n),
			"message": strings.Repeat("a long wish ", 100)}, "Idempotency-Key", fmt.Sprint("k", n))
		if code != http.StatusAccepted {
			t.Fatalf("%d %v", code, out)
		}
	}
	whole := 0
	for n := range 12 {
		name := fmt.Sprintf("b%d.db", n)
		cmd := exec.Command(binary, "backup", name, "--config", filepath.Join(w.dir, "bellhop.yaml"))
		cmd.Dir = w.dir
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if n%2 == 0 {
			// As soon as the copy is on its way.
			w.until("the copy to begin", time.Minute, func() bool {
				part, _ := filepath.Glob(filepath.Join(w.dir, name+".partial-*"))
				_, err := os.Stat(filepath.Join(w.dir, name))
				return len(part) > 0 || err == nil
			})
		}
		pause(time.Duration(n) * 10 * time.Millisecond)
		_ = cmd.Process.Signal(syscall.SIGKILL)
		_ = cmd.Wait()
		path := filepath.Join(w.dir, name)
		if _, err := os.Stat(path); err != nil {
			continue
		}
		whole++
		if s, err := store.Inspect(context.Background(), path); err != nil || s.Events != 200 {
			t.Errorf("%s is there and holds %d events (%v)", name, s.Events, err)
		}
	}
	t.Logf("%d of 12 backups were complete before the kill", whole)
	w.mustRun("backup", "last.db")
}

// A restore that is killed leaves the old database or the backup in place, whole, and the
// old one is never lost.
func TestAKilledRestoreLosesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, store.SQLite, worldOpts{})
	lead := func(n int) {
		t.Helper()
		code, out := w.mustCall("POST", "/v1/leads", serverKey, map[string]string{"email": fmt.Sprintf("p%d@example.com", n),
			"message": "a demo"}, "Idempotency-Key", fmt.Sprint("k", n))
		if code != http.StatusAccepted {
			t.Fatalf("%d %v", code, out)
		}
	}
	for n := range 50 {
		lead(n)
	}
	w.mustRun("backup", "b.db")
	lead(50) // 51 events now, 50 in the backup
	w.stop()
	path := filepath.Join(w.dir, "bellhop.db")
	holds := func(file string) int64 {
		t.Helper()
		s, err := store.Inspect(context.Background(), file)
		if err != nil {
			t.Fatalf("%s: %v", filepath.Base(file), err)
		}
		return s.Events
	}
	done := 0
	for n := range 12 {
		cmd := exec.Command(binary, "restore", "b.db", "--config", filepath.Join(w.dir, "bellhop.yaml"))
		cmd.Dir = w.dir
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		pause(time.Duration(20+n*25) * time.Millisecond)
		_ = cmd.Process.Signal(syscall.SIGKILL)
		_ = cmd.Wait()
		old := holds(path) == 51
		kept, _ := filepath.Glob(path + ".before-restore-*")
		for _, k := range kept {
			if !strings.HasSuffix(k, "-wal") && !strings.HasSuffix(k, "-shm") {
				old = old || holds(k) == 51
			}
		}
		if !old {
			t.Fatalf("after kill %d the database with 51 events is gone; kept: %v", n, kept)
		}
		if holds(path) == 50 {
			done++
		}
	}
	t.Logf("after %d of 12 kills the backup was in place", done)
	w.mustRun("restore", "b.db")
	w.start()
}
