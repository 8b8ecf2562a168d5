package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"bellhop"
)

// Outcome is what became of one step: the move to record, and everything that changes
// with it in the same transaction.
type Outcome struct {
	Step  bellhop.Step // as it was taken; Version guards the write
	State bellhop.StepState
	DueAt time.Time
	// Decided is when DueAt and ProbeAt were worked out: a clock that is moved before they
	// are written moves them with it. Zero leaves them as they are.
	Decided time.Time
	Class   bellhop.ErrorClass
	Error   string
	Result  []byte            // JSON, for done
	Refs    map[string]string // vendor ids to keep
	RefsURL string
	DoneBy  string
	Attempt *bellhop.Attempt // nil when nothing was tried
	// Incident is the cause the step is held up by: joined when it is open, else
	// opened. Required for parked.
	Incident *Cause
	// JoinIncident is the open incident that a step which was not tried joins; Incident is
	// used only if that one has closed in between.
	JoinIncident string
	// Task is the support request that a manual step is given; joined by DedupKey. For
	// a step held by an incident with a task of its own it may be nil.
	Task     *bellhop.SupportRequest
	DedupKey string
	// Park opens the connection's circuit with the incident; ProbeAt is when to look
	// whether the vendor is back.
	Park    bool
	ProbeAt time.Time
}

// Cause names an incident.
type Cause struct {
	Connection string
	Class      bellhop.ErrorClass
	Detail     string
}

// Recorded is the answer to one Outcome.
type Recorded struct {
	// Stale is set when the step was changed by somebody else since it was taken: what
	// was learned is in the attempt, the step was left alone.
	Stale bool
	// Next is the step of the lane that became due by this. The caller takes it at once,
	// or calls EnqueueLanes for it.
	Next *DueStep
	// CircuitChanged is set when what the caller knows of circuits is out of date.
	CircuitChanged bool
	// OpenedIncident is the incident's id when this outcome opened it.
	OpenedIncident string
}

// Opening is what the engine plans when an incident is new: its task and its alerts.
type Opening struct {
	Task  *bellhop.SupportRequest
	Steps []bellhop.PlannedStep
}

// IncidentPlans are the pure functions that plan for incidents, inside the transaction
// in which they open or close.
type IncidentPlans struct {
	Opened func(inc bellhop.Incident, first bellhop.Step) Opening
	Closed func(inc bellhop.Incident) Opening
}

// Recorder records outcomes in grouped commits.
type Recorder struct {
	db    *DB
	plans IncidentPlans
	g     *group[Outcome, Recorded]
}

// NewRecorder starts the committers; Close stops them.
func NewRecorder(db *DB, plans IncidentPlans) *Recorder {
	db.plans = plans
	r := &Recorder{db: db, plans: plans}
	committers := 1
	if db.kind == Postgres {
		committers = 2
	}
	r.g = newGroup(committers, 128, r.commit)
	return r
}

// Record returns after the commit.
func (r *Recorder) Record(ctx context.Context, o Outcome) (Recorded, error) { return r.g.do(ctx, o) }

// Close waits for what is being committed.
func (r *Recorder) Close() { r.g.close() }

func (r *Recorder) commit(ctx context.Context, items []Outcome) ([]Recorded, error) {
	var b *recording
	err := r.db.tx(ctx, func(t *Tx) error {
		b = &recording{t: t, items: items, out: make([]Recorded, len(items)), plans: r.plans}
		return b.run(ctx)
	})
	if err != nil {
		return nil, err
	}
	if r.db.queue != nil && len(b.jobs) > 0 {
		r.db.queue.Committed(b.jobs)
	}
	r.db.wakeSteps(b.touched)
	return b.out, nil
}

// recording is one group of outcomes on its way through one transaction.
type recording struct {
	t       *Tx
	items   []Outcome
	out     []Recorded
	plans   IncidentPlans
	later   map[laterKey][]string // persons whose lanes are due again
	left    map[laneKey]int
	held    map[string]bool // incidents that lost a step
	tasks   map[string]bool // tasks that lost a step
	touched []bellhop.Step
	jobs    []Job
}

func (b *recording) run(ctx context.Context) error {
	b.left, b.later = map[laneKey]int{}, map[laterKey][]string{}
	b.held, b.tasks = map[string]bool{}, map[string]bool{}
	if err := b.recordSteps(ctx); err != nil {
		return err
	}
	if err := b.insertAttempts(ctx); err != nil {
		return err
	}
	if err := b.insertRefs(ctx); err != nil {
		return err
	}
	if err := b.leaveLanes(ctx); err != nil {
		return err
	}
	jobs, err := settle(ctx, b.t, b.plans, b.held, b.tasks)
	if err != nil {
		return err
	}
	b.jobs = append(b.jobs, jobs...)
	for i := range b.out {
		// An incident may have closed with this group; asking again is cheap.
		b.out[i].CircuitChanged = b.out[i].CircuitChanged || len(sortedKeys(b.held)) > 0
	}
	return b.enqueueLater(ctx)
}

// laterKey groups lanes that are due again at about the same time into one job.
type laterKey struct {
	connection string
	at         time.Time
}

// laterGrain is how far apart retries may be and still share a job.
const laterGrain = 100 * time.Millisecond

