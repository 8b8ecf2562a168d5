package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"bellhop"
)

const operatorColumns = "o.id, o.name, o.role, o.created_at, o.disabled_at, o.last_login_at"

func operatorDests(o *bellhop.Operator) []any {
	return []any{strDest{&o.ID}, strDest{&o.Name}, strDest{(*string)(&o.Role)}, timeDest{&o.CreatedAt},
		timeDest{&o.DisabledAt}, timeDest{&o.LastLoginAt}}
}

// AddOperator stores an operator with the hash of their password. CodeStateConflict when
// the name is taken, also by somebody who was disabled.
func (db *DB) AddOperator(ctx context.Context, o bellhop.Operator, hash string) (bellhop.Operator, error) {
	err := db.tx(ctx, func(t *Tx) (err error) {
		o, err = addOperator(ctx, t, o, hash)
		return err
	})
	return o, nameTaken(err, "operator")
}

// AddFirstOwner stores the owner that a first-run link makes. It does so once in the life
// of a database, and only while there is no operator: anything else is CodeStateConflict.
func (db *DB) AddFirstOwner(ctx context.Context, o bellhop.Operator, hash string) (bellhop.Operator, error) {
	o.Role = bellhop.OperatorOwner
	err := db.tx(ctx, func(t *Tx) error {
		// Two links that are used at the same moment meet in this row.
		n, err := t.exec(ctx, `INSERT INTO bellhop.settings (name, value, created_at) VALUES ('first_owner', 'made', $1)
			ON CONFLICT (name) DO NOTHING`, t.now)
		if err != nil {
			return err
		}
		there, err := exists(ctx, t, "SELECT 1 FROM bellhop.operators LIMIT 1")
		if err != nil {
			return err
		}
		if n == 0 || there {
			return bellhop.Errorf(bellhop.CodeStateConflict, "Sign in, or ask an owner to run bellhop operator add.",
				"This server has an operator already.")
		}
		o, err = addOperator(ctx, t, o, hash)
		return err
	})
	return o, nameTaken(err, "operator")
}

func addOperator(ctx context.Context, t *Tx, o bellhop.Operator, hash string) (bellhop.Operator, error) {
	o.ID, o.CreatedAt = NewID(), t.now
	_, err := t.exec(ctx, `INSERT INTO bellhop.operators (id, name, password, role, created_at) VALUES ($1, $2, $3, $4, $5)`,
		o.ID, o.Name, hash, string(o.Role), o.CreatedAt)
	return o, err
}

// nameTaken says in words that a name is somebody else's.
func nameTaken(err error, what string) error {
	if err == nil || !isUnique(err) {
		return err
	}
	return bellhop.Errorf(bellhop.CodeStateConflict, "Choose another name.", "This name is taken by another %s.", what)
}

// Operators returns every operator by name.
func (db *DB) Operators(ctx context.Context) ([]bellhop.Operator, error) {
	rows, err := db.query(ctx, "SELECT "+operatorColumns+" FROM bellhop.operators o ORDER BY o.name")
	if err != nil {
		return nil, err
	}
	out := []bellhop.Operator{}
	err = each(rows, func(r *sql.Rows) error {
		var o bellhop.Operator
		err := r.Scan(operatorDests(&o)...)
		out = append(out, o)
		return err
	})
	return out, err
}

// Operator returns an operator and the hash of their password; CodeNotFound when there is
// none of this name.
func (db *DB) Operator(ctx context.Context, name string) (o bellhop.Operator, hash string, err error) {
	err = db.queryRow(ctx, "SELECT "+operatorColumns+", o.password FROM bellhop.operators o WHERE o.name = $1", name).
		Scan(append(operatorDests(&o), &hash)...)
	if errIsNoRows(err) {
		err = notFound("operator")
	}
	return o, hash, err
}

// HasOperator reports whether somebody can sign in with a password. Before the database
// has the table nobody can: that is an answer, not an error.
func (db *DB) HasOperator(ctx context.Context) (bool, error) {
	var one int
	err := db.queryRow(ctx, "SELECT 1 FROM bellhop.operators WHERE disabled_at IS NULL LIMIT 1").Scan(&one)
	if errIsNoRows(err) || isNoTable(err) {
		return false, nil
	}
	return err == nil, err
}

// FirstRun reports whether there never was an operator.
func (db *DB) FirstRun(ctx context.Context) (bool, error) {
	there, err := exists(ctx, db, `SELECT 1 FROM bellhop.operators UNION ALL
		SELECT 1 FROM bellhop.settings WHERE name = 'first_owner' LIMIT 1`)
	return !there, err
}

// isNoTable reports that the schema is older than the table that was asked.
func isNoTable(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "42P01" || pg.Code == "3F000"
	}
	return err != nil && strings.Contains(err.Error(), "no such table")
}

// SetOperatorPassword replaces a password and ends the operator's sessions.
func (db *DB) SetOperatorPassword(ctx context.Context, name, hash string) error {
	return db.changeOperator(ctx, name, func(t *Tx, id string) error {
		_, err := t.exec(ctx, "UPDATE bellhop.operators SET password = $2 WHERE id = $1", id, hash)
		return err
	})
}

// DisableOperator takes an operator's access away and ends their sessions. Their name
// stays, because records carry it.
func (db *DB) DisableOperator(ctx context.Context, name string) error {
	return db.changeOperator(ctx, name, func(t *Tx, id string) error {
		_, err := t.exec(ctx, "UPDATE bellhop.operators SET disabled_at = $2 WHERE id = $1 AND disabled_at IS NULL", id, t.now)
		return err
	})
}

func (db *DB) changeOperator(ctx context.Context, name string, fn func(t *Tx, id string) error) error {
	return db.tx(ctx, func(t *Tx) error {
		var id string
		err := t.queryRow(ctx, "SELECT id FROM bellhop.operators WHERE name = $1"+t.forUpdate(), name).Scan(&id)
		if errIsNoRows(err) {
			return notFound("operator")
		}
		if err != nil {
			return err
		}
		if err := fn(t, id); err != nil {
			return err
		}
		_, err = t.exec(ctx, "DELETE FROM bellhop.operator_sessions WHERE operator_id = $1", id)
		return err
	})
}
