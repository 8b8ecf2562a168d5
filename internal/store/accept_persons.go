package store

import (
	"bytes"
	"context"
	"database/sql"
	"maps"
	"slices"
	"sort"
	"strings"

	"bellhop"
)

type personRow struct {
	bellhop.Person
	dirty bool
}

func sortDigests(d []keyDigest) {
	slices.SortFunc(d, func(a, b keyDigest) int { return bytes.Compare(a[:], b[:]) })
}

// personKeys returns the keys of a hint, strongest first.
func personKeys(h bellhop.PersonHint) []string {
	email, ok := bellhop.NormalizeEmail(h.Email)
	if ok && h.Claimed {
		return []string{"email:" + email}
	}
	var keys []string
	if h.UserID != "" {
		keys = append(keys, "user:"+h.UserID)
	}
	if ok {
		keys = append(keys, "email:"+email)
	}
	if h.CustomerRef != "" {
		keys = append(keys, "customer:"+h.CustomerRef)
	}
	if h.VisitorID != "" {
		keys = append(keys, "visitor:"+h.VisitorID)
	}
	return keys
}

// resolvePersons finds or makes the person of every item that names one. The strongest
// key that is known wins; keys nobody had are given to that person.
func (b *batch) resolvePersons(ctx context.Context) error {
	var all []string
	for _, i := range b.fresh {
		all = append(all, personKeys(b.items[i].Person)...)
		if old := b.corrected[i]; old != "" {
			all = append(all, "email:"+old)
		}
	}
	if len(all) == 0 {
		return nil
	}
	slices.Sort(all)
	all = slices.Compact(all)
	err := queryIn(ctx, b.t, "SELECT key, person_id FROM bellhop.person_keys WHERE key IN (?)", all, func(r *sql.Rows) error {
		var k, id string
		err := r.Scan(&k, &id)
		b.keys[k] = id
		return err
	})
	if err != nil {
		return err
	}
	if err := b.loadPersons(ctx); err != nil {
		return err
	}
	for _, i := range b.fresh {
		b.resolvePerson(i)
	}
	if err := b.insertPersonKeys(ctx); err != nil {
		return err
	}
	return b.writePersons(ctx)
}

func (b *batch) loadPersons(ctx context.Context) error {
	ids := make([]string, 0, len(b.keys))
	for _, id := range b.keys {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	err := queryIn(ctx, b.t, `SELECT id, email, user_id, name, phone, created_at FROM bellhop.persons
		WHERE id IN (?) ORDER BY id`+b.t.forUpdate(), ids,
		func(r *sql.Rows) error {
			p, err := scanPerson(r)
			b.persons[p.ID] = &personRow{Person: p}
			return err
		})
	if err != nil {
		return err
	}
	for key, id := range b.keys {
		// Whoever has an address as a key has one; so they were erased while their row was
		// waited for, and must not be filled with it again.
		if p := b.persons[id]; p != nil && p.Email == "" && strings.HasPrefix(key, "email:") {
			return errRaced
		}
	}
	return nil
}

func scanPerson(r interface{ Scan(...any) error }) (bellhop.Person, error) {
	var p bellhop.Person
	err := r.Scan(&p.ID, strDest{&p.Email}, strDest{&p.UserID}, &p.Name, &p.Phone, timeDest{&p.CreatedAt})
	return p, err
}

func (b *batch) resolvePerson(i int) {
	h := b.items[i].Person
	keys := personKeys(h)
	if len(keys) == 0 {
		return
	}
	id := ""
	for _, k := range keys {
		if id = b.keys[k]; id != "" {
			break
		}
	}
	if id == "" {
		id = NewID()
		b.persons[id] = &personRow{Person: bellhop.Person{ID: id, CreatedAt: b.t.now}, dirty: true}
	}
	for _, k := range keys {
		old := b.keys[k]
		if old == "" {
			b.newKeys = append(b.newKeys, k)
		}
		if old == "" || (old != id && strings.HasPrefix(k, "customer:") && b.nameless(old)) {
			b.keys[k] = id
			if old != "" {
				// A customer who was known by the vendor's id alone now has a name: what
				// comes with only that id must find them.
				b.moved[k] = old
			}
		}
	}
	p := b.persons[id]
	email, _ := bellhop.NormalizeEmail(h.Email)
	if h.Claimed {
		h.UserID = ""
	}
	fill := func(dst *string, v string, over bool) {
		if v != "" && v != *dst && (over || *dst == "") {
			*dst, p.dirty = v, true
		}
	}
	fill(&p.Email, email, false)
	fill(&p.UserID, h.UserID, false)
	fill(&p.Name, h.Name, !h.Claimed)
	fill(&p.Phone, h.Phone, !h.Claimed)
	b.out[i].PersonID = id
}

// nameless reports whether a person is known by a vendor's customer id alone.
func (b *batch) nameless(id string) bool {
	p := b.persons[id]
	return p != nil && p.Email == "" && p.UserID == ""
}

func (b *batch) insertPersonKeys(ctx context.Context) error {
	for _, k := range slices.Sorted(maps.Keys(b.moved)) {
		if _, err := b.t.exec(ctx, "UPDATE bellhop.person_keys SET person_id = $2 WHERE key = $1", k, b.keys[k]); err != nil {
			return err
		}
		// What they did without a name stays where it is, and is found by this.
		if _, err := b.t.exec(ctx, "INSERT INTO bellhop.person_keys (key, person_id) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING",
			"person:"+b.moved[k], b.keys[k]); err != nil {
			return err
		}
	}
	if len(b.newKeys) == 0 {
		return nil
	}
	sort.Strings(b.newKeys)
	rows := make([][]any, len(b.newKeys))
	for n, k := range b.newKeys {
		rows[n] = []any{k, b.keys[k]}
	}
	// Looked for before: one that is there now came from another node, and commit begins anew.
	return b.t.insertRows(ctx, "INSERT INTO bellhop.person_keys (key, person_id::uuid)", "", rows, nil)
}

func (b *batch) writePersons(ctx context.Context) error {
	var rows [][]any
	for _, p := range sorted(b.persons) {
		if p.dirty {
			rows = append(rows, []any{p.ID, nul(p.Email), nul(p.UserID), p.Name, p.Phone, p.CreatedAt, b.t.now})
		}
	}
	return b.t.insertRows(ctx, `INSERT INTO bellhop.persons (id::uuid, email, user_id, name, phone, created_at::timestamptz,
		updated_at::timestamptz)`,
		`ON CONFLICT (id) DO UPDATE SET email = coalesce(bellhop.persons.email, excluded.email),
		 user_id = coalesce(bellhop.persons.user_id, excluded.user_id), name = excluded.name, phone = excluded.phone,
		 updated_at = excluded.updated_at`, rows, nil)
}

// sorted returns the values of a map in the order of their keys: rows are locked in one
// order on every node.
func sorted[V any](m map[string]V) []V {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	out := make([]V, len(keys))
	for i, k := range keys {
		out[i] = m[k]
	}
	return out
}
