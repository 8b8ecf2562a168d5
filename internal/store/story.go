package store

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"bellhop"
)

// StoryEvent is an event as a story tells it.
type StoryEvent struct {
	bellhop.Event
	VendorType     string
	ConversationID string
}

// Story is everything that carries one correlation id.
type Story struct {
	CorrelationID string
	Events        []StoryEvent
	Messages      []StoredMessage
	Steps         []bellhop.Step
	Attempts      []bellhop.Attempt
	Support       []bellhop.SupportRequest
	Incidents     []bellhop.Incident
	// Requests are told when what made them was removed: they are kept.
	Requests []bellhop.Request
	Gone     []Gone
}

// Story reads everything that carries a correlation id; CodeNotFound when nothing does.
func (db *DB) Story(ctx context.Context, correlationID string) (Story, error) {
	st := Story{CorrelationID: correlationID}
	if correlationID == "" || correlationID == NoCorrelation {
		return st, notFound("story") // an empty filter would mean everything
	}
	rows, err := db.query(ctx, `SELECT id, person_id, source, external_id, kind, vendor_type, correlation_id,
		conversation_id, occurred_at, received_at FROM bellhop.events WHERE correlation_id = $1 ORDER BY id LIMIT 200`,
		correlationID)
	if err != nil {
		return st, err
	}
	err = each(rows, func(r *sql.Rows) error {
		var e StoryEvent
		err := r.Scan(&e.ID, &e.PersonID, &e.Source, &e.ExternalID, &e.Kind, &e.VendorType, &e.CorrelationID,
			strDest{&e.ConversationID}, timeDest{&e.OccurredAt}, timeDest{&e.ReceivedAt})
		st.Events = append(st.Events, e)
		return err
	})
	if err != nil {
		return st, err
	}
	if st.Steps, err = db.Steps(ctx, StepFilter{CorrelationID: correlationID, Limit: 500}); err != nil {
		return st, err
	}
	slices.Reverse(st.Steps)
	if st.Support, err = db.SupportRequests(ctx, SupportFilter{CorrelationID: correlationID, Limit: 100}); err != nil {
		return st, err
	}
	slices.Reverse(st.Support)
	if err := db.storyMessages(ctx, &st); err != nil {
		return st, err
	}
	if err := db.storyTries(ctx, &st); err != nil {
		return st, err
	}
	return st, db.storyGone(ctx, &st)
}

func (db *DB) storyMessages(ctx context.Context, st *Story) error {
	for _, e := range st.Events {
		if e.ConversationID == "" || e.Kind != bellhop.KindMessage {
			continue
		}
		turn, err := db.Turn(ctx, e.ConversationID, e.ID)
		if err != nil {
			return err
		}
		st.Messages = append(st.Messages, turn...)
	}
	return nil
}

func (db *DB) storyTries(ctx context.Context, st *Story) error {
	ids := make([]string, 0, len(st.Steps))
	incidents := map[string]bool{}
	for _, s := range st.Steps {
		ids = append(ids, s.ID)
		incidents[s.IncidentID] = true
	}
	err := queryIn(ctx, db, `SELECT step_id, number, node, started_at, duration_us, class, status, vendor_request_id,
		error FROM bellhop.attempts WHERE step_id IN (?) ORDER BY id`, ids, func(r *sql.Rows) error {
		a, err := scanAttempt(r)
		st.Attempts = append(st.Attempts, a)
		return err
	})
	if err != nil {
		return err
	}
	return queryIn(ctx, db, "SELECT "+incidentColumns+" FROM bellhop.incidents WHERE id IN (?)", sortedKeys(incidents),
		func(r *sql.Rows) error {
			i, err := scanIncident(r)
			st.Incidents = append(st.Incidents, i)
			return err
		})
}

// AttemptStat is one group of attempts in a window.
type AttemptStat struct {
	Connection string
	Kind       string
	Durations  []time.Duration // of every attempt, sorted
	Succeeded  int
	Failed     int
}

// maxStatAttempts bounds what one statistics request reads: the newest tries count.
const maxStatAttempts = 200_000

