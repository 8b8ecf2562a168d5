package store_test

// Long file: the seed, the table in docs/security.md and every right that is held against it.

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// rights is a row of the table "What the database allows".
type rights struct {
	anon, user, server string
}

// documented reads the table of docs/security.md.
func documented(t *testing.T) map[string]rights {
	t.Helper()
	data, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(data), "\n## What the database allows\n")
	if !ok {
		t.Fatal("docs/security.md does not say what the database allows")
	}
	text, _, _ = strings.Cut(text, "\n## ")
	out := map[string]rights{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| ([^|]+) \\| ([^|]+) \\| ([^|]+) \\|$").FindAllStringSubmatch(text, -1) {
		if _, twice := out[m[1]]; twice {
			t.Errorf("%s has two rows", m[1])
		}
		out[m[1]] = rights{m[2], m[3], m[4]}
	}
	return out
}

// relation is a table or view of schema bellhop.
type relation struct {
	name, column string // a column that can be assigned to
	view         bool
}

func relations(t *testing.T, db *store.DB) []relation {
	t.Helper()
	rows, err := db.Writer().Query(`SELECT c.relname, c.relkind = 'v', (SELECT a.attname FROM pg_attribute a WHERE a.attrelid = c.oid
		AND a.attnum > 0 AND NOT a.attisdropped AND a.attidentity = '' ORDER BY a.attnum LIMIT 1)
		FROM pg_class c WHERE c.relnamespace = 'bellhop'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f') ORDER BY c.relname`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var out []relation
	for rows.Next() {
		var r relation
		if err := rows.Scan(&r.name, &r.view, &r.column); err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// documentedName is the name under which the page has a table: a month stands for all.
func documentedName(name string) string {
	return regexp.MustCompile(`_\d{4}_\d{2}$`).ReplaceAllString(name, "_YYYY_MM")
}

// seed gives a user one of everything that a user may read, as the owner of the tables.
func seed(t *testing.T, db *store.DB, user string) {
	t.Helper()
	id := map[string]any{}
	for _, name := range []string{"conv", "event", "person", "lead", "support", "step", "incident", "payment"} {
		id[name] = store.NewID()
	}
	for _, q := range []struct {
		text string
		args []any
	}{
		{"INSERT INTO bellhop.conversations (id, user_id, status, created_at, updated_at) VALUES ($1, $2, 'open', now(), now())", []any{id["conv"], user}},
		{`INSERT INTO bellhop.events (id, person_id, source, external_id, kind, correlation_id, body, occurred_at, received_at)
			VALUES ($1, $2, 'chat', 'x', 'chat.message', 'c', '', now(), now())`, []any{id["event"], id["person"]}},
		{`INSERT INTO bellhop.messages (id, conversation_id, event_id, client_id, role, text, created_at)
			VALUES ($1, $2, $1, 'm', 'customer', 'hi', now())`, []any{id["event"], id["conv"]}},
		{`INSERT INTO bellhop.persons (id, user_id, email, created_at, updated_at) VALUES ($1, $2, 'e', now(), now())`, []any{id["person"], user}},
		{`INSERT INTO bellhop.requests (id, kind, person_id, user_id, event_id, correlation_id, created_at)
			VALUES ($1, 'lead', $2, $3, $4, 'c', now())`, []any{id["lead"], id["person"], user, id["event"]}},
		{`INSERT INTO bellhop.requests (id, kind, person_id, user_id, event_id, correlation_id, created_at)
			VALUES ($1, 'support', $2, $3, $4, 'c', now())`, []any{id["support"], id["person"], user, id["event"]}},
		{`INSERT INTO bellhop.support_requests (id, correlation_id, status, priority, reason, subject, body, due_at, created_at, updated_at)
			VALUES ($1, 'c', 'new', 'high', 'requested', 's', 'b', now(), now(), now())`, []any{id["support"]}},
		{"INSERT INTO bellhop.incidents (id, connection, class, opened_at, updated_at) VALUES ($1, $2, 'unavailable', now(), now())", []any{id["incident"], user}},
		{`INSERT INTO bellhop.steps (id, person_id, connection, kind, key, input, state, request_id, incident_id, correlation_id, due_at, created_at, updated_at)
			VALUES ($1, $2, 'crm', 'k', $3, '{}', 'parked', $4, $5, 'c', now(), now(), now())`,
			[]any{id["step"], id["person"], id["step"], id["lead"], id["incident"]}},
		{`INSERT INTO bellhop.payments (id, connection, person_id, status, amount, amount_refunded, currency, state, has_money, has_invoice, created_at, updated_at)
			VALUES ($1, 'stripe', $2, 'succeeded', 1, 0, 'eur', '{}', true, false, now(), now())`, []any{id["payment"], id["person"]}},
	} {
		if _, err := db.Writer().Exec(q.text, q.args...); err != nil {
			t.Fatalf("%v: %s", err, q.text)
		}
	}
}

// as runs one statement as a role with claims, and takes it back.
func as(t *testing.T, db *store.DB, role string, claims []byte, text string) ([]string, error) {
	t.Helper()
	tx, err := db.Writer().BeginTx(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // that is the point
	if _, err := tx.Exec("SELECT set_config('role', $1, true), set_config('request.jwt.claims', $2, true)", role, string(claims)); err != nil {
		t.Fatal(err)
	}
	rows, err := tx.Query(text)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var s sql.NullString
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		out = append(out, s.String)
	}
	return out, rows.Err()
}

// commands returns what a role may do with a relation, by trying.
func commands(t *testing.T, db *store.DB, role string, claims []byte, r relation) string {
	t.Helper()
	var may []string
	for _, c := range []struct{ name, text string }{
		{"select", "SELECT count(*) FROM bellhop." + r.name},
		{"insert", "INSERT INTO bellhop." + r.name + " DEFAULT VALUES"},
		{"update", fmt.Sprintf("UPDATE bellhop.%s SET %s = %s WHERE false", r.name, r.column, r.column)},
		{"delete", "DELETE FROM bellhop." + r.name + " WHERE false"},
	} {
		_, err := as(t, db, role, claims, c.text)
		switch state := sqlState(err); {
		case state == "42501":
		case r.view && (state == "55000" || state == "0A000"): // a view that cannot be written to
		default:
			may = append(may, c.name)
		}
	}
	if len(may) == 0 {
		return "–"
	}
	return strings.Join(may, ", ")
}

// Rule: every table of schema bellhop × anon, two users, the server's role × select, insert,
// update, delete is what docs/security.md says. A table without a row fails.
func TestWhatTheDatabaseAllowsIsDocumented(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t, store.Postgres, nil)
	for _, user := range []string{userA, userB} {
		seed(t, db, user)
	}
	doc, seen := documented(t), map[string]bool{}
	for _, r := range relations(t, db) {
		name := documentedName(r.name)
		want, ok := doc[name]
		if !ok {
			t.Errorf("docs/security.md has no row for %s", name)
			continue
		}
		seen[name] = true
		anon := commands(t, db, "anon", nil, r)
		if anon != want.anon {
			t.Errorf("%s: anon may %s, the page says %s", name, anon, want.anon)
		}
		if got := commands(t, db, "bellhop_server", nil, r); got != want.server {
			t.Errorf("%s: the server may %s, the page says %s", name, got, want.server)
		}
		if got := commands(t, db, "service_role", nil, r); got != "–" {
			t.Errorf("%s: service_role may %s", name, got)
		}
		for _, user := range []string{userA, userB, userC} {
			got := commands(t, db, "authenticated", claimsOf(user), r)
			if got == "select" {
				got = "reads own"
			}
			if got != want.user {
				t.Errorf("%s: a user may %s, the page says %s", name, got, want.user)
			}
		}
		if want.user == "reads own" {
			ownRows(t, db, r.name)
		}
	}
	for name := range doc {
		if !seen[name] {
			t.Errorf("docs/security.md has a row for %s, which there is not", name)
		}
	}
}

// ownRows checks that two users see different rows, and everybody else none.
func ownRows(t *testing.T, db *store.DB, table string) {
	t.Helper()
	rows := map[string][]string{}
	for who, claims := range map[string][]byte{"A": claimsOf(userA), "B": claimsOf(userB), "C": claimsOf(userC), "nobody": nil,
		"anonymous": fmt.Appendf(nil, `{"sub":%q,"role":"authenticated","is_anonymous":true}`, userC)} {
		got, err := as(t, db, "authenticated", claims, "SELECT id::text FROM bellhop."+table)
		if err != nil {
			t.Errorf("%s: %s: %v", table, who, err)
		}
		rows[who] = got
	}
	if len(rows["A"]) == 0 || len(rows["A"]) != len(rows["B"]) || len(rows["C"])+len(rows["nobody"])+len(rows["anonymous"]) > 0 {
		t.Errorf("%s: A sees %d, B %d, C %d, an anonymous user %d, nobody %d", table, len(rows["A"]), len(rows["B"]), len(rows["C"]),
			len(rows["anonymous"]), len(rows["nobody"]))
	}
	for _, id := range rows["A"] {
		if slices.Contains(rows["B"], id) {
			t.Errorf("%s: A and B see the same row", table)
		}
	}
}

// What a signed-in user may not do with what they can see, and with functions.
func TestUsersAndStrangersCannotReachFurther(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t, store.Postgres, nil)
	seed(t, db, userA)
	for _, role := range []string{"anon", "authenticated"} {
		for _, q := range []string{"SELECT body FROM bellhop.events", "SELECT note FROM bellhop.support_requests",
			"SELECT phone FROM bellhop.persons", "SELECT input FROM bellhop.steps", "SELECT * FROM bellhop.settings",
			"TRUNCATE bellhop.conversations", "SELECT bellhop.emit('event', '{}', 'k')", "CREATE TABLE bellhop.mine (id int)",
			"SELECT bellhop.prune_default('events', '2020-01-01', now(), 1)", "SELECT bellhop.protect('bellhop.events')"} {
			if _, err := as(t, db, role, claimsOf(userA), q); sqlState(err) != "42501" {
				t.Errorf("%s: %s: %v, want 42501", role, q, err)
			}
		}
	}
	for _, q := range []string{"SELECT 1 FROM bellhop.requests", "SELECT 1 FROM bellhop.outbox", "DELETE FROM bellhop.outbox"} {
		if _, err := as(t, db, "service_role", nil, q); sqlState(err) != "42501" {
			t.Errorf("service_role: %s: %v, want 42501", q, err)
		}
	}
	if _, err := as(t, db, "service_role", nil, "SELECT bellhop.emit('event', '{}', 'k')"); err != nil {
		t.Errorf("service_role cannot emit: %v", err)
	}
}

// policies are planned once for a statement and by an index: see supabase.md, section 2.3.
func TestPoliciesAskOnceForAStatement(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t, store.Postgres, nil)
	seed(t, db, userA)
	for _, q := range []string{"SELECT id FROM bellhop.requests", "SELECT id FROM bellhop.conversations"} {
		plan, err := as(t, db, "authenticated", claimsOf(userA), "EXPLAIN "+q)
		if err != nil {
			t.Fatal(err)
		}
		if text := strings.Join(plan, "\n"); !strings.Contains(text, "InitPlan") || !strings.Contains(text, "Index") {
			t.Errorf("%s is planned as\n%s", q, text)
		}
	}
}
