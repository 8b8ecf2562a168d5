package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"bellhop"
)

const serverKeyColumns = "id, name, digest, scopes, created_at, revoked_at, last_used_at"

func scanServerKey(r interface{ Scan(...any) error }) (bellhop.ServerKey, error) {
	var k bellhop.ServerKey
	var scopes []byte
	if err := r.Scan(&k.ID, &k.Name, &k.Digest, &scopes, timeDest{&k.CreatedAt}, timeDest{&k.RevokedAt},
		timeDest{&k.LastUsedAt}); err != nil {
		return k, err
	}
	return k, json.Unmarshal(scopes, &k.Scopes)
}

// AddServerKey stores a key by its digest. CodeStateConflict when the name is taken, also
// by a key that was revoked.
func (db *DB) AddServerKey(ctx context.Context, k bellhop.ServerKey) (bellhop.ServerKey, error) {
	scopes, err := json.Marshal(k.Scopes)
	if err != nil {
		return k, err
	}
	err = db.tx(ctx, func(t *Tx) error {
		k.ID, k.CreatedAt = NewID(), t.now
		_, err := t.exec(ctx, `INSERT INTO bellhop.server_keys (id, name, digest, scopes, created_at)
			VALUES ($1, $2, $3, $4, $5)`, k.ID, k.Name, k.Digest, string(scopes), k.CreatedAt)
		return err
	})
	return k, nameTaken(err, "key")
}

// ServerKeys returns every key, revoked ones too, by name.
func (db *DB) ServerKeys(ctx context.Context) ([]bellhop.ServerKey, error) {
	rows, err := db.query(ctx, "SELECT "+serverKeyColumns+" FROM bellhop.server_keys ORDER BY name")
	if err != nil {
		return nil, err
	}
	out := []bellhop.ServerKey{}
	err = each(rows, func(r *sql.Rows) error {
		k, err := scanServerKey(r)
		out = append(out, k)
		return err
	})
	return out, err
}

// ServerKey returns the key of a digest, also when it was revoked; CodeNotFound when there
// is none.
func (db *DB) ServerKey(ctx context.Context, digest []byte) (bellhop.ServerKey, error) {
	k, err := scanServerKey(db.queryRow(ctx, "SELECT "+serverKeyColumns+" FROM bellhop.server_keys WHERE digest = $1", digest))
	if errIsNoRows(err) {
		err = notFound("key")
	}
	return k, err
}

// RevokeServerKey ends a key for ever; CodeNotFound when there is none of this name. A key
// that was revoked before keeps its date.
func (db *DB) RevokeServerKey(ctx context.Context, name string) error {
	return db.tx(ctx, func(t *Tx) error {
		n, err := t.exec(ctx, "UPDATE bellhop.server_keys SET revoked_at = COALESCE(revoked_at, $2) WHERE name = $1", name, t.now)
		if err == nil && n == 0 {
			err = notFound("key")
		}
		return err
	})
}

// UseServerKey records that a key was used. The caller asks at most once a minute.
func (db *DB) UseServerKey(ctx context.Context, id string, at time.Time) error {
	return db.tx(ctx, func(t *Tx) error {
		_, err := t.exec(ctx, `UPDATE bellhop.server_keys SET last_used_at = $2
			WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)`, id, at)
		return err
	})
}