func (b *recording) enqueueLater(ctx context.Context) error {
	if len(b.later) == 0 || b.t.db.queue == nil {
		return nil
	}
	var jobs []Job
	for k, persons := range b.later {
		for chunk := range slices.Chunk(persons, lanesPerJob) {
			jobs = append(jobs, Job{Connection: k.connection, Persons: chunk, At: k.at})
		}
	}
	b.jobs = append(b.jobs, jobs...)
	tx, err := b.t.raw(ctx)
	if err != nil {
		return err
	}
	return b.t.db.queue.Enqueue(ctx, tx, jobs)
}

// rebase counts the outcome's waits from now on.
func (o *Outcome) rebase(now time.Time) {
	if o.Decided.IsZero() {
		return
	}
	by := now.Sub(o.Decided)
	if !o.DueAt.IsZero() {
		o.DueAt = o.DueAt.Add(by)
	}
	if !o.ProbeAt.IsZero() {
		o.ProbeAt = o.ProbeAt.Add(by)
	}
	o.Decided = now
}

// checkJoin looks whether the incident that an untried step was to wait for is still
// open. When it is over, so is the waiting: the step is due.
func (b *recording) checkJoin(ctx context.Context, i int) error {
	o := &b.items[i]
	if o.JoinIncident == "" {
		return nil
	}
	n, err := b.t.exec(ctx, "UPDATE bellhop.incidents SET updated_at = $2 WHERE id = $1 AND closed_at IS NULL",
		o.JoinIncident, b.t.now)
	if err != nil || n > 0 {
		return err
	}
	o.State, o.Incident, o.JoinIncident, o.Park, o.DueAt = bellhop.StepReady, nil, "", false, b.t.now
	if o.Class == bellhop.ClassUnknownOutcome || o.Class == bellhop.ClassMalformed {
		o.State = bellhop.StepUnknown
	}
	b.out[i].CircuitChanged = true
	return nil
}

// holders returns the incident and the task that hold the step after this outcome.
func (b *recording) holders(ctx context.Context, i int) (incident, task string, err error) {
	o := &b.items[i]
	incident, task = o.Step.IncidentID, o.Step.TaskID
	if o.Incident != nil {
		if incident, task, err = b.joinIncident(ctx, i); err != nil {
			return "", "", err
		}
	}
	if o.Task != nil {
		task, err = joinTask(ctx, b.t, *o.Task, o.DedupKey)
	}
	return incident, task, err
}

// nulBytes passes JSON as text, which both databases take; empty is NULL.
func nulBytes(v []byte) any {
	if len(v) == 0 {
		return nil
	}
	return string(v)
}

func (b *recording) insertAttempts(ctx context.Context) error {
	var rows [][]any
	for i := range b.items {
		if a := b.items[i].Attempt; a != nil {
			rows = append(rows, []any{NewID(), a.StepID, b.items[i].Step.PersonID, a.Number, a.Node, a.StartedAt,
				a.Duration.Microseconds(), string(a.Class), a.Status, a.VendorRequestID, a.Error})
		}
	}
	return b.t.insertRows(ctx, `INSERT INTO bellhop.attempts (id::uuid, step_id::uuid, person_id::uuid, number::integer, node,
		started_at::timestamptz, duration_us::bigint, class, status::integer, vendor_request_id, error)`, "", rows, nil)
}

// insertRefs keeps the vendor's ids: a contact belongs to the person, a ticket to the
// request it was made for.
func (b *recording) insertRefs(ctx context.Context) error {
	vals := map[string][]any{}
	for i := range b.items {
		o := &b.items[i]
		if b.out[i].Stale {
			continue
		}
		subject := o.Step.RequestID
		if subject == "" || o.Step.Kind == string(bellhop.ActionUpsertContact) {
			subject = o.Step.PersonID
		}
		for name, v := range o.Refs {
			k := strings.Join([]string{o.Step.PersonID, o.Step.Connection, subject, name}, "\x00")
			vals[k] = []any{o.Step.PersonID, o.Step.Connection, subject, name, v, o.RefsURL, b.t.now}
		}
	}
	return b.t.insertRows(ctx, `INSERT INTO bellhop.external_refs (person_id::uuid, connection, subject_id::uuid, name, value, url,
		updated_at::timestamptz)`, `ON CONFLICT (person_id, connection, subject_id, name) DO UPDATE SET value = excluded.value,
		url = excluded.url, updated_at = excluded.updated_at`, sorted(vals), nil)
}

// leaveLanes lets the next step of every left lane go.
func (b *recording) leaveLanes(ctx context.Context) error {
	if len(b.left) == 0 {
		return nil
	}
	open, err := moveLanes(ctx, b.t, b.left)
	if err != nil {
		return err
	}
	var lanes []laneKey
	for k, n := range open {
		if n > 0 {
			lanes = append(lanes, k)
		}
	}
	due, err := promote(ctx, b.t, lanes)
	if err != nil {
		return err
	}
	next := map[laneKey]*DueStep{}
	for n := range due {
		next[laneKey{due[n].PersonID, due[n].Connection}] = &due[n]
	}
	for i := range b.items {
		s := &b.items[i].Step
		k := laneKey{s.PersonID, s.Connection}
		b.out[i].Next = next[k]
		next[k] = nil // one worker takes it
	}
	return nil
}

// errIsNoRows reports that a query found nothing.
func errIsNoRows(err error) bool { return errors.Is(err, sql.ErrNoRows) }
