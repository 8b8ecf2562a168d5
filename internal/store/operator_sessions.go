package store

import (
	"context"
	"time"

	"bellhop"
)

// BeginSession stores a session that was just begun, and with it when its operator signed
// in. rehash replaces the hash of the operator's password, "" leaves it.
// CodeUnauthenticated when the operator was disabled in between.
func (db *DB) BeginSession(ctx context.Context, s bellhop.OperatorSession, rehash string) error {
	return db.tx(ctx, func(t *Tx) error {
		if _, err := t.exec(ctx, "DELETE FROM bellhop.operator_sessions WHERE expires_at < $1", t.now); err != nil {
			return err
		}
		if id := s.Operator.ID; id != "" {
			n, err := t.exec(ctx, `UPDATE bellhop.operators SET last_login_at = $2, password = COALESCE($3, password)
				WHERE id = $1 AND disabled_at IS NULL`, id, t.now, nul(rehash))
			if err != nil {
				return err
			}
			if n == 0 {
				return bellhop.Errorf(bellhop.CodeUnauthenticated, "Ask an owner for access.", "This operator was disabled.")
			}
		}
		var proof any
		if s.KeyProof != nil {
			proof = s.KeyProof
		}
		_, err := t.exec(ctx, `INSERT INTO bellhop.operator_sessions (digest, operator_id, key_proof, csrf, created_at,
			expires_at, last_seen_at) VALUES ($1, $2, $3, $4, $5, $6, $5)`, s.Digest, nul(s.Operator.ID), proof, s.CSRF,
			s.CreatedAt, s.ExpiresAt)
		return err
	})
}

// Session returns a session with its operator as they are now; CodeNotFound when there is
// none. Whether it is still good is the caller's to judge.
func (db *DB) Session(ctx context.Context, digest []byte) (bellhop.OperatorSession, error) {
	s := bellhop.OperatorSession{Digest: digest}
	dests := append([]any{&s.KeyProof, &s.CSRF, timeDest{&s.CreatedAt}, timeDest{&s.ExpiresAt}, timeDest{&s.SeenAt}},
		operatorDests(&s.Operator)...)
	err := db.queryRow(ctx, `SELECT s.key_proof, s.csrf, s.created_at, s.expires_at, s.last_seen_at, `+operatorColumns+`
		FROM bellhop.operator_sessions s LEFT JOIN bellhop.operators o ON o.id = s.operator_id WHERE s.digest = $1`, digest).
		Scan(dests...)
	if errIsNoRows(err) {
		err = notFound("session")
	}
	return s, err
}

// SeeSession records that a session was used. The caller asks at most once a minute.
func (db *DB) SeeSession(ctx context.Context, digest []byte, at time.Time) error {
	return db.tx(ctx, func(t *Tx) error {
		_, err := t.exec(ctx, "UPDATE bellhop.operator_sessions SET last_seen_at = $2 WHERE digest = $1 AND last_seen_at < $2",
			digest, at)
		return err
	})
}

// EndSession makes a session worthless on every node.
func (db *DB) EndSession(ctx context.Context, digest []byte) error {
	return db.tx(ctx, func(t *Tx) error {
		_, err := t.exec(ctx, "DELETE FROM bellhop.operator_sessions WHERE digest = $1", digest)
		return err
	})
}
