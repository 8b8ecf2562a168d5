package store

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"

	"bellhop"
)

// EraseOpts says whom to erase.
type EraseOpts struct {
	Who string // as FindPerson takes it
	By  string // who asked for it to be done; kept in the receipt
	// DropOpen drops the person's unfinished steps. Without it such steps are an error of
	// CodeStateConflict: a person decides whether they are waited for or given up.
	DropOpen bool
	Plan     bellhop.ErasureFunc // what follows at the vendors
}

// erasing is an erasure on its way through its transaction.
type erasing struct {
	t     *Tx
	ch    *changed
	opts  EraseOpts
	who   bellhop.Person
	scope personScope
	// others are events that are not the person's and are emptied all the same.
	others []string
	words  []string // that tell who the person is, lower case
	data   map[string][]map[string]any
	rec    Receipt
}

// ErasePerson takes everything that tells who a person is out of every table, in one
// transaction, and returns the signed receipt. What stays proves the books and keeps a
// repeat from being something new: keys of events and steps, ids, states and times, amounts
// and currencies of payments. Rows of the person come back only by something new that they
// do, and are then somebody else's: nothing joins the two.
//
// What a database keeps besides its tables is not touched: backups, the write-ahead log,
// rows that Postgres has not vacuumed yet.
func (db *DB) ErasePerson(ctx context.Context, o EraseOpts) (Receipt, error) {
	p, err := db.FindPerson(ctx, o.Who)
	if err != nil {
		return Receipt{}, err
	}
	keys, err := db.receiptKeys(ctx)
	if err != nil {
		return Receipt{}, err
	}
	before, err := gather(ctx, db, personScope{person: p.ID}, true)
	if err != nil {
		return Receipt{}, err
	}
	var e *erasing
	err = db.changeSteps(ctx, func(t *Tx, ch *changed) error {
		e = &erasing{t: t, ch: ch, opts: o, who: p}
		return e.run(ctx, before, keys)
	})
	if err != nil {
		return Receipt{}, err
	}
	for _, c := range e.scope.conversations {
		db.hub.Wake(ConversationTopic(c))
	}
	return e.rec, nil
}

func (e *erasing) run(ctx context.Context, before personScope, keys receiptKeys) error {
	if err := e.lock(ctx, before); err != nil {
		return err
	}
	var err error
	if e.scope, err = gather(ctx, e.t, before, false); err != nil {
		return err
	}
	open, err := e.openSteps(ctx)
	if err != nil {
		return err
	}
	if err := e.checkWaiting(); err != nil {
		return err
	}
	if e.data, err = exportRows(ctx, e.t, e.scope); err != nil {
		return err
	}
	e.words = personalWords(e.data)
	if e.others, err = e.othersEvents(ctx); err != nil {
		return err
	}
	if err := e.begin(ctx, keys); err != nil {
		return err
	}
	if err := e.drop(ctx, open); err != nil {
		return err
	}
	if err := e.redact(ctx); err != nil {
		return err
	}
	if err := e.atVendors(ctx); err != nil {
		return err
	}
	return e.end(ctx, keys)
}

// lock takes the rows in the order in which acceptance takes them, so that nothing of the
// person comes in meanwhile. dialect: forUpdate.
func (e *erasing) lock(ctx context.Context, s personScope) error {
	if _, err := strings1(ctx, e.t, "SELECT id FROM bellhop.conversations WHERE id IN (?) ORDER BY id"+e.t.forUpdate(), s.conversations); err != nil {
		return err
	}
	_, err := strings1(ctx, e.t, "SELECT id FROM bellhop.persons WHERE id IN (?) ORDER BY id"+e.t.forUpdate(), s.persons)
	return err
}

