package store

import (
	"context"
	"database/sql"
	"time"

	"bellhop"
)

const (
	everybody = "*"
	// spendKept is for how long the sums of past days are kept: nothing asks for them, but
	// the founder may.
	spendKept = 100 * 24 * time.Hour
)

// spendDay is the day, in UTC, that money is counted for.
func spendDay(at time.Time) string { return at.UTC().Format(time.DateOnly) }

// Spent returns what hosted models have cost today, in millionths of a dollar: for one
// visitor or user, and for everybody. All nodes count together.
func (db *DB) Spent(ctx context.Context, o bellhop.Owner) (one, all int64, err error) {
	rows, err := db.query(ctx, "SELECT who, micros FROM bellhop.spend WHERE day = $1 AND who IN ($2, $3)",
		spendDay(db.clock.Now()), spender(o), everybody)
	if err != nil {
		return 0, 0, err
	}
	err = each(rows, func(r *sql.Rows) error {
		var who string
		var micros int64
		err := r.Scan(&who, &micros)
		if who == everybody {
			all = micros
		} else {
			one = micros
		}
		return err
	})
	return one, all, err
}

// AddSpent adds what one turn of a visitor or user has cost.
func (db *DB) AddSpent(ctx context.Context, o bellhop.Owner, micros int64) error {
	if micros <= 0 {
		return nil
	}
	return db.tx(ctx, func(t *Tx) error {
		for _, who := range []string{spender(o), everybody} { // always in this order, so that nobody waits in a circle
			if _, err := t.exec(ctx, `INSERT INTO bellhop.spend (day, who, micros) VALUES ($1, $2, $3) ON CONFLICT (day, who)
				DO UPDATE SET micros = bellhop.spend.micros + excluded.micros`, spendDay(t.now), who, micros); err != nil {
				return err
			}
		}
		return nil
	})
}

func spender(o bellhop.Owner) string {
	if o.UserID != "" {
		return "user:" + o.UserID
	}
	return "visitor:" + o.VisitorID
}

// pruneSpend removes the sums of days that are long over.
func pruneSpend(before time.Time) bite {
	return func(ctx context.Context, t *Tx, n int) (int64, error) {
		return t.exec(ctx, `DELETE FROM bellhop.spend WHERE (day, who) IN
			(SELECT day, who FROM bellhop.spend WHERE day < $1 LIMIT $2)`, spendDay(before), n)
	}
}
