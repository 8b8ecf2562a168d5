package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"bellhop"
)

// chatOwner says whose a chat may be.
type chatOwner struct {
	id, user, visitor string
	person            string // who was named in it last
	name              string // that was told in it
	createdAt         time.Time
}

// addChats finds the person's chats, and those of others in which they were named. An
// address is only what somebody types, so:
//
//   - the chat of a signed-in user is that user's, whatever address they type;
//   - the chat of a visitor is of whoever was named in it last, as nothing else is known of
//     them, unless they call themselves something else than who was known by that address
//     before;
//   - a visitor's chats in which nobody was named are the person's when all the others are.
func (s *personScope) addChats(ctx context.Context, q queryer, deep bool) error {
	searches := []search{{"SELECT id FROM bellhop.conversations WHERE person_id IN (?)", s.persons},
		{"SELECT DISTINCT conversation_id FROM bellhop.events WHERE person_id IN (?) AND conversation_id IS NOT NULL", s.persons}}
	if deep {
		searches = append(searches, search{"SELECT id FROM bellhop.conversations WHERE lead_person_id IN (?)", s.persons})
	}
	if err := searchAll(ctx, q, map[*[]string][]search{&s.mentions: searches}); err != nil {
		return err
	}
	chats := map[string]chatOwner{}
	if err := loadChats(ctx, q, chats, "id", append(slices.Clone(s.mentions), s.conversations...)); err != nil {
		return err
	}
	if err := loadChats(ctx, q, chats, "user_id", s.users); err != nil {
		return err
	}
	visitors := s.visitorKeys()
	for _, c := range chats {
		visitors = append(visitors, c.visitor)
	}
	visitors = unique(visitors)
	if err := loadChats(ctx, q, chats, "visitor_id", visitors); err != nil {
		return err
	}
	// Who a visitor is known as that has told no address yet.
	self, keys := map[string]string{}, make([]string, len(visitors))
	for n, v := range visitors {
		keys[n] = "visitor:" + v
	}
	err := queryIn(ctx, q, `SELECT k.key, p.id FROM bellhop.person_keys k JOIN bellhop.persons p ON p.id = k.person_id
		WHERE k.key IN (?) AND p.email IS NULL AND p.user_id IS NULL`, keys, func(r *sql.Rows) error {
		var key, id string
		err := r.Scan(&key, &id)
		self[strings.TrimPrefix(key, "visitor:")] = id
		return err
	})
	s.takeChats(chats, self)
	return err
}

func (s *personScope) visitorKeys() []string {
	var out []string
	for _, k := range s.keys {
		if id, ok := strings.CutPrefix(k, "visitor:"); ok {
			out = append(out, id)
		}
	}
	return out
}

func loadChats(ctx context.Context, q queryer, into map[string]chatOwner, column string, values []string) error {
	return queryIn(ctx, q, "SELECT id, user_id, visitor_id, person_id, fields, created_at FROM bellhop.conversations WHERE "+column+
		" IN (?)", unique(values), func(r *sql.Rows) error {
		var c chatOwner
		var raw []byte
		var f bellhop.LeadFields
		if err := r.Scan(&c.id, strDest{&c.user}, strDest{&c.visitor}, strDest{&c.person}, &raw, timeDest{&c.createdAt}); err != nil {
			return err
		}
		err := json.Unmarshal(raw, &f)
		c.name = f.Name
		into[c.id] = c
		return err
	})
}

// takeChats tells the person's chats from those of others.
func (s *personScope) takeChats(chats map[string]chatOwner, self map[string]string) {
	users, persons, own := setOf(s.users), setOf(s.persons), setOf(s.conversations)
	theirs := setOf(s.visitorKeys())
	others, seen := map[string]bool{}, map[string]bool{}
	for _, c := range chats {
		switch {
		case c.user != "":
			if users[c.user] {
				own[c.id] = true
			}
		case persons[c.person] && !s.stranger(c):
			own[c.id], theirs[c.visitor] = true, true
		case c.person != "" && c.person != self[c.visitor]:
			others[c.visitor] = true
		}
	}
	for _, c := range chats {
		if c.visitor != "" && theirs[c.visitor] && !others[c.visitor] {
			own[c.id] = true
		}
		if own[c.id] && (s.since.IsZero() || c.createdAt.Before(s.since)) {
			s.since = c.createdAt
		}
		seen[c.visitor] = true
	}
	for v := range theirs {
		if !others[v] {
			s.visitors = append(s.visitors, v)
		}
	}
	s.visitors, s.conversations = unique(s.visitors), sortedKeys(own)
	s.mentions = slices.DeleteFunc(s.mentions, func(id string) bool { return own[id] })
}

