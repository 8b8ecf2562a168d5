package store

import (
	"context"
	"database/sql"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"bellhop"
)

// personScope names every row that is about one person.
type personScope struct {
	person string
	// persons holds, beside the person, those that are them as well: by a mistyped address, a
	// name that was told before the address, a customer id that had no name yet.
	persons   []string
	known     map[string]bellhop.Person // persons, by id
	keys      []string                  // of persons: 'email:…', 'visitor:…', …
	addresses []string                  // normalised
	users     []string
	visitors  []string // whose chats are nobody else's
	// conversations are theirs, mentions are somebody else's in which an address of theirs stands.
	conversations []string
	mentions      []string
	since         time.Time // when the first of conversations began
	events        []string
	correlations  []string // of events
	requests      []string
	steps         []string
	support       []string
	spenders      []string // as the table of what models cost names them
	log           []string // of the security log
	// What came by the outbox: rows that wait to be taken in, theirs and those of others that
	// name them; events of others that were refused and name them; the tasks of others that do.
	waiting, waitingOthers    []waitingRow
	refusedOthers, taskOthers []string
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

// waitingIDs are the rows of the outbox that are about the person.
func (s personScope) waitingIDs() []string {
	out := make([]string, len(s.waiting))
	for n, w := range s.waiting {
		out[n] = strconv.FormatInt(w.id, 10)
	}
	return out
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
