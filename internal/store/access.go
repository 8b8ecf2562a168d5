package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"

	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/rivermigrate"

	"bellhop/internal/store/migrations"
)

// accessName is the name in bellhop.settings under which it is written down which state of
// the rights a database has.
const accessName = "access"

// accessText returns who may do what, as SQL, with its digest.
func accessText() (text, sum string, err error) {
	data, err := fs.ReadFile(migrations.FS, "access/postgres.sql")
	if err != nil {
		return "", "", err
	}
	digest := sha256.Sum256(data)
	return string(data), hex.EncodeToString(digest[:]), nil
}

// grantAccess brings roles, rights and row level security to this program's state. It locks
// every table for a moment, so it is only done when something is not as it should be: the
// text has changed, a table is new, or somebody has made the server's role since.
func (db *DB) grantAccess(ctx context.Context) error {
	if db.kind != Postgres {
		return nil
	}
	text, sum, err := accessText()
	if err != nil {
		return err
	}
	for try := 0; ; try++ {
		if err = db.grantOnce(ctx, text, sum); err == nil {
			return nil
		}
		// A node that serves meanwhile locks the tables in another order.
		if try == 4 || !isConflict(err) {
			return fmt.Errorf("migrate: access: %w", err)
		}
	}
}

func (db *DB) grantOnce(ctx context.Context, text, sum string) error {
	var done bool
	err := db.w.QueryRowContext(ctx, `SELECT EXISTS (SELECT FROM bellhop.settings WHERE name = $1 AND value = $2)
		AND NOT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
			LEFT JOIN pg_catalog.pg_policy p ON p.polrelid = c.oid AND p.polname = 'server'
			WHERE n.nspname = 'bellhop' AND c.relkind IN ('r', 'p') AND
			(NOT c.relrowsecurity OR (p.oid IS NULL AND to_regrole('bellhop_server') IS NOT NULL)))`, accessName, sum).Scan(&done)
	if err != nil || done {
		return err
	}
	// Several statements without arguments go in one message, and are one transaction.
	if _, err := db.w.ExecContext(ctx, text); err != nil {
		return err
	}
	_, err = db.w.ExecContext(ctx, noteAccess, accessName, sum)
	return err
}

const noteAccess = `INSERT INTO bellhop.settings (name, value, created_at) VALUES ($1, $2, now())
	ON CONFLICT (name) DO UPDATE SET value = excluded.value, created_at = excluded.created_at`

// mayMigrate reports whether this connection's role may change the schema: it owns the
// tables, or there are none yet.
func (db *DB) mayMigrate(ctx context.Context) (bool, error) {
	may := true
	err := db.w.QueryRowContext(ctx, `SELECT pg_has_role(current_user, c.relowner, 'USAGE') FROM pg_catalog.pg_class c
		JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = 'bellhop' AND c.relname = 'settings' AND c.relkind = 'r'`).Scan(&may)
	if err != nil && !errIsNoRows(err) {
		return false, fmt.Errorf("migrate: %w", err)
	}
	return may, nil
}

// onlyServe is Migrate for a role that serves and does not own the tables: it looks whether
// their owner has brought them to this program's schema.
func (db *DB) onlyServe(ctx context.Context) error {
	if err := db.SchemaCurrent(ctx); err != nil {
		return err
	}
	m, err := rivermigrate.New(riverdatabasesql.New(db.w), &rivermigrate.Config{Schema: "bellhop"})
	if err != nil {
		return err
	}
	res, err := m.Validate(ctx, nil)
	if err != nil {
		return fmt.Errorf("migrate: job engine: %w", err)
	}
	if !res.OK {
		return errors.New("the job engine's tables are older than this program: run bellhop migrate as their owner")
	}
	db.serves.Store(true)
	return db.EnsurePartitions(ctx)
}

// OwnsSchema reports whether this process may change tables and indexes; false for a role
// that only serves.
func (db *DB) OwnsSchema() bool { return !db.serves.Load() }

// actsForUsers reports whether what is read for a signed-in user is read with that user's
// rights. It is not where the roles are missing and the owner of the tables serves, as in
// an installation whose owner may not make roles: there the condition in the query stands
// alone. A role that does not own the tables always has to.
func (db *DB) actsForUsers(ctx context.Context) (bool, error) {
	if db.actsAsUser.Load() {
		return true, nil
	}
	var acts, owns bool
	err := db.w.QueryRowContext(ctx, `SELECT CASE WHEN to_regrole('authenticated') IS NULL THEN false
			ELSE pg_has_role(session_user, 'authenticated', 'MEMBER') AND
			has_any_column_privilege('authenticated', c.oid, 'SELECT') END,
			pg_has_role(current_user, c.relowner, 'USAGE')
		FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = 'bellhop' AND c.relname = 'conversations'`).Scan(&acts, &owns)
	if err != nil {
		return false, err
	}
	if acts {
		db.actsAsUser.Store(true)
	}
	return acts || !owns, nil
}

// accessAge says so when the rights in the database are not this program's: a role that
// only serves cannot bring them there.
func (db *DB) accessAge(ctx context.Context) (string, error) {
	_, sum, err := accessText()
	if err != nil {
		return "", err
	}
	current, err := exists(ctx, db, "SELECT 1 FROM bellhop.settings WHERE name = $1 AND value = $2", accessName, sum)
	if err != nil || current {
		return "", err
	}
	return "the rights in the database are those of another version: run bellhop migrate as the owner of the tables", nil
}

// RowSecurity returns what is missing for row level security to hold for signed-in users,
// "" when nothing is.
func (db *DB) RowSecurity(ctx context.Context) (string, error) {
	if db.kind != Postgres {
		return "", nil
	}
	acts, err := db.actsForUsers(ctx)
	if err != nil {
		return "", err
	}
	if acts {
		return db.accessAge(ctx)
	}
	return "this database role cannot act as role authenticated: let a role that may create roles run bellhop migrate", nil
}
