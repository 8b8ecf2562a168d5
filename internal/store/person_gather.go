package store

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"bellhop"
)

// gather finds what is about a person. Not everything has an index that leads from the
// person to it, because each would cost every event a write; deep reads the tables that
// have none from end to end. It is done first, outside of the transaction that then erases,
// which gathers again what came since and adds to what was found.
func gather(ctx context.Context, q queryer, s personScope, deep bool) (personScope, error) {
	if err := s.addIdentity(ctx, q, deep); err != nil {
		return s, err
	}
	if err := s.addHanded(ctx, q, deep); err != nil {
		return s, err
	}
	if deep {
		if err := s.addMentions(ctx, q); err != nil {
			return s, err
		}
	}
	if err := s.addEvents(ctx, q, deep); err != nil {
		return s, err
	}
	return s, s.follow(ctx, q, deep)
}

// addIdentity finds the persons that are one, and their chats, until there is nothing more:
// each chat may lead to a person, and each person to chats.
func (s *personScope) addIdentity(ctx context.Context, q queryer, deep bool) error {
	for {
		before := len(s.persons) + len(s.users) + len(s.visitors) + len(s.conversations)
		for _, add := range []func(context.Context, queryer, bool) error{s.addPersons, s.addChats, s.addFragments} {
			if err := add(ctx, q, deep); err != nil {
				return err
			}
		}
		if len(s.persons)+len(s.users)+len(s.visitors)+len(s.conversations) == before {
			return nil
		}
	}
}

// addPersons adds the keys of the persons, and who else is found by one of theirs: whoever
// has the same address or user id on good word, and the nameless customers that they were.
func (s *personScope) addPersons(ctx context.Context, q queryer, deep bool) error {
	s.persons = unique(append(s.persons, s.person))
	var err error
	if s.keys, err = strings1(ctx, q, "SELECT key FROM bellhop.person_keys WHERE person_id IN (?)", s.persons); err != nil {
		return err
	}
	s.known = map[string]bellhop.Person{}
	var same []string
	err = queryIn(ctx, q, "SELECT id, email, user_id, name, phone, created_at FROM bellhop.persons WHERE id IN (?)", s.persons,
		func(r *sql.Rows) error {
			p, err := scanPerson(r)
			s.known[p.ID] = p
			if p.Email != "" {
				same = append(same, "email:"+p.Email)
			}
			if p.UserID != "" {
				same = append(same, "user:"+p.UserID)
			}
			return err
		})
	if err != nil {
		return err
	}
	for _, k := range append(slices.Clone(s.keys), same...) {
		kind, value, _ := strings.Cut(k, ":")
		switch kind {
		case "email":
			s.addresses = append(s.addresses, value)
		case "user":
			s.users = append(s.users, value)
		case "person":
			s.persons = append(s.persons, value)
		}
	}
	s.addresses, s.users = unique(s.addresses), unique(s.users)
	searches := []search{{"SELECT person_id FROM bellhop.person_keys WHERE key IN (?)", same}}
	if deep {
		searches = append(searches, search{"SELECT id FROM bellhop.persons WHERE email IN (?)", s.addresses})
		if err := s.addCustomers(ctx, q); err != nil {
			return err
		}
	}
	return searchAll(ctx, q, map[*[]string][]search{&s.persons: searches})
}

// addCustomers finds those who paid under a customer id of theirs before it had a name.
func (s *personScope) addCustomers(ctx context.Context, q queryer) error {
	keys, refs := setOf(s.keys), []string{}
	for _, k := range s.keys {
		if name, ok := strings.CutPrefix(k, "customer:"); ok {
			_, ref, _ := strings.Cut(name, ":")
			refs = append(refs, ref)
		}
	}
	return queryIn(ctx, q, `SELECT y.connection, y.customer_ref, p.id FROM bellhop.payments y JOIN bellhop.persons p ON p.id = y.person_id
		WHERE y.customer_ref IN (?) AND p.email IS NULL AND p.user_id IS NULL`, unique(refs), func(r *sql.Rows) error {
		var connection, ref, id string
		err := r.Scan(&connection, &ref, &id)
		if keys["customer:"+connection+":"+ref] {
			s.persons = append(s.persons, id)
		}
		return err
	})
}

// addEvents finds the events, except what others wrote in their own chats.
func (s *personScope) addEvents(ctx context.Context, q queryer, deep bool) error {
	found, err := s.outside(ctx, q, "SELECT id, conversation_id FROM bellhop.events WHERE person_id IN (?)", s.persons)
	if err != nil {
		return err
	}
	s.events = append(s.events, found...)
	searches := []search{{"SELECT event_id FROM bellhop.messages WHERE conversation_id IN (?)", s.conversations}}
	if deep {
		searches = append(searches, search{"SELECT id FROM bellhop.events WHERE conversation_id IN (?)", s.conversations})
	}
	if err := searchAll(ctx, q, map[*[]string][]search{&s.events: searches}); err != nil {
		return err
	}
	s.correlations, err = strings1(ctx, q, "SELECT DISTINCT correlation_id FROM bellhop.events WHERE id IN (?)", s.events)
	s.correlations = without(s.correlations, NoCorrelation)
	return err
}