// openSteps returns the steps that are not finished, and an error where they are in the way.
func (e *erasing) openSteps(ctx context.Context) ([]DueStep, error) {
	var open []DueStep
	err := queryIn(ctx, e.t, "SELECT "+stepColumns+` FROM bellhop.steps WHERE id IN (?) AND
		state NOT IN ('done', 'dropped') ORDER BY id`+e.t.forUpdate(), e.scope.steps, func(r *sql.Rows) error {
		s, err := scanStep(r)
		open = append(open, s)
		return err
	})
	if err != nil || len(open) == 0 {
		return nil, err
	}
	now, err := e.t.db.shared(ctx, e.t)
	if err != nil {
		return nil, err
	}
	for _, s := range open {
		if s.State == bellhop.StepRunning && s.LeaseUntil.After(now) {
			return nil, errInFlight()
		}
	}
	if !e.opts.DropOpen {
		return nil, bellhop.Errorf(bellhop.CodeStateConflict,
			"Wait until they are done, settle them by hand, or erase with --force: it drops them, and the receipt says so.",
			"There are unfinished steps of this person: %d.", len(open))
	}
	return open, nil
}

// drop gives the unfinished steps up and lets the lanes go on that they held.
func (e *erasing) drop(ctx context.Context, open []DueStep) error {
	e.rec.Dropped = len(open)
	if len(open) == 0 {
		return nil
	}
	ids, delta := make([]string, len(open)), map[laneKey]int{}
	incidents, tasks := map[string]bool{}, map[string]bool{}
	for i, s := range open {
		ids[i] = s.ID
		incidents[s.IncidentID], tasks[s.TaskID] = true, true
		if s.State.HoldsLane() {
			delta[laneKey{s.PersonID, s.Connection}]--
		}
		e.ch.touched = append(e.ch.touched, s.Step)
	}
	if _, err := e.change(ctx, `UPDATE bellhop.steps SET state = 'dropped', done_by = $1, updated_at = $2,
		version = version + 1 WHERE id IN (?) RETURNING id`, ids, "erased by "+e.opts.By, e.t.now); err != nil {
		return err
	}
	left, err := moveLanes(ctx, e.t, delta)
	if err != nil {
		return err
	}
	var lanes []laneKey
	for k, n := range left {
		if n > 0 {
			lanes = append(lanes, k)
		}
	}
	next, err := promote(ctx, e.t, lanes)
	if err != nil {
		return err
	}
	for _, n := range next {
		e.ch.due = append(e.ch.due, dueLane{n.Connection, n.PersonID})
	}
	// The incident of an open circuit ends with it, by the server: it tells the founder.
	held, err := strings1(ctx, e.t, "SELECT incident_id FROM bellhop.circuits WHERE incident_id IN (?)", sortedKeys(incidents))
	if err != nil {
		return err
	}
	for _, id := range held {
		delete(incidents, id)
	}
	jobs, err := settle(ctx, e.t, e.t.db.plans, incidents, tasks)
	e.ch.jobs = append(e.ch.jobs, jobs...)
	return err
}

// change runs a statement that changes rows and returns one column of each, and counts them.
func (e *erasing) change(ctx context.Context, text string, ids []string, first ...any) (int, error) {
	n := 0
	err := queryInWith(ctx, e.t, text, first, ids, func(*sql.Rows) error { n++; return nil })
	return n, err
}

// personalWords are the values that tell who a person is: they are looked for where a text
// stands in a row that is not the person's own.
func personalWords(data map[string][]map[string]any) []string {
	var out []string
	add := func(v any) {
		if s, ok := v.(string); ok && len(strings.TrimSpace(s)) > 3 {
			out = append(out, strings.ToLower(strings.TrimSpace(s)))
		}
	}
	for _, columns := range [][]string{{"persons", "email", "user_id", "name", "phone"},
		{"leads", "email", "name", "phone", "company", "wants"}, {"conversations", "lead_email", "visitor_id", "user_id"},
		{"messages", "text"}} {
		for _, row := range data[columns[0]] {
			for _, c := range columns[1:] {
				add(row[c])
			}
		}
	}
	for _, row := range data["conversations"] {
		fields, _ := row["fields"].(map[string]any)
		for _, v := range fields {
			add(v)
		}
	}
	for _, row := range data["person_keys"] {
		key, _ := row["key"].(string)
		if kind, value, _ := strings.Cut(key, ":"); kind != "person" {
			add(value)
		}
	}
	out = unique(out)
	// The longest first: a name within a text goes with the text.
	slices.SortStableFunc(out, func(a, b string) int { return len(b) - len(a) })
	return out
}

