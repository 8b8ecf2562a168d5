package store

import (
	"context"
	"database/sql"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"

	"bellhop"
)

// personScope names every row that is about one person.
type personScope struct {
	person string
	// persons holds, beside the person, those that a mistyped address of theirs made.
	persons       []string
	keys          []string // of persons: 'email:…', 'visitor:…', …
	conversations []string
	events        []string
	correlations  []string // of events
	requests      []string
	steps         []string
	support       []string
	spenders      []string // as the table of what models cost names them
}

// FindPerson finds a person by id, by e-mail or by the product's own user id; CodeNotFound
// when there is none, also when they were erased.
func (db *DB) FindPerson(ctx context.Context, who string) (bellhop.Person, error) {
	who = strings.TrimSpace(who)
	if _, err := uuid.Parse(who); err == nil {
		p, err := scanPerson(db.queryRow(ctx, "SELECT id, email, user_id, name, phone, created_at FROM bellhop.persons WHERE id = $1", who))
		if !errIsNoRows(err) {
			return p, err
		}
	}
	key := "user:" + who
	if email, ok := bellhop.NormalizeEmail(who); ok {
		key = "email:" + email
	}
	p, err := scanPerson(db.queryRow(ctx, `SELECT p.id, p.email, p.user_id, p.name, p.phone, p.created_at FROM bellhop.persons p
		JOIN bellhop.person_keys k ON k.person_id = p.id WHERE k.key = $1`, key))
	if errIsNoRows(err) {
		return p, bellhop.Errorf(bellhop.CodeNotFound, "Check the e-mail address, the user id or the person's id.",
			"Nobody is known by that.")
	}
	return p, err
}

// strings1 returns the first column of a query with one "IN (?)".
func strings1[V any](ctx context.Context, q queryer, text string, values []V) ([]string, error) {
	var out []string
	err := queryIn(ctx, q, text, values, func(r *sql.Rows) error {
		var s string
		err := r.Scan(strDest{&s})
		out = append(out, s)
		return err
	})
	return out, err
}

// gather finds what is about a person. Not everything has an index that leads from the
// person to it, because each would cost every event a write; deep reads the tables that
// have none from end to end. It is done first, outside of the transaction that then erases,
// which gathers again what came since and adds to what was found.
func gather(ctx context.Context, q queryer, s personScope, deep bool) (personScope, error) {
	var err error
	if s.keys, err = strings1(ctx, q, "SELECT key FROM bellhop.person_keys WHERE person_id IN (?)", append(s.persons, s.person)); err != nil {
		return s, err
	}
	if err := s.addConversations(ctx, q); err != nil {
		return s, err
	}
	if err := s.addSlips(ctx, q); err != nil {
		return s, err
	}
	texts := map[*[]string][]search{}
	texts[&s.events] = []search{{"SELECT id FROM bellhop.events WHERE person_id IN (?)", s.persons},
		{"SELECT event_id FROM bellhop.messages WHERE conversation_id IN (?)", s.conversations}}
	if deep {
		texts[&s.events] = append(texts[&s.events], search{"SELECT id FROM bellhop.events WHERE conversation_id IN (?)", s.conversations})
		texts[&s.requests] = []search{{"SELECT id FROM bellhop.requests WHERE person_id IN (?)", s.persons}}
		texts[&s.steps] = []search{{"SELECT id FROM bellhop.steps WHERE person_id IN (?)", s.persons}}
	}
	if err := searchAll(ctx, q, texts); err != nil {
		return s, err
	}
	if s.correlations, err = strings1(ctx, q, "SELECT DISTINCT correlation_id FROM bellhop.events WHERE id IN (?)", s.events); err != nil {
		return s, err
	}
	s.correlations = without(s.correlations, NoCorrelation)
	return s, s.follow(ctx, q)
}

// follow adds what belongs to the events and conversations that were found.
func (s *personScope) follow(ctx context.Context, q queryer) error {
	users, visitors := s.owners()
	if err := s.addSpenders(ctx, q); err != nil {
		return err
	}
	if err := searchAll(ctx, q, map[*[]string][]search{&s.requests: {
		{"SELECT id FROM bellhop.requests WHERE event_id IN (?)", s.events},
		{"SELECT id FROM bellhop.requests WHERE conversation_id IN (?)", s.conversations},
		{"SELECT id FROM bellhop.requests WHERE user_id IN (?) AND user_id IS NOT NULL", users},
		{"SELECT id FROM bellhop.requests WHERE visitor_id IN (?) AND visitor_id IS NOT NULL AND conversation_id IS NULL", visitors}}}); err != nil {
		return err
	}
	if err := s.addSteps(ctx, q); err != nil {
		return err
	}
	return searchAll(ctx, q, map[*[]string][]search{&s.support: {
		{"SELECT id FROM bellhop.support_requests WHERE person_id IN (?)", s.persons},
		{"SELECT id FROM bellhop.support_requests WHERE conversation_id IN (?)", s.conversations},
		{"SELECT id FROM bellhop.support_requests WHERE event_id IN (?)", s.events},
		{"SELECT id FROM bellhop.support_requests WHERE id IN (?)", s.requests}}})
}