// outside returns the ids of the rows that are in no chat of somebody else; the query gives
// an id and a conversation.
func (s *personScope) outside(ctx context.Context, q queryer, text string, values []string) ([]string, error) {
	others, out := setOf(s.mentions), []string{}
	err := queryIn(ctx, q, text, values, func(r *sql.Rows) error {
		var id, conv string
		err := r.Scan(&id, strDest{&conv})
		if !others[conv] {
			out = append(out, id)
		}
		return err
	})
	return out, err
}

// follow adds what belongs to the events and conversations that were found.
func (s *personScope) follow(ctx context.Context, q queryer, deep bool) error {
	if err := s.addSpenders(ctx, q); err != nil {
		return err
	}
	if deep {
		found, err := s.outside(ctx, q, "SELECT id, conversation_id FROM bellhop.requests WHERE person_id IN (?)", s.persons)
		if err != nil {
			return err
		}
		s.requests = append(s.requests, found...)
	}
	if err := searchAll(ctx, q, map[*[]string][]search{&s.requests: {
		{"SELECT id FROM bellhop.requests WHERE event_id IN (?)", s.events},
		{"SELECT id FROM bellhop.requests WHERE conversation_id IN (?)", s.conversations},
		{"SELECT id FROM bellhop.requests WHERE user_id IN (?) AND user_id IS NOT NULL", s.users},
		{"SELECT id FROM bellhop.requests WHERE visitor_id IN (?) AND visitor_id IS NOT NULL AND conversation_id IS NULL", s.visitors}}}); err != nil {
		return err
	}
	if err := s.addSteps(ctx, q, deep); err != nil {
		return err
	}
	found, err := s.outside(ctx, q, "SELECT id, conversation_id FROM bellhop.support_requests WHERE person_id IN (?)", s.persons)
	if err != nil {
		return err
	}
	s.support = append(s.support, found...)
	return searchAll(ctx, q, map[*[]string][]search{
		&s.support: {
			{"SELECT id FROM bellhop.support_requests WHERE conversation_id IN (?)", s.conversations},
			{"SELECT id FROM bellhop.support_requests WHERE event_id IN (?)", s.events},
			{"SELECT id FROM bellhop.support_requests WHERE id IN (?)", s.requests}},
		&s.log: {{"SELECT id FROM bellhop.security_log WHERE actor IN (?) AND actor <> '' AND role IN ('user', 'visitor')",
			append(slices.Clone(s.users), s.visitors...)}}})
}

// addSteps finds the steps by their lane, their request and their event. One correlation id
// may join events of several persons, so a step that it finds must also be about this one.
func (s *personScope) addSteps(ctx context.Context, q queryer, deep bool) error {
	lane := search{"SELECT id FROM bellhop.steps WHERE person_id IN (?) AND state NOT IN ('done', 'dropped')", s.persons}
	if deep {
		lane.text = "SELECT id FROM bellhop.steps WHERE person_id IN (?)"
	}
	err := searchAll(ctx, q, map[*[]string][]search{&s.steps: {lane,
		{"SELECT id FROM bellhop.steps WHERE request_id IN (?) AND request_id IS NOT NULL", s.requests}}})
	if err != nil {
		return err
	}
	persons, events := setOf(s.persons), setOf(s.events)
	err = queryIn(ctx, q, "SELECT id, person_id, event_id FROM bellhop.steps WHERE correlation_id IN (?)", s.correlations,
		func(r *sql.Rows) error {
			var id, person, event string
			err := r.Scan(&id, &person, strDest{&event})
			if persons[person] || events[event] {
				s.steps = append(s.steps, id)
			}
			return err
		})
	s.steps = unique(s.steps)
	return err
}

// addSpenders names those that money was counted for: the users and visitors that are known
// as the person, and whose the chats are in which the person was named.
func (s *personScope) addSpenders(ctx context.Context, q queryer) error {
	users, visitors := slices.Clone(s.users), slices.Clone(s.visitors)
	err := queryIn(ctx, q, "SELECT user_id, visitor_id FROM bellhop.conversations WHERE id IN (?)", s.conversations,
		func(r *sql.Rows) error {
			var user, visitor string
			err := r.Scan(strDest{&user}, strDest{&visitor})
			users, visitors = append(users, user), append(visitors, visitor)
			return err
		})
	for _, id := range unique(users) {
		s.spenders = append(s.spenders, spender(bellhop.Owner{UserID: id}))
	}
	for _, id := range unique(visitors) {
		s.spenders = append(s.spenders, spender(bellhop.Owner{VisitorID: id}))
	}
	s.spenders = unique(s.spenders)
	return err
}