// heldAt tells which connections know the person, from what they were sent and gave.
func heldAt(data map[string][]map[string]any) []bellhop.HeldAt {
	held := map[string]*bellhop.HeldAt{}
	at := func(v any) *bellhop.HeldAt {
		name, _ := v.(string)
		if held[name] == nil {
			held[name] = &bellhop.HeldAt{Connection: name, Refs: map[string]string{}}
		}
		return held[name]
	}
	for _, row := range data["external_refs"] {
		h := at(row["connection"])
		name, _ := row["name"].(string)
		h.Refs[name], _ = row["value"].(string)
		if url, _ := row["url"].(string); url != "" && !slices.Contains(h.URLs, url) {
			h.URLs = append(h.URLs, url)
		}
	}
	for _, row := range data["steps"] {
		n, _ := row["attempts"].(int64)
		tried := n > 0 || row["error_class"] != "" || row["state"] == string(bellhop.StepDone)
		if tried && row["kind"] != string(bellhop.ActionDeletePerson) {
			at(row["connection"])
		}
	}
	for _, row := range data["payments"] {
		at(row["connection"])
	}
	for _, row := range data["person_keys"] {
		key, _ := row["key"].(string)
		if conn, id, ok := strings.Cut(strings.TrimPrefix(key, "customer:"), ":"); ok && strings.HasPrefix(key, "customer:") {
			h := at(conn)
			h.Customers = append(h.Customers, id)
		}
	}
	out := make([]bellhop.HeldAt, 0, len(held))
	for _, h := range sorted(held) {
		out = append(out, *h)
	}
	return out
}

// atVendors plans what follows at the vendors and writes it into the receipt.
func (e *erasing) atVendors(ctx context.Context) error {
	if e.opts.Plan == nil {
		return nil
	}
	plan := e.opts.Plan(bellhop.ErasureInput{ErasureID: e.rec.ID, PersonID: e.who.ID, HeldAt: heldAt(e.data), Now: e.t.now, NewID: NewID})
	steps := make([]*stepRow, 0, len(plan.Steps))
	for _, p := range plan.Steps {
		s := &stepRow{id: NewID(), person: e.who.ID, connection: p.Connection, key: p.Key, planned: p, item: -1,
			correlationID: strings.ReplaceAll(e.rec.ID, "-", "")}
		steps = append(steps, s)
		e.rec.AtVendors = append(e.rec.AtVendors, VendorErasure{Connection: p.Connection, Step: s.id})
	}
	for i := range plan.Support {
		s := &plan.Support[i]
		s.CorrelationID = strings.ReplaceAll(e.rec.ID, "-", "")
		e.rec.ByHand = append(e.rec.ByHand, "do it by hand: "+s.Subject+" (request "+s.ID+")")
	}
	if err := insertSupport(ctx, e.t, plan.Support); err != nil {
		return err
	}
	jobs, err := insertSteps(ctx, e.t, steps)
	e.ch.jobs = append(e.ch.jobs, jobs...)
	return err
}

// begin writes down that the persons are being erased: it is what the guards of the
// append-only tables look for.
func (e *erasing) begin(ctx context.Context, keys receiptKeys) error {
	sum, err := dataDigest(e.data)
	if err != nil {
		return err
	}
	others, err := e.othersJSON()
	if err != nil {
		return err
	}
	e.rec = Receipt{ID: NewID(), Persons: e.scope.persons, RequestedBy: e.opts.By, ErasedAt: e.t.now.UTC().Truncate(time.Microsecond),
		EmailDigest: keys.digest(e.who.Email), SHA256: sum, Removed: map[string]int{}, Kept: map[string]int{}}
	for _, id := range e.scope.persons {
		digest := ""
		for _, row := range e.data["persons"] {
			if row["id"] == id {
				email, _ := row["email"].(string)
				digest = keys.digest(email)
			}
		}
		if _, err := e.t.exec(ctx, `INSERT INTO bellhop.erasures (id, person_id, email_digest, requested_by, started_at, others)
			VALUES ($1, $2, $3, $4, $5, $6)`, e.rec.ID, id, digest, e.opts.By, e.rec.ErasedAt, others); err != nil {
			return err
		}
	}
	return nil
}
