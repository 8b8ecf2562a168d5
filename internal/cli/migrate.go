package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"bellhop/internal/config"
	"bellhop/internal/store"
)

// migrateCmd brings the database to this program's schema, or tells whether it is.
type migrateCmd struct {
	Print  bool `help:"Print the SQL that makes everything in a database that has nothing of it yet, and change nothing."`
	Status bool `help:"Only tell whether the schema is current; exit code 1 when it is not."`
	JSON   bool `help:"As JSON."`
}

// Help is the command's longer help.
func (migrateCmd) Help() string {
	return "serve does this by itself when it starts. Use migrate to do it before, for instance with a database role that " +
		"may change tables while the server's role may not. A schema newer than this program is left alone. A SQLite file that an " +
		"early version made is also rewritten once, with the server stopped, so that it can become smaller again.\n\n--print writes the SQL for the kind of database " +
		"that is configured, for a SQL editor or a migration of your own; it says that it was run, so serve finds nothing to do.\n\nExample:\n\n" +
		"    BELLHOP_DATABASE=postgres://admin:…@db.example.com/postgres bellhop migrate"
}

// migrateReport is what the command tells.
type migrateReport struct {
	Database string `json:"database"` // without its password
	Current  bool   `json:"current"`
	Problem  string `json:"problem,omitempty"`
	// Compacted is set when a SQLite file was rewritten so that it can give space back.
	Compacted bool `json:"compacted,omitempty"`
}

// Run migrates, or looks.
func (c *migrateCmd) Run(s *session) error {
	cfg, err := s.config()
	if err != nil {
		return err
	}
	if c.Print {
		return printScript(s, cfg)
	}
	rep := migrateReport{Database: cfg.Database.String()}
	if c.Status {
		if err := c.look(s, cfg); err != nil {
			rep.Problem = err.Error()
			if c.JSON {
				err = errors.Join(&exitError{exitFindings, err}, writeJSON(s.stdout, rep))
			}
			return err
		}
	} else if rep.Compacted, err = migrate(s, cfg); err != nil {
		return err
	}
	rep.Current = true
	if c.JSON {
		return writeJSON(s.stdout, rep)
	}
	_, err = fmt.Fprintf(s.stdout, "%s has this program's schema\n", rep.Database)
	return err
}

// migrate reports whether it also rewrote the file, see store.DB.Compact.
func migrate(s *session, cfg config.Config) (bool, error) {
	db, err := store.Open(s.ctx, store.Opts{URL: cfg.Database.Reveal(), Clock: s.clock})
	if err != nil {
		return false, err
	}
	if err := db.Lock(s.ctx); err != nil {
		return false, errors.Join(err, db.Close())
	}
	if err := migrateStore(s.ctx, db, cfg); err != nil {
		return false, errors.Join(err, db.Close())
	}
	compacted, err := db.Compact(s.ctx)
	return compacted, errors.Join(err, db.Close())
}

// migrateStore migrates, and writes down how young what retention takes away may be: the
// owner's word, which a role that only serves cannot change.
func migrateStore(ctx context.Context, db *store.DB, cfg config.Config) error {
	if err := db.Migrate(ctx); err != nil {
		return err
	}
	var least time.Duration
	for _, keep := range []time.Duration{cfg.Retention.Events, cfg.Retention.Messages, cfg.Retention.Attempts, cfg.Retention.SecurityLog} {
		if keep > 0 && (least == 0 || keep < least) {
			least = keep
		}
	}
	return db.KeepAtLeast(ctx, least)
}

// look returns a finding when the schema is not current. It makes no file.
func (c *migrateCmd) look(s *session, cfg config.Config) error {
	if cfg.Database.IsSQLite() {
		if _, err := os.Stat(cfg.Database.Path()); errors.Is(err, fs.ErrNotExist) {
			return findings("there is no database at %s yet: run bellhop migrate, or just bellhop serve", cfg.Database.Path())
		}
	}
	db, err := store.Open(s.ctx, store.Opts{URL: cfg.Database.Reveal(), Clock: s.clock})
	if err != nil {
		return err
	}
	if err := db.SchemaCurrent(s.ctx); err != nil {
		return errors.Join(&exitError{exitFindings, err}, db.Close())
	}
	return db.Close()
}

// printScript writes the SQL of every migration. It opens no database.
func printScript(s *session, cfg config.Config) error {
	kind := store.Postgres
	if cfg.Database.IsSQLite() {
		kind = store.SQLite
	}
	text, err := store.Script(kind)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(s.stdout, text)
	return err
}
