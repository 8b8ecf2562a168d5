package cli

import (
	"errors"
	"fmt"
	"io"

	"bellhop/internal/config"
	"bellhop/internal/store"
)

// backupCmd copies the SQLite database while it is served.
type backupCmd struct {
	File string `arg:"" type:"path" help:"Where the backup goes; a file that is there is not overwritten."`
	JSON bool   `help:"As JSON."`
}

// Help is the command's longer help.
func (backupCmd) Help() string {
	return "The server goes on meanwhile. The backup is the state of one instant, checked from end to end before it appears " +
		"under its name, readable by its owner only: it holds what customers wrote, and the secret that links are signed " +
		"with. On Postgres use pg_dump or your provider's backups.\n\nExample:\n\n" +
		"    bellhop backup backups/bellhop-$(date +%F).db"
}

// backupReport is what the command tells.
type backupReport struct {
	File string `json:"file"`
	store.Snapshot
}

// Run makes the backup.
func (c *backupCmd) Run(s *session) error {
	cfg, err := s.config()
	if err != nil {
		return err
	}
	if !cfg.Database.IsSQLite() {
		return errors.New("the database is Postgres, which has better means than a copy of a file: your provider's backups, or " +
			"pg_dump --format=custom --schema=bellhop --file=bellhop.dump \"$BELLHOP_DATABASE\"")
	}
	p := newMeter(s.stderr)
	snap, err := store.Backup(s.ctx, store.CopyOpts{Database: cfg.Database.Path(), File: c.File, Clock: s.clock, Progress: p.show})
	p.end()
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(s.stdout, backupReport{c.File, snap})
	}
	_, err = fmt.Fprintf(s.stdout, "%s holds everything up to %s: %s, %s of which %d open, %s. It was checked from end to end.\n"+
		"It holds customers' data and the secret that links are signed with: keep it where only you can read it.\n",
		c.File, snap.TakenAt.Format("2006-01-02 15:04:05 MST"), count(int(snap.Events), "event"), count(int(snap.Steps), "step"),
		snap.OpenSteps, megabytes(snap.Bytes))
	return err
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// restoreCmd puts a backup in the place of the SQLite database.
type restoreCmd struct {
	File     string `arg:"" optional:"" type:"path" help:"The backup."`
	MarkOnly bool   `help:"The database was put back by other means, as pg_restore: only mark what was open to be looked up."`
	JSON     bool   `help:"As JSON."`
}

// Help is the command's longer help.
func (restoreCmd) Help() string {
	return "Stop the server first. The backup is checked and brought to this program's schema before anything is touched; " +
		"the database that is there stays beside it under another name.\n\nWhat came in after the backup was taken is not in it. " +
		"What was open in it may have been done since, so every open step is looked up before anything is sent, and goes to a " +
		"person where that is not possible.\n\nExamples:\n\n    bellhop restore backups/bellhop-2026-11-24.db\n" +
		"    pg_restore --clean --if-exists --single-transaction --dbname=\"$BELLHOP_DATABASE\" bellhop.dump && bellhop restore --mark-only"
}

// Run restores, or marks only.
func (c *restoreCmd) Run(s *session) error {
	cfg, err := s.config()
	if err != nil {
		return err
	}
	switch {
	case c.MarkOnly && c.File != "":
		return errors.New("--mark-only takes no file: it marks the database that is configured")
	case c.MarkOnly:
		return c.mark(s, cfg)
	case !cfg.Database.IsSQLite():
		return errors.New("the database is Postgres: restore it by your provider's means, or by pg_restore --clean --if-exists " +
			"--single-transaction --dbname=\"$BELLHOP_DATABASE\" bellhop.dump; then run bellhop restore --mark-only before you " +
			"start a server, so that what was open is looked up before anything is sent again")
	case c.File == "":
		return errors.New("which backup? See bellhop restore --help")
	}
	p := newMeter(s.stderr)
	res, err := store.Restore(s.ctx, store.CopyOpts{Database: cfg.Database.Path(), File: c.File, Clock: s.clock, Progress: p.show})
	p.end()
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(s.stdout, res)
	}
	return printRestored(s.stdout, c.File, res)
}

func printRestored(w io.Writer, file string, res store.Restored) error {
	since := "the backup was taken"
	if !res.TakenAt.IsZero() {
		since = res.TakenAt.Format("2006-01-02 15:04:05 MST")
	}
	fmt.Fprintf(w, "%s is now the backup %s: %s, %s, %s. It was checked from end to end.\n", res.Database, file,
		count(int(res.Events), "event"), count(int(res.Steps), "step"), megabytes(res.Bytes))
	if res.Kept != "" {
		fmt.Fprintf(w, "The database that was there is now %s; delete it when you are sure.\n", res.Kept)
	}
	_, err := fmt.Fprintf(w, "\nBefore you start the server:\n"+
		"- What came in after %s is not in it, and its sender will not send it again by itself. Have your payment provider "+
		"resend its events since then.\n"+
		"- What bellhop or a person did since then is not known to it. %s open in the backup: each is looked up at its vendor "+
		"before anything is sent, and goes to a person where that is not possible.\n"+
		"- A request that is sent a second time now counts as new if it came first after the backup.\n", since, wereOpen(res.LookedUp))
	return err
}

func wereOpen(n int64) string {
	if n == 1 {
		return "1 step was"
	}
	return fmt.Sprintf("%d steps were", n)
}

// mark marks the open steps of a database that something else restored.
func (c *restoreCmd) mark(s *session, cfg config.Config) error {
	db, err := store.Open(s.ctx, store.Opts{URL: cfg.Database.Reveal(), Clock: s.clock})
	if err != nil {
		return err
	}
	n, err := func() (int64, error) {
		if err := db.Lock(s.ctx); err != nil {
			return 0, err
		}
		if err := db.Migrate(s.ctx); err != nil {
			return 0, err
		}
		return db.MarkRestored(s.ctx)
	}()
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(s.stdout, store.Restored{Database: cfg.Database.String(), LookedUp: n})
	}
	_, err = fmt.Fprintf(s.stdout, "%s open: each is looked up at its vendor before anything is sent, and goes to a person where "+
		"that is not possible.\n", wereOpen(n))
	return err
}

// meter shows how far long work is, on a terminal only.
type meter struct {
	w    io.Writer // nil when nobody watches
	last string
}

func newMeter(w io.Writer) *meter {
	if !isTerminal(w) {
		return &meter{}
	}
	return &meter{w: w}
}

func (p *meter) show(what string, percent int) {
	line := what
	if percent > 0 {
		line = fmt.Sprintf("%s %d %%", what, percent)
	}
	if p.w != nil && line != p.last {
		fmt.Fprintf(p.w, "\r\x1b[K%s", line)
		p.last = line
	}
}

func (p *meter) end() {
	if p.w != nil && p.last != "" {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
