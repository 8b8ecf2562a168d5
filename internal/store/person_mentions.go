package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"strings"
)

// addMentions finds the chats and support requests of others in which an address of the
// person stands. It reads these tables from end to end.
func (s *personScope) addMentions(ctx context.Context, q queryer) error {
	for _, a := range s.addresses {
		// "!" is the escape: "_" is in many addresses.
		like := []string{"%" + strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(a) + "%"}
		for _, f := range []struct {
			list *[]string
			text string
		}{
			{&s.mentions, "SELECT DISTINCT conversation_id FROM bellhop.messages WHERE lower(text) LIKE $1 ESCAPE '!'"},
			{&s.taskOthers, "SELECT id FROM bellhop.support_requests WHERE lower(subject || ' ' || body || ' ' || note) LIKE $1 ESCAPE '!'"},
		} {
			rows, err := q.query(ctx, f.text, like[0])
			if err != nil {
				return err
			}
			err = each(rows, func(r *sql.Rows) error {
				var id string
				err := r.Scan(&id)
				*f.list = append(*f.list, id)
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	own := setOf(s.conversations)
	s.mentions = slices.DeleteFunc(unique(s.mentions), func(id string) bool { return own[id] })
	return nil
}

// othersEvents returns the events that are to be emptied though they are no row of the
// person's: what was refused, and what others wrote with the address in it. Their messages
// keep the rest of what they wrote.
func (e *erasing) othersEvents(ctx context.Context) ([]string, error) {
	persons, own := setOf(e.scope.persons), setOf(e.scope.conversations)
	out := slices.Clone(e.scope.refusedOthers)
	for _, row := range e.data["events"] {
		id, _ := row["id"].(string)
		person, _ := row["person_id"].(string)
		conv, _ := row["conversation_id"].(string)
		if !persons[person] && !own[conv] {
			out = append(out, id)
		}
	}
	ids, err := strings1(ctx, e.t, "SELECT event_id FROM bellhop.messages WHERE conversation_id IN (?) AND event_id IS NOT NULL", e.scope.mentions)
	if err != nil {
		return nil, err
	}
	mentions := setOf(e.scope.mentions)
	err = queryIn(ctx, e.t, "SELECT id, conversation_id FROM bellhop.events WHERE person_id IN (?)", e.scope.persons, func(r *sql.Rows) error {
		var id, conv string
		err := r.Scan(&id, strDest{&conv})
		if mentions[conv] {
			ids = append(ids, id)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	err = queryIn(ctx, e.t, "SELECT id, body FROM bellhop.events WHERE id IN (?)", unique(ids), func(r *sql.Rows) error {
		var id string
		var body []byte
		err := r.Scan(&id, &body)
		if holdsAddress(string(body), e.scope.addresses) || holdsAddress(flatText(body), e.scope.addresses) {
			out = append(out, id)
		}
		return err
	})
	return unique(out), err
}

// redactMentions takes the person's addresses out of what is somebody else's, and leaves the
// rest of it to them.
func (e *erasing) redactMentions(ctx context.Context) error {
	n, err := e.change(ctx, "UPDATE bellhop.events SET body = $1 WHERE id IN (?) AND body <> $1 RETURNING id", e.others, []byte(erasedMark))
	if err != nil {
		return err
	}
	e.rec.Removed["events"] += n
	for _, redact := range []func(context.Context) error{e.blankChats, e.blankMessages, e.blankTasks, e.blankSteps} {
		if err := redact(ctx); err != nil {
			return err
		}
	}
	return e.redactHanded(ctx, e.t.now)
}

// blankChats makes chats of others name nobody by the address any more. They are then of
// whoever their visitor or user is known as otherwise.
func (e *erasing) blankChats(ctx context.Context) error {
	type chat struct{ id, user, visitor, person, lead, email, fields string }
	var chats []chat
	err := queryIn(ctx, e.t, `SELECT id, user_id, visitor_id, person_id, lead_person_id, lead_email, fields FROM bellhop.conversations
		WHERE id IN (?)`, e.scope.mentions, func(r *sql.Rows) error {
		var c chat
		err := r.Scan(&c.id, strDest{&c.user}, strDest{&c.visitor}, strDest{&c.person}, strDest{&c.lead}, &c.email, &c.fields)
		chats = append(chats, c)
		return err
	})
	if err != nil {
		return err
	}
	persons := setOf(e.scope.persons)
	for _, c := range chats {
		before := c
		if persons[c.person] {
			key := "visitor:" + c.visitor
			if c.user != "" {
				key = "user:" + c.user
			}
			if c.person, err = e.otherPerson(ctx, key); err != nil {
				return err
			}
		}
		if persons[c.lead] {
			c.lead = ""
		}
		if holdsAddress(c.email, e.scope.addresses) {
			c.email = ""
		}
		c.fields, _ = blankJSON(c.fields, e.scope.addresses)
		if c == before {
			continue
		}
		e.rec.Removed["conversations"]++
		if _, err := e.t.exec(ctx, `UPDATE bellhop.conversations SET person_id = $2, lead_person_id = $3, lead_email = $4, fields = $5,
			updated_at = $6 WHERE id = $1`, c.id, nul(c.person), nul(c.lead), c.email, c.fields, e.t.now); err != nil {
			return err
		}
	}
	return nil
}

// otherPerson returns who a key leads to, "" when it is nobody or the person themselves.
func (e *erasing) otherPerson(ctx context.Context, key string) (string, error) {
	found, err := strings1(ctx, e.t, "SELECT person_id FROM bellhop.person_keys WHERE key IN (?)", []string{key})
	if err != nil || len(found) == 0 || slices.Contains(e.scope.persons, found[0]) {
		return "", err
	}
	return found[0], nil
}

func (e *erasing) blankMessages(ctx context.Context) error {
	type message struct{ id, conv, text, decision string }
	var all []message
	err := queryIn(ctx, e.t, "SELECT id, conversation_id, text, decision FROM bellhop.messages WHERE conversation_id IN (?)", e.scope.mentions,
		func(r *sql.Rows) error {
			var m message
			err := r.Scan(&m.id, &m.conv, &m.text, strDest{&m.decision})
			text := blankAddresses(m.text, e.scope.addresses)
			decision, changed := blankJSON(m.decision, e.scope.addresses)
			if changed || text != m.text {
				all = append(all, message{m.id, m.conv, text, decision})
			}
			return err
		})
	for _, m := range all {
		if err == nil {
			e.rec.Removed["messages"]++
			_, err = e.t.exec(ctx, "UPDATE bellhop.messages SET text = $3, decision = $4 WHERE id = $1 AND conversation_id = $2",
				m.id, m.conv, m.text, nul(m.decision))
		}
	}
	return err
}

// blankTasks is for the support requests of others: of these chats, and those that were found.
func (e *erasing) blankTasks(ctx context.Context) error {
	ids, err := strings1(ctx, e.t, "SELECT id FROM bellhop.support_requests WHERE conversation_id IN (?)", e.scope.mentions)
	if err != nil {
		return err
	}
	more, err := strings1(ctx, e.t, "SELECT id FROM bellhop.support_requests WHERE event_id IN (?)", e.others)
	if err != nil {
		return err
	}
	type task struct{ id, subject, body, note string }
	var all []task
	blank := func(s string) string { return blankAddresses(s, e.scope.addresses) }
	err = queryIn(ctx, e.t, "SELECT id, subject, body, note FROM bellhop.support_requests WHERE id IN (?)",
		unique(slices.Concat(ids, more, e.scope.taskOthers)), func(r *sql.Rows) error {
			var t task
			err := r.Scan(&t.id, &t.subject, &t.body, &t.note)
			if b := (task{t.id, blank(t.subject), blank(t.body), blank(t.note)}); b != t {
				all = append(all, b)
			}
			return err
		})
	for _, t := range all {
		if err == nil {
			e.rec.Removed["support_requests"]++
			_, err = e.t.exec(ctx, `UPDATE bellhop.support_requests SET subject = $2, body = $3, note = $4, updated_at = $5,
				version = version + 1 WHERE id = $1`, t.id, t.subject, t.body, t.note, e.t.now)
		}
	}
	return err
}

// blankSteps is for the steps that those chats made in lanes of others.
func (e *erasing) blankSteps(ctx context.Context) error {
	requests, err := strings1(ctx, e.t, "SELECT id FROM bellhop.requests WHERE conversation_id IN (?)", e.scope.mentions)
	if err != nil {
		return err
	}
	type step struct{ id, input, result, err string }
	var all []step
	done := setOf(e.scope.steps)
	err = queryIn(ctx, e.t, "SELECT id, input, result, error FROM bellhop.steps WHERE request_id IN (?) AND request_id IS NOT NULL", requests,
		func(r *sql.Rows) error {
			var s step
			err := r.Scan(&s.id, &s.input, strDest{&s.result}, &s.err)
			b := step{id: s.id, err: blankAddresses(s.err, e.scope.addresses)}
			b.input, _ = blankJSON(s.input, e.scope.addresses)
			b.result, _ = blankJSON(s.result, e.scope.addresses)
			if !done[s.id] && b != s {
				all = append(all, b)
			}
			return err
		})
	for _, s := range all {
		if err == nil {
			e.rec.Removed["steps"]++
			_, err = e.t.exec(ctx, "UPDATE bellhop.steps SET input = $2, result = $3, error = $4 WHERE id = $1", s.id, s.input, nul(s.result), s.err)
		}
	}
	return err
}

// othersJSON is the list of events that the erasure says it empties beside the person's own.
func (e *erasing) othersJSON() (string, error) {
	raw, err := json.Marshal(append([]string{}, e.others...))
	return string(raw), err
}

// redactLog takes who it was out of the security log: it then names a person that is nobody.
func (e *erasing) redactLog(ctx context.Context) error {
	n, err := e.change(ctx, "UPDATE bellhop.security_log SET actor = $1 WHERE id IN (?) RETURNING id", e.scope.log, "erased:"+e.scope.person)
	e.rec.Removed["security_log"] += n
	return err
}