// addSteps finds the steps by their lane, their request and their event. One correlation id
// may join events of several persons, so a step that it finds must also be about this one.
func (s *personScope) addSteps(ctx context.Context, q queryer) error {
	err := searchAll(ctx, q, map[*[]string][]search{&s.steps: {
		{"SELECT id FROM bellhop.steps WHERE person_id IN (?) AND state NOT IN ('done', 'dropped')", s.persons},
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

// addConversations finds the person's chats. One in which nobody said who they are is theirs
// when its owner is: the visitor or the user that is known as this person.
func (s *personScope) addConversations(ctx context.Context, q queryer) error {
	users, visitors := s.owners()
	return searchAll(ctx, q, map[*[]string][]search{&s.conversations: {
		{"SELECT id FROM bellhop.conversations WHERE person_id IN (?)", append(slices.Clone(s.persons), s.person)},
		{"SELECT id FROM bellhop.conversations WHERE user_id IN (?) AND person_id IS NULL", users},
		{"SELECT id FROM bellhop.conversations WHERE visitor_id IN (?) AND person_id IS NULL", visitors}}})
}

// addSlips finds the persons that a mistyped address made: the lead of one of these
// conversations stood in their lane, they came up in it, and nothing else is known of them.
func (s *personScope) addSlips(ctx context.Context, q queryer) error {
	s.persons = unique(append(s.persons, s.person))
	theirs := setOf(s.conversations)
	slips, err := strings1(ctx, q, `SELECT p.id FROM bellhop.conversations c JOIN bellhop.persons p ON p.id = c.lead_person_id
		JOIN bellhop.leads l ON l.person_id = p.id WHERE c.id IN (?) AND l.conversation_id = c.id AND p.user_id IS NULL AND
		p.created_at >= c.created_at`, s.conversations)
	if err != nil {
		return err
	}
	for _, id := range slips {
		elsewhere := false
		err := queryIn(ctx, q, "SELECT conversation_id FROM bellhop.events WHERE person_id IN (?)", []string{id}, func(r *sql.Rows) error {
			var conv string
			err := r.Scan(strDest{&conv})
			elsewhere = elsewhere || !theirs[conv]
			return err
		})
		if err != nil {
			return err
		}
		if !elsewhere {
			s.persons = append(s.persons, id)
		}
	}
	s.persons = unique(s.persons)
	s.keys, err = strings1(ctx, q, "SELECT key FROM bellhop.person_keys WHERE person_id IN (?)", s.persons)
	return err
}

// owners returns the users and visitors that are known as the person.
func (s *personScope) owners() (users, visitors []string) {
	for _, k := range s.keys {
		if id, ok := strings.CutPrefix(k, "user:"); ok {
			users = append(users, id)
		}
		if id, ok := strings.CutPrefix(k, "visitor:"); ok {
			visitors = append(visitors, id)
		}
	}
	return users, visitors
}

// addSpenders names those that money was counted for: the users and visitors that are known
// as the person, and whose the chats are in which the person was named.
func (s *personScope) addSpenders(ctx context.Context, q queryer) error {
	users, visitors := s.owners()
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

// search is a query with one "IN (?)" and its values.
type search struct {
	text   string
	values []string
}

// searchAll adds what the searches find to the lists that they are for.
func searchAll(ctx context.Context, q queryer, texts map[*[]string][]search) error {
	for list, searches := range texts {
		for _, s := range searches {
			found, err := strings1(ctx, q, s.text, s.values)
			if err != nil {
				return err
			}
			*list = append(*list, found...)
		}
		*list = unique(*list)
	}
	return nil
}

// unique sorts a list and takes out what is in it twice, or is "".
func unique(list []string) []string {
	set := setOf(list)
	delete(set, "")
	return slices.Sorted(maps.Keys(set))
}

func setOf(list []string) map[string]bool {
	set := make(map[string]bool, len(list))
	for _, s := range list {
		set[s] = true
	}
	return set
}

func without(list []string, s string) []string {
	return slices.DeleteFunc(list, func(x string) bool { return x == s })
}
