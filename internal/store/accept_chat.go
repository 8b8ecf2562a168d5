package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"time"

	"bellhop"
)

type convRow struct {
	id, personID  string
	status        bellhop.ConversationStatus
	owner         bellhop.Owner
	fields        bellhop.LeadFields
	isLead        bool
	leadRequestID string
	leadPersonID  string // whose lane the lead's steps stand in
	leadEmail     string // what its note is filed under
	createdAt     time.Time
	dirty         bool
	open          map[string]openRequest // by matter, see matterOf
}

// openRequest is an open support request of a conversation.
type openRequest struct{ id, person string }

type leadRow struct {
	bellhop.Lead
	isNew, dirty bool
}

type requestRow struct {
	id, personID, conversationID, eventID, correlationID string
	kind                                                 bellhop.RequestKind
	owner                                                bellhop.Owner
}

// matterOf groups the reasons for which one conversation has one open support request.
func matterOf(r bellhop.Reason) string {
	switch r {
	case bellhop.ReasonBilling, bellhop.ReasonDispute:
		return "billing"
	case bellhop.ReasonAskedForHuman:
		return "person"
	default:
		return "support"
	}
}

// loadConversations locks the conversations of the group and puts what they know of the
// person into the items' hints.
func (b *batch) loadConversations(ctx context.Context) error {
	var ids []string
	for _, i := range b.fresh {
		if id := b.items[i].ConversationID; id != "" {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	err := queryIn(ctx, b.t, `SELECT id, visitor_id, user_id, person_id, status, fields, is_lead, lead_request_id,
		lead_person_id, lead_email, created_at FROM bellhop.conversations WHERE id IN (?) ORDER BY id`+b.t.forUpdate(), ids, func(r *sql.Rows) error {
		c := &convRow{open: map[string]openRequest{}}
		var fields []byte
		if err := r.Scan(&c.id, strDest{&c.owner.VisitorID}, strDest{&c.owner.UserID}, strDest{&c.personID}, &c.status,
			&fields, &c.isLead, strDest{&c.leadRequestID}, strDest{&c.leadPersonID}, &c.leadEmail,
			timeDest{&c.createdAt}); err != nil {
			return err
		}
		b.convs[c.id] = c
		return json.Unmarshal(fields, &c.fields)
	})
	if err != nil {
		return err
	}
	err = queryIn(ctx, b.t, `SELECT conversation_id, reason, id, person_id FROM bellhop.support_requests
		WHERE conversation_id IN (?) AND status <> 'resolved' ORDER BY id`, ids, func(r *sql.Rows) error {
		var conv, reason string
		var open openRequest
		if err := r.Scan(&conv, &reason, &open.id, strDest{&open.person}); err != nil {
			return err
		}
		if c := b.convs[conv]; c != nil && bellhop.Reason(reason) != bellhop.ReasonSyncFailed {
			c.open[matterOf(bellhop.Reason(reason))] = open
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, i := range b.fresh {
		b.hintFromConversation(i)
	}
	return nil
}

// hintFromConversation merges a turn's fields into what the conversation told before,
// and makes the person's hint from both: an e-mail told in the first turn still names
// the person in the third. A turn that needs nobody names nobody.
func (b *batch) hintFromConversation(i int) {
	it := &b.items[i]
	c := b.convs[it.ConversationID]
	if c == nil || it.Chat == nil {
		return
	}
	d := it.Chat.Decision
	c.dirty = true
	before := c.fields.Email
	c.fields = c.fields.Merge(d.Fields)
	if before != "" && before != c.fields.Email {
		b.corrected[i] = before
	}
	c.isLead = c.isLead || d.Intent == bellhop.IntentLead
	it.Person.UserID = c.owner.UserID
	it.Person.Email, it.Person.Claimed = c.fields.Email, true
	it.Person.Name = c.fields.Name
	it.Person.Phone = c.fields.Phone
	if it.Chat.Ask != nil || c.isLead || it.Person.Email != "" {
		it.Person.VisitorID = c.owner.VisitorID
	}
}

// takeChats stores the turns and finds out what became true by them.
func (b *batch) takeChats(ctx context.Context) error {
	var rows [][]any
	for _, i := range b.fresh {
		it := &b.items[i]
		c := b.convs[it.ConversationID]
		if it.Chat == nil || c == nil {
			continue
		}
		decision, err := json.Marshal(it.Chat.Decision)
		if err != nil {
			return err
		}
		reply := it.Chat.ReplyID
		if reply == "" {
			reply = NewID()
		}
		rows = append(rows,
			[]any{it.Event.ID, c.id, it.Event.ID, it.Chat.ClientID, string(bellhop.RoleCustomer), it.Chat.Text,
				string(decision), it.Event.ReceivedAt},
			[]any{reply, c.id, it.Event.ID, "reply:" + it.Chat.ClientID, string(bellhop.RoleAssistant), it.Chat.Reply,
				nil, b.t.now})
		if id := b.out[i].PersonID; id != "" {
			c.personID = id
		}
		b.topics = append(b.topics, ConversationTopic(c.id))
	}
	return b.t.insertRows(ctx, `INSERT INTO bellhop.messages (id::uuid, conversation_id::uuid, event_id::uuid, client_id, role, text,
		decision::jsonb, created_at::timestamptz)`, "", rows, nil)
}

// takeLeads merges the fields of the group's leads into the one lead of each person.
func (b *batch) takeLeads(ctx context.Context) error {
	var persons []string
	for _, i := range b.fresh {
		if b.leadFields(i) != nil && b.out[i].PersonID != "" {
			persons = append(persons, b.out[i].PersonID)
			if old := b.keys["email:"+b.corrected[i]]; old != "" {
				persons = append(persons, old)
			}
		}
	}
	if len(persons) == 0 {
		return nil
	}
	slices.Sort(persons)
	persons = slices.Compact(persons)
	err := queryIn(ctx, b.t, `SELECT id, person_id, conversation_id, name, email, phone, company, wants, source, revision,
		created_at, updated_at FROM bellhop.leads WHERE person_id IN (?) ORDER BY person_id`+b.t.forUpdate(), persons,
		func(r *sql.Rows) error {
			l, err := scanLead(r)
			b.leads[l.PersonID] = &leadRow{Lead: l}
			return err
		})
	if err != nil {
		return err
	}
	for _, i := range b.fresh {
		if f := b.leadFields(i); f != nil && b.out[i].PersonID != "" {
			b.takeLead(i, *f)
		}
	}
	return b.writeLeads(ctx)
}

func scanLead(r interface{ Scan(...any) error }) (bellhop.Lead, error) {
	var l bellhop.Lead
	err := r.Scan(&l.ID, &l.PersonID, strDest{&l.ConversationID}, &l.Fields.Name, &l.Fields.Email, &l.Fields.Phone,
		&l.Fields.Company, &l.Fields.Wants, &l.Source, &l.Revision, timeDest{&l.CreatedAt}, timeDest{&l.UpdatedAt})
	return l, err
}

// leadFields returns what item i tells of a lead, nil when it is none.
func (b *batch) leadFields(i int) *bellhop.LeadFields {
	it := &b.items[i]
	if it.Lead != nil {
		return &it.Lead.Fields
	}
	if c := b.convs[it.ConversationID]; it.Chat != nil && c != nil && c.isLead {
		return &c.fields
	}
	return nil
}

func (b *batch) takeLead(i int, f bellhop.LeadFields) {
	it, person := &b.items[i], b.out[i].PersonID
	if email, ok := bellhop.NormalizeEmail(f.Email); ok {
		f.Email = email
	}
	row := b.leads[person]
	if row == nil {
		source := "chat"
		if it.Lead != nil {
			source = it.Lead.Source
		}
		row = &leadRow{Lead: bellhop.Lead{ID: NewID(), PersonID: person, Source: source, CreatedAt: b.t.now}, isNew: true}
		b.leads[person] = row
	}
	made, c := row.isNew, b.convs[it.ConversationID]
	mayChange := made || !it.Person.Claimed || (c != nil && row.ConversationID == c.id)
	merged := row.Fields.Merge(f)
	if !mayChange {
		// Whoever types somebody's address may add to what is known of them, and change nothing.
		merged = f.Merge(row.Fields)
		merged.Wants = row.Fields.Merge(f).Wants
	}
	changed := made || merged != row.Fields
	if c != nil && (c.leadRequestID == "" || c.leadPersonID == "" && c.fields.Email != "" || b.corrected[i] != "") {
		changed = true // a known person in a new conversation: its note is still to be written
	}
	request := b.leadRequest(i)
	if made || merged != row.Fields {
		row.Fields, row.dirty = merged, true
		row.Revision++
		row.isNew = false
	}
	if made {
		row.ConversationID = it.ConversationID
	}
	row.UpdatedAt = b.t.now
	previous, filed := b.fileLead(i, request)
	if changed || it.Lead != nil {
		lead := row.Lead
		change := bellhop.Change{Kind: bellhop.KindLeadCaptured, Key: it.Event.ID, Lead: &lead, PreviousEmail: previous, FiledUnder: filed}
		if !mayChange {
			change.Said = &f
		}
		b.changes[i] = append(b.changes[i], change)
	}
	b.leadReq[i] = request
}

// fileLead decides whose lane the lead of item i stands in and what its note is filed
// under. When a customer corrects an e-mail that this very conversation brought in, the
// wrong contact is to be renamed, behind its own making: previous is then the wrong
// e-mail. An e-mail that was known before is somebody, and is left alone.
func (b *batch) fileLead(i int, request string) (previous, filed string) {
	c := b.convs[b.items[i].ConversationID]
	if c == nil || c.fields.Email == "" {
		return "", ""
	}
	old := b.corrected[i]
	oldPerson := b.keys["email:"+old]
	p, l := b.persons[oldPerson], b.leads[oldPerson]
	switch {
	case old != "" && p != nil && l != nil && l.ConversationID == c.id && !p.CreatedAt.Before(c.createdAt) && p.UserID == "":
		previous = old
		if c.leadPersonID == "" {
			c.leadPersonID, c.leadEmail = oldPerson, old
		}
	case old != "" || c.leadPersonID == "":
		c.leadPersonID, c.leadEmail = b.out[i].PersonID, c.fields.Email
	}
	c.dirty = true
	b.lanes[request] = c.leadPersonID
	return previous, c.leadEmail
}

// leadRequest returns the customer's request that the lead of item i is: one for a
// conversation, one for every call of the API.
func (b *batch) leadRequest(i int) string {
	it := &b.items[i]
	c := b.convs[it.ConversationID]
	if c != nil && c.leadRequestID != "" {
		return c.leadRequestID
	}
	id := NewID()
	owner := it.Owner
	if c != nil {
		c.leadRequestID, owner = id, c.owner
	}
	b.addRequest(i, id, bellhop.RequestLead, owner)
	return id
}

func (b *batch) addRequest(i int, id string, kind bellhop.RequestKind, owner bellhop.Owner) {
	it := &b.items[i]
	b.requests[id] = &requestRow{id: id, kind: kind, personID: b.out[i].PersonID, owner: owner,
		conversationID: it.ConversationID, eventID: it.Event.ID, correlationID: it.Event.CorrelationID}
}

func (b *batch) writeLeads(ctx context.Context) error {
	var rows [][]any
	for _, l := range sorted(b.leads) {
		if l.dirty {
			f := l.Fields
			rows = append(rows, []any{l.ID, l.PersonID, nul(l.ConversationID), f.Name, f.Email, f.Phone, f.Company,
				f.Wants, l.Source, l.Revision, l.CreatedAt, l.UpdatedAt})
		}
	}
	return b.t.insertRows(ctx, `INSERT INTO bellhop.leads (id::uuid, person_id::uuid, conversation_id::uuid, name, email, phone, company,
		wants, source, revision::integer, created_at::timestamptz, updated_at::timestamptz)`,
		`ON CONFLICT (person_id) DO UPDATE SET conversation_id = excluded.conversation_id, name = excluded.name,
		 email = excluded.email, phone = excluded.phone, company = excluded.company, wants = excluded.wants,
		 revision = excluded.revision, updated_at = excluded.updated_at`, rows, nil)
}

// takeSupport finds the request that each cry for a person makes or joins.
func (b *batch) takeSupport(context.Context) error {
	for _, i := range b.fresh {
		it := &b.items[i]
		ask := it.Support
		if it.Chat != nil {
			ask = it.Chat.Ask
		}
		if ask == nil || b.out[i].PersonID == "" {
			continue
		}
		a := *ask
		c, owner := b.convs[it.ConversationID], it.Owner
		if c != nil {
			owner = c.owner
			open := c.open[matterOf(a.Reason)]
			a.RequestID = open.id
			b.lanes[open.id] = open.person
		}
		a.Existing = a.RequestID != ""
		if !a.Existing {
			a.RequestID = NewID()
			b.addRequest(i, a.RequestID, bellhop.RequestSupport, owner)
			if c != nil {
				c.open[matterOf(a.Reason)] = openRequest{a.RequestID, b.out[i].PersonID}
				c.status, c.dirty = bellhop.ConversationPerson, true
			}
		}
		b.changes[i] = append(b.changes[i], bellhop.Change{Kind: kindOf(a.Reason), Key: it.Event.ID, Support: &a})
	}
	return nil
}

func kindOf(r bellhop.Reason) bellhop.Kind {
	switch r {
	case bellhop.ReasonAskedForHuman:
		return bellhop.KindAskedForHuman
	case bellhop.ReasonBilling:
		return bellhop.KindBillingUnsure
	default:
		return bellhop.KindSupportRequested
	}
}
