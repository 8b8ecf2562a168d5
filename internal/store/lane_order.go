package store

import (
	"context"

	"github.com/google/uuid"
)

// orderLanes makes the ids of new steps sort behind those that wait in their lanes
// already. An id begins with the time of the machine that made it, and lanes go by ids:
// with a clock that was put back, or two machines whose clocks differ, a later step would
// overtake an earlier one. The lanes are locked by moveLanes, so nobody comes in between;
// open is what it returned. A lane that was free has nothing to sort behind.
func orderLanes(ctx context.Context, t *Tx, steps []*stepRow, open, delta map[laneKey]int) error {
	last := map[laneKey]string{}
	for _, s := range steps {
		k := laneKey{s.person, s.connection}
		if _, known := last[k]; !known && open[k] > delta[k] {
			var id string
			err := t.queryRow(ctx, `SELECT id FROM bellhop.steps WHERE person_id = $1 AND connection = $2 AND
				state NOT IN ('done', 'dropped') ORDER BY id DESC LIMIT 1`, k.person, k.connection).Scan(&id)
			if err != nil && !errIsNoRows(err) {
				return err
			}
			last[k] = id
		}
		if s.id <= last[k] {
			id, err := nextID(last[k])
			if err != nil {
				return err
			}
			s.id = id
		}
		last[k] = s.id
	}
	return nil
}

// nextID returns the id that sorts next after one.
func nextID(id string) (string, error) {
	u, err := uuid.Parse(id)
	if err != nil {
		return "", err
	}
	for i := len(u) - 1; i >= 0; i-- {
		if u[i]++; u[i] != 0 {
			break
		}
	}
	return u.String(), nil
}
