package store

import (
	"context"
	"database/sql"
	"time"
)

// clockGrace is how far in the future a row may have been written before the clock is
// taken to have been put back: more than the clocks of two machines differ.
const clockGrace = time.Minute

// longestProbe is how far ahead the next look at an open circuit may lie. A look costs
// one call.
const longestProbe = time.Hour

// Realign puts right what a clock has written that has been put back since: waits that
// would last until the old time comes again begin now, each as long as it was meant to
// be. It returns how many steps it found.
func (db *DB) Realign(ctx context.Context, connections []string) (int, error) {
	n := 0
	err := db.changeSteps(ctx, func(t *Tx, ch *changed) error {
		n = 0
		for _, c := range connections {
			steps, err := futureSteps(ctx, t, c)
			if err != nil {
				return err
			}
			n += len(steps)
			for _, s := range steps {
				due := t.now.Add(max(s.DueAt.Sub(s.UpdatedAt), 0))
				// The version stays: whoever carries the step out at this moment goes on.
				if _, err := t.exec(ctx, "UPDATE bellhop.steps SET due_at = $2, updated_at = $3 WHERE id = $1 AND updated_at = $4",
					s.ID, due, t.now, s.UpdatedAt); err != nil {
					return err
				}
				ch.later = append(ch.later, Job{Connection: c, Persons: []string{s.PersonID}, At: due})
			}
		}
		_, err := t.exec(ctx, `UPDATE bellhop.circuits SET probe_at = $1, updated_at = $1 WHERE state <> 'closed' AND
			(updated_at > $2 OR probe_at > $3)`, t.now, t.now.Add(clockGrace), t.now.Add(longestProbe))
		return err
	})
	return n, err
}

// futureSteps returns steps of a connection that wait and were written in the future.
func futureSteps(ctx context.Context, t *Tx, connection string) ([]DueStep, error) {
	rows, err := t.query(ctx, "SELECT "+stepColumns+` FROM bellhop.steps WHERE connection = $1 AND
		state IN ('ready', 'retrying', 'unknown') AND state NOT IN ('done', 'dropped', 'waiting') AND updated_at > $2
		ORDER BY id LIMIT 500`, connection, t.now.Add(clockGrace))
	if err != nil {
		return nil, err
	}
	var out []DueStep
	err = each(rows, func(r *sql.Rows) error {
		s, err := scanStep(r)
		out = append(out, s)
		return err
	})
	return out, err
}