// stranger reports whether a visitor who typed the address of somebody that was known before
// calls themselves something else.
func (s *personScope) stranger(c chatOwner) bool {
	p := s.known[c.person]
	if p.Name == "" || c.name == "" || !p.CreatedAt.Before(c.createdAt) {
		return false
	}
	words := strings.Fields(strings.ToLower(p.Name))
	return !slices.ContainsFunc(strings.Fields(strings.ToLower(c.name)), func(w string) bool { return slices.Contains(words, w) })
}

// addFragments finds the persons that came up in these chats and of whom nothing is known
// elsewhere: by a mistyped address, by an address that a user named, or by what a visitor
// told of themselves before the address.
func (s *personScope) addFragments(ctx context.Context, q queryer, _ bool) error {
	var found, events []string
	if err := searchAll(ctx, q, map[*[]string][]search{
		&found: {{"SELECT lead_person_id FROM bellhop.conversations WHERE id IN (?) AND lead_person_id IS NOT NULL", s.conversations},
			{"SELECT person_id FROM bellhop.conversations WHERE id IN (?) AND person_id IS NOT NULL", s.conversations},
			{"SELECT person_id FROM bellhop.requests WHERE conversation_id IN (?)", s.conversations}},
		&events: {{"SELECT event_id FROM bellhop.messages WHERE conversation_id IN (?) AND event_id IS NOT NULL", s.conversations}}}); err != nil {
		return err
	}
	keys := make([]string, len(s.visitors))
	for n, v := range s.visitors {
		keys[n] = "visitor:" + v
	}
	if err := searchAll(ctx, q, map[*[]string][]search{&found: {
		{"SELECT DISTINCT person_id FROM bellhop.events WHERE id IN (?)", events},
		{"SELECT person_id FROM bellhop.person_keys WHERE key IN (?)", keys}}}); err != nil {
		return err
	}
	persons := setOf(s.persons)
	for _, id := range found {
		if persons[id] || id == NoPerson {
			continue
		}
		only, err := s.onlyHere(ctx, q, id)
		if err != nil {
			return err
		}
		if only {
			s.persons = append(s.persons, id)
		}
	}
	s.persons = unique(s.persons)
	return nil
}

// onlyHere reports whether all that is known of a person came up in the person's chats.
func (s *personScope) onlyHere(ctx context.Context, q queryer, id string) (bool, error) {
	p, err := scanPerson(q.queryRow(ctx, "SELECT id, email, user_id, name, phone, created_at FROM bellhop.persons WHERE id = $1", id))
	if err != nil || p.UserID != "" || p.CreatedAt.Before(s.since) {
		return false, ignoreNoRows(err)
	}
	bought, err := exists(ctx, q, `SELECT 1 FROM bellhop.payments WHERE person_id = $1 UNION ALL
		SELECT 1 FROM bellhop.subscriptions WHERE person_id = $1 LIMIT 1`, id)
	if err != nil || bought {
		return false, err
	}
	here, elsewhere := setOf(s.conversations), false
	for _, text := range []string{"SELECT conversation_id FROM bellhop.events WHERE person_id IN (?)",
		"SELECT conversation_id FROM bellhop.requests WHERE person_id IN (?)",
		"SELECT id FROM bellhop.conversations WHERE person_id IN (?)"} {
		err := queryIn(ctx, q, text, []string{id}, func(r *sql.Rows) error {
			var conv string
			err := r.Scan(strDest{&conv})
			elsewhere = elsewhere || !here[conv]
			return err
		})
		if err != nil {
			return false, err
		}
	}
	return !elsewhere, nil
}

func ignoreNoRows(err error) error {
	if errIsNoRows(err) {
		return nil
	}
	return err
}
