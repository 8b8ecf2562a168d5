package store

import "context"

// MigrateTo brings the schema to a version that is not this program's, for tests of
// migrations.
func (db *DB) MigrateTo(ctx context.Context, version int64) error {
	if db.kind == Postgres {
		if _, err := db.w.ExecContext(ctx, "CREATE SCHEMA IF NOT EXISTS bellhop"); err != nil {
			return err
		}
	}
	p, err := db.provider()
	if err != nil {
		return err
	}
	_, err = p.UpTo(ctx, version)
	return err
}
