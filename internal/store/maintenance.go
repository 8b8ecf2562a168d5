package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"time"

	"bellhop"
)

// SigningSecret returns the secret that visitor tokens and links are signed with, the
// same on every node; it is made when it is asked for first.
func (db *DB) SigningSecret(ctx context.Context) ([]byte, error) {
	fresh := make([]byte, 32)
	if _, err := rand.Read(fresh); err != nil {
		return nil, err
	}
	var stored string
	err := db.tx(ctx, func(t *Tx) error {
		if _, err := t.exec(ctx, `INSERT INTO bellhop.settings (name, value, created_at) VALUES ('signing_secret', $1, $2)
			ON CONFLICT (name) DO NOTHING`, base64.StdEncoding.EncodeToString(fresh), t.now); err != nil {
			return err
		}
		return t.queryRow(ctx, "SELECT value FROM bellhop.settings WHERE name = 'signing_secret'").Scan(&stored)
	})
	if err != nil {
		return nil, err
	}
	return base64.StdEncoding.DecodeString(stored)
}

// Heartbeat says that a node lives.
func (db *DB) Heartbeat(ctx context.Context, node string) error {
	return db.tx(ctx, func(t *Tx) error {
		now, err := db.shared(ctx, t)
		if err != nil {
			return err
		}
		_, err = t.exec(ctx, `INSERT INTO bellhop.nodes (id, started_at, heartbeat_at) VALUES ($1, $2, $2)
			ON CONFLICT (id) DO UPDATE SET heartbeat_at = excluded.heartbeat_at`, node, now)
		return err
	})
}

// Leave says that a node has stopped by itself and left nothing behind.
func (db *DB) Leave(ctx context.Context, node string) error {
	return db.tx(ctx, func(t *Tx) error {
		_, err := t.exec(ctx, `DELETE FROM bellhop.nodes WHERE id = $1 AND NOT EXISTS
			(SELECT 1 FROM bellhop.steps WHERE state = 'running' AND node = $1)`, node)
		return err
	})
}

// TakeOver finds nodes that have not lived for so long, gives their running steps and
// jobs back, and forgets them. all takes over from every node but this one: on SQLite
// the process that holds the file's lock is the only one there can be. It returns the
// number of nodes that were taken over from.
func (db *DB) TakeOver(ctx context.Context, self string, silence time.Duration, all bool) (int, error) {
	taken := 0
	err := db.changeSteps(ctx, func(t *Tx, ch *changed) error {
		taken = 0
		now, err := db.shared(ctx, t)
		if err != nil {
			return err
		}
		rows, err := t.query(ctx, "DELETE FROM bellhop.nodes WHERE id <> $1 AND ($3 OR heartbeat_at < $2) RETURNING id", self,
			now.Add(-silence), all)
		if err != nil {
			return err
		}
		var dead []string
		if err := each(rows, func(r *sql.Rows) error {
			var id string
			err := r.Scan(&id)
			dead = append(dead, id)
			return err
		}); err != nil {
			return err
		}
		taken = len(dead)
		for _, node := range dead {
			if err := orphanSteps(ctx, t, ch, node, now, all); err != nil {
				return err
			}
			if err := t.orphanJobs(ctx, node); err != nil {
				return err
			}
		}
		return nil
	})
	return taken, err
}

// orphanSteps turns the running steps of a dead node into unknown ones: their calls may
// have happened. A node that may be slow and not dead has until the lease is over: its
// calls have ended by then.
func orphanSteps(ctx context.Context, t *Tx, ch *changed, node string, now time.Time, alone bool) error {
	rows, err := t.query(ctx, "SELECT "+stepColumns+` FROM bellhop.steps WHERE state = 'running' AND
		state NOT IN ('done', 'dropped', 'waiting') AND node = $1 ORDER BY id`+t.forUpdate(), node)
	if err != nil {
		return err
	}
	var steps []DueStep
	if err := each(rows, func(r *sql.Rows) error {
		s, err := scanStep(r)
		steps = append(steps, s)
		return err
	}); err != nil {
		return err
	}
	for _, s := range steps {
		due := t.now
		if left := s.LeaseUntil.Sub(now); left > 0 && !alone {
			due = due.Add(left)
		}
		if _, err := t.exec(ctx, `UPDATE bellhop.steps SET state = 'unknown', error_class = 'unknown_outcome',
			error = 'the process that made the call died before it knew the outcome', lease_until = NULL,
			due_at = $2, updated_at = $3, version = version + 1 WHERE id = $1`, s.ID, due, t.now); err != nil {
			return err
		}
		ch.later = append(ch.later, Job{Connection: s.Connection, Persons: []string{s.PersonID}, At: due})
	}
	return nil
}