// AttemptStats groups the tries since a time by connection and action.
func (db *DB) AttemptStats(ctx context.Context, since time.Time) ([]AttemptStat, error) {
	rows, err := db.query(ctx, `SELECT s.connection, s.kind, a.duration_us, a.class FROM bellhop.attempts a
		JOIN bellhop.steps s ON s.id = a.step_id WHERE a.id >= $1 ORDER BY a.id DESC LIMIT $2`, idFloor(since), maxStatAttempts)
	if err != nil {
		return nil, err
	}
	groups := map[string]*AttemptStat{}
	err = each(rows, func(r *sql.Rows) error {
		var conn, kind, class string
		var us int64
		if err := r.Scan(&conn, &kind, &us, &class); err != nil {
			return err
		}
		g := groups[conn+"\x00"+kind]
		if g == nil {
			g = &AttemptStat{Connection: conn, Kind: kind}
			groups[conn+"\x00"+kind] = g
		}
		g.Durations = append(g.Durations, time.Duration(us)*time.Microsecond)
		if class == "" {
			g.Succeeded++
		} else {
			g.Failed++
		}
		return nil
	})
	out := make([]AttemptStat, 0, len(groups))
	for _, g := range sorted(groups) {
		slices.Sort(g.Durations)
		out = append(out, *g)
	}
	return out, err
}

// Counts are the numbers of the busywork meter and the state of the ledger.
type Counts struct {
	Events         int            // since the time asked for
	StepsByState   map[string]int // open ones of any age; done and dropped since the time
	DoneByHand     int            // steps that a person did or dropped since the time
	DoneByEngine   int
	SupportOpen    int
	SupportSince   int
	IncidentsOpen  int
	DatabaseBytes  int64
	OldestDueAt    time.Time
	SupportByState map[string]int
}

// Counts reads the numbers since a time.
func (db *DB) Counts(ctx context.Context, since time.Time) (Counts, error) {
	c := Counts{StepsByState: map[string]int{}, SupportByState: map[string]int{}, DatabaseBytes: db.fileSize()}
	if err := db.countSteps(ctx, since, &c); err != nil {
		return c, err
	}
	if err := db.countSupport(ctx, &c); err != nil {
		return c, err
	}
	floor := idFloor(since)
	if err := db.queryRow(ctx, "SELECT count(*) FROM bellhop.events WHERE id >= $1", floor).Scan(&c.Events); err != nil {
		return c, err
	}
	if err := db.queryRow(ctx, "SELECT count(*) FROM bellhop.support_requests WHERE id >= $1", floor).
		Scan(&c.SupportSince); err != nil {
		return c, err
	}
	return c, db.queryRow(ctx, "SELECT count(*) FROM bellhop.incidents WHERE closed_at IS NULL").Scan(&c.IncidentsOpen)
}

func (db *DB) countSteps(ctx context.Context, since time.Time, c *Counts) error {
	// Two halves with an index each; an OR over both would read every step there is.
	rows, err := db.query(ctx, `SELECT state, false, count(*) FROM bellhop.steps
		WHERE state NOT IN ('done', 'dropped') GROUP BY 1
		UNION ALL SELECT state, done_by = 'engine', count(*) FROM bellhop.steps
		WHERE updated_at >= $1 AND state IN ('done', 'dropped') GROUP BY 1, 2`, since)
	if err != nil {
		return err
	}
	return each(rows, func(r *sql.Rows) error {
		var state string
		var engine bool
		var n int
		if err := r.Scan(&state, &engine, &n); err != nil {
			return err
		}
		c.StepsByState[state] += n
		switch {
		case !bellhop.StepState(state).Final():
		case engine:
			c.DoneByEngine += n
		default:
			c.DoneByHand += n
		}
		return nil
	})
}

func (db *DB) countSupport(ctx context.Context, c *Counts) error {
	rows, err := db.query(ctx, "SELECT status, count(*) FROM bellhop.support_requests GROUP BY 1")
	if err != nil {
		return err
	}
	return each(rows, func(r *sql.Rows) error {
		var status string
		var n int
		err := r.Scan(&status, &n)
		c.SupportByState[status] = n
		if status != string(bellhop.SupportResolved) {
			c.SupportOpen += n
		}
		return err
	})
}
