package store

import (
	"context"
	"database/sql"
	"encoding/hex"
	"strings"
)

// erasedMark stands where a body or an input was. The guards of the append-only tables know
// it by heart: see the migration that made erasures.
const erasedMark = `{"erased":true}`

// redaction is one statement of an erasure. Texts stand for themselves; the ids are those
// of the scope.
type redaction struct {
	table string
	text  string // with one "IN (?)", returning a column
	ids   []string
	args  []any
}

// redactions lists what is done to which table, in the order in which it has to be done:
// the guard of an event looks at its conversation, that of an attempt at its step.
func (e *erasing) redactions() []redaction {
	s, now := e.scope, e.t.now
	return []redaction{
		{"conversations", `UPDATE bellhop.conversations SET person_id = $1, visitor_id = 'erased:' || CAST(id AS text),
			user_id = NULL, fields = '{}', lead_email = '', status = 'closed', updated_at = $2 WHERE id IN (?) RETURNING id`,
			s.conversations, []any{s.person, now}},
		{"messages", "DELETE FROM bellhop.messages WHERE conversation_id IN (?) RETURNING id", s.conversations, nil},
		{"events", "UPDATE bellhop.events SET body = $1 WHERE id IN (?) RETURNING id", s.events, []any{[]byte(erasedMark)}},
		{"leads", "DELETE FROM bellhop.leads WHERE person_id IN (?) RETURNING id", s.persons, nil},
		{"requests", "UPDATE bellhop.requests SET visitor_id = NULL, user_id = NULL WHERE id IN (?) RETURNING id", s.requests, nil},
		{"support_requests", `UPDATE bellhop.support_requests SET subject = 'Erased', body = 'The person that this was about was erased.',
			note = '', transcript_url = '', dedup_key = NULL, status = 'resolved', resolved_at = coalesce(resolved_at, $1),
			updated_at = $1, version = version + 1 WHERE id IN (?) RETURNING id`, s.support, []any{now}},
		{"steps", `UPDATE bellhop.steps SET input = '` + erasedMark + `', result = NULL, error = '', version = version + 1
			WHERE id IN (?) RETURNING id`, s.steps, nil},
		{"attempts", "UPDATE bellhop.attempts SET error = '' WHERE step_id IN (?) AND error <> '' RETURNING id", s.steps, nil},
		{"spend", "DELETE FROM bellhop.spend WHERE who IN (?) RETURNING day", s.spenders, nil}, // what everybody cost stays
		{"external_refs", "DELETE FROM bellhop.external_refs WHERE person_id IN (?) RETURNING name", s.persons, nil},
		{"person_keys", "DELETE FROM bellhop.person_keys WHERE person_id IN (?) RETURNING key", s.persons, nil},
		{"persons", `UPDATE bellhop.persons SET email = NULL, user_id = NULL, name = '', phone = '', updated_at = $1
			WHERE id IN (?) RETURNING id`, s.persons, []any{now}},
	}
}

// redact takes out what tells who the person is, and counts it for the receipt.
func (e *erasing) redact(ctx context.Context) error {
	for _, r := range e.redactions() {
		n, err := e.change(ctx, r.text, r.ids, r.args...)
		if err != nil {
			return err
		}
		e.rec.Removed[r.table] += n
	}
	if err := e.redactLog(ctx); err != nil {
		return err
	}
	if err := e.redactMentions(ctx); err != nil {
		return err
	}
	for _, kept := range []string{"events", "steps", "payments", "subscriptions", "requests"} {
		e.rec.Kept[kept] = len(e.data[kept])
	}
	if err := e.redactKeys(ctx); err != nil {
		return err
	}
	return e.redactNeighbours(ctx)
}

// redactKeys replaces keys that themselves tell who the person is: the note of a
// conversation is filed under an address, and a caller may use one as an idempotency key.
// The digest of each is kept where retention keeps those of steps that are gone, so that
// the same thing planned again is still a repeat.
func (e *erasing) redactKeys(ctx context.Context) error {
	for _, row := range e.data["steps"] {
		key, _ := row["key"].(string)
		if !e.tells(key) {
			continue
		}
		d := stepDigest(key)
		if _, err := e.t.exec(ctx, "INSERT INTO bellhop.step_keys (digest) VALUES ($1) ON CONFLICT (digest) DO NOTHING", d); err != nil {
			return err
		}
		if _, err := e.t.exec(ctx, "UPDATE bellhop.steps SET key = $2 WHERE id = $1", row["id"], "erased:"+hex.EncodeToString(d)); err != nil {
			return err
		}
	}
	var named []string
	for _, row := range e.data["events"] {
		external, _ := row["external_id"].(string)
		if id, ok := row["id"].(string); ok && e.tells(external) {
			named = append(named, id)
		}
	}
	_, err := e.change(ctx, "UPDATE bellhop.events SET body = $1, external_id = 'erased:' || CAST(id AS text) WHERE id IN (?) RETURNING id",
		named, []byte(erasedMark))
	return err
}

// tells reports whether a text holds a word that tells who the person is.
func (e *erasing) tells(text string) bool {
	text = strings.ToLower(text)
	for _, w := range e.words {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}

// blank takes the words out of a text.
func (e *erasing) blank(text string) string {
	for _, w := range e.words {
		for {
			i := strings.Index(strings.ToLower(text), w)
			// Lower case can be longer or shorter than what it is of; then nothing can be
			// said about where in the text it stands, and all of it goes.
			if i >= 0 && len(strings.ToLower(text)) != len(text) {
				return "(erased)"
			}
			if i < 0 {
				break
			}
			text = text[:i] + "(erased)" + text[i+len(w):]
		}
	}
	return text
}

// redactNeighbours takes the person out of rows that are nobody's: the request and the
// alerts of an outage name the step that it held up first. They are found by the
// correlation id of that step.
func (e *erasing) redactNeighbours(ctx context.Context) error {
	n, err := e.change(ctx, `UPDATE bellhop.support_requests SET body = 'What this held up first was of a person who has been erased. '
		|| 'Every step that waits is listed with this request.', updated_at = $1, version = version + 1
		WHERE correlation_id IN (?) AND reason = 'outage' AND person_id IS NULL RETURNING id`, e.scope.correlations, e.t.now)
	if err != nil {
		return err
	}
	e.rec.Removed["support_requests"] += n
	type alert struct{ id, input, result, err string }
	var alerts []alert
	err = queryIn(ctx, e.t, `SELECT id, input, result, error FROM bellhop.steps WHERE correlation_id IN (?) AND
		person_id = '`+NoPerson+`'`, e.scope.correlations, func(r *sql.Rows) error {
		var a alert
		err := r.Scan(&a.id, &a.input, strDest{&a.result}, &a.err)
		alerts = append(alerts, a)
		return err
	})
	for _, a := range alerts {
		if err == nil && e.tells(a.input+"\n"+a.result+"\n"+a.err) {
			e.rec.Removed["steps"]++
			_, err = e.t.exec(ctx, "UPDATE bellhop.steps SET input = $2, result = $3, error = $4 WHERE id = $1", a.id,
				e.blank(a.input), nul(e.blank(a.result)), e.blank(a.err))
		}
	}
	return err
}