// orphanJobs makes the running jobs of a dead node available again, sooner than River's
// own rescue would. They stay due since when they were: River goes by its own clock.
// dialect: attempted_by is an array on Postgres and JSON on SQLite.
func (t *Tx) orphanJobs(ctx context.Context, node string) error {
	if t.db.kind == SQLite {
		// The JSON path's $ must not be taken for a placeholder.
		_, err := t.tx.ExecContext(ctx, "UPDATE river_job SET state = 'available' WHERE state = 'running' AND "+
			"json_extract(attempted_by, '$[#-1]') = ?1", node)
		return err
	}
	_, err := t.exec(ctx, "UPDATE bellhop.river_job SET state = 'available' WHERE state = 'running' AND "+
		"attempted_by[array_upper(attempted_by, 1)] = $1", node)
	return err
}

// RequeueDue makes jobs for a connection's lanes whose head has been due for so long that its job must
// have been lost, and for steps that run under a lease that has ended. The step row is
// the truth; this is what makes it so. overdue 0 looks for ended leases only. It returns how
// many lanes it found.
func (db *DB) RequeueDue(ctx context.Context, connection string, overdue time.Duration, limit int) (int, error) {
	n := 0
	if overdue <= 0 {
		overdue = 100 * 365 * 24 * time.Hour
	}
	err := db.changeSteps(ctx, func(t *Tx, ch *changed) error {
		now, err := db.shared(ctx, t)
		if err != nil {
			return err
		}
		rows, err := t.query(ctx, `SELECT connection, person_id FROM bellhop.steps WHERE connection = $1 AND
			state NOT IN ('done', 'dropped', 'waiting') AND ((state IN ('ready', 'retrying', 'unknown') AND due_at < $2)
			OR (state = 'running' AND lease_until < $3)) ORDER BY id LIMIT $4`, connection, t.now.Add(-overdue), now, limit)
		if err != nil {
			return err
		}
		err = each(rows, func(r *sql.Rows) error {
			var d dueLane
			err := r.Scan(&d.connection, &d.person)
			ch.due = append(ch.due, d)
			return err
		})
		n = len(ch.due)
		return err
	})
	return n, err
}

// QueueDepth returns the number of jobs of a queue that wait to be worked or are being
// worked.
func (db *DB) QueueDepth(ctx context.Context, queue string) (int, error) {
	n := 0
	err := db.queryRow(ctx, `SELECT count(*) FROM bellhop.river_job WHERE state IN ('available', 'running')
		AND queue = $1`, queue).Scan(&n)
	return n, err
}

// UntoldPayment is money that came in and that nobody could be told of, because no event
// named an e-mail.
type UntoldPayment struct {
	bellhop.Payment
	PaidAt time.Time
}

// UntoldPayments returns paid payments whose person has no e-mail and that have waited
// since before a time.
func (db *DB) UntoldPayments(ctx context.Context, before time.Time, limit int) ([]UntoldPayment, error) {
	rows, err := db.query(ctx, `SELECT y.id, y.connection, y.person_id, y.status, y.amount, y.amount_refunded, y.currency,
		y.paid_at FROM bellhop.payments y LEFT JOIN bellhop.persons p ON p.id = y.person_id
		WHERE y.told = '{}' AND y.merged_into IS NULL AND y.status NOT IN ('pending', 'failed') AND y.created_at < $1
		AND p.email IS NULL ORDER BY y.id LIMIT $2`, before, limit)
	if err != nil {
		return nil, err
	}
	var out []UntoldPayment
	err = each(rows, func(r *sql.Rows) error {
		var p UntoldPayment
		err := r.Scan(&p.ID, &p.Connection, &p.PersonID, &p.Status, &p.Amount, &p.AmountRefunded, &p.Currency,
			timeDest{&p.PaidAt})
		out = append(out, p)
		return err
	})
	return out, err
}

// HandOverPayment gives a payment that names nobody to a person, once.
func (db *DB) HandOverPayment(ctx context.Context, paymentID string, task bellhop.SupportRequest) error {
	return db.tx(ctx, func(t *Tx) error {
		n, err := t.exec(ctx, `UPDATE bellhop.payments SET told = '{"succeeded":true}', updated_at = $2
			WHERE id = $1 AND told = '{}'`, paymentID, t.now)
		if err != nil || n == 0 {
			return err
		}
		task.ID = NewID()
		return insertSupport(ctx, t, []bellhop.SupportRequest{task})
	})
}
