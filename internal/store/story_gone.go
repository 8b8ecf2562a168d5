package store

import (
	"context"
	"database/sql"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"bellhop"
)

// Gone is a part of a story that retention removed.
type Gone struct {
	What      string    // "events", "messages" or "attempts"
	At        time.Time // about when it happened
	RemovedAt time.Time
}

// storyGone finds out what of a story was removed, so that it is told as that and not as
// if it had never been. CodeNotFound when there is nothing and nothing was removed.
func (db *DB) storyGone(ctx context.Context, st *Story) error {
	if len(st.Events) == 0 {
		if err := db.storyRequests(ctx, st); err != nil {
			return err
		}
		if err := db.gone(ctx, st, keptEvents, st.began()); err != nil {
			return err
		}
	}
	if len(st.Messages) == 0 {
		for _, e := range st.Events {
			if e.Kind == bellhop.KindMessage {
				if err := db.gone(ctx, st, keptMessages, e.ReceivedAt); err != nil {
					return err
				}
				break
			}
		}
	}
	if len(st.Attempts) == 0 {
		for _, s := range st.Steps {
			if s.Attempts > 0 {
				if err := db.gone(ctx, st, keptAttempts, s.CreatedAt); err != nil {
					return err
				}
				break
			}
		}
	}
	if len(st.Events)+len(st.Steps)+len(st.Support)+len(st.Requests)+len(st.Gone) == 0 {
		return db.noStory(ctx)
	}
	return nil
}

// gone notes what of an instant was removed, if it was.
func (db *DB) gone(ctx context.Context, st *Story, what string, at time.Time) error {
	if at.IsZero() {
		return nil
	}
	removed, err := db.RemovedAt(ctx, what, at)
	if err == nil && !removed.IsZero() {
		st.Gone = append(st.Gone, Gone{What: what, At: at, RemovedAt: removed})
	}
	return err
}

// storyRequests reads the requests that carry the story's id.
func (db *DB) storyRequests(ctx context.Context, st *Story) error {
	rows, err := db.query(ctx, `SELECT id, kind, person_id, correlation_id, created_at FROM bellhop.requests
		WHERE correlation_id = $1 ORDER BY id LIMIT 100`, st.CorrelationID)
	if err != nil {
		return err
	}
	return each(rows, func(r *sql.Rows) error {
		var q bellhop.Request
		err := r.Scan(&q.ID, &q.Kind, &q.PersonID, &q.CorrelationID, timeDest{&q.CreatedAt})
		st.Requests = append(st.Requests, q)
		return err
	})
}

// began is when a story without its events began, as well as it is known: by what is left
// of it, else by the correlation id itself; zero when nothing tells.
func (st *Story) began() time.Time {
	var known []time.Time
	for _, s := range st.Steps {
		known = append(known, s.CreatedAt)
	}
	for _, s := range st.Support {
		known = append(known, s.CreatedAt)
	}
	for _, r := range st.Requests {
		known = append(known, r.CreatedAt)
	}
	if len(known) == 0 {
		return correlationTime(st.CorrelationID)
	}
	return slices.MinFunc(known, time.Time.Compare)
}

// correlationTime returns when this program made a correlation id, which is then a
// UUIDv7 without its hyphens; zero for an id from elsewhere.
func correlationTime(id string) time.Time {
	raw, err := hex.DecodeString(id)
	if err != nil || len(raw) != 16 || raw[6]>>4 != 7 || raw[8]>>6 != 2 {
		return time.Time{}
	}
	var ms int64
	for _, b := range raw[:6] {
		ms = ms<<8 | int64(b)
	}
	return time.UnixMilli(ms).UTC()
}

// noStory is the error for an id that nothing carries. It may have come from elsewhere and
// be older than what is kept; then only that can be said.
func (db *DB) noStory(ctx context.Context) error {
	var floor string
	err := db.queryRow(ctx, "SELECT floor FROM bellhop.retention WHERE name = $1 ORDER BY floor DESC LIMIT 1",
		keptEvents).Scan(strDest{&floor})
	if errIsNoRows(err) {
		return notFound("story")
	}
	if err != nil {
		return err
	}
	at := correlationTime(strings.ReplaceAll(floor, "-", ""))
	return bellhop.Errorf(bellhop.CodeNotFound, "Copy the whole correlation id. What came in before "+
		at.Format("2 January 2006")+" was removed by retention: if it is older than that, its details are gone.",
		"Nothing that is kept carries this correlation id.")
}
