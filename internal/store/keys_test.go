package store_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// placement is where a Postgres sharded by Citus would keep a table that is not spread by
// person. Exactly one of by, reference and local is set.
type placement struct {
	by        string // spread by this column
	reference bool   // a whole copy on every machine
	local     bool   // on the coordinator alone
	reason    string
}

// notByPerson is every table that is not spread by person. All others have to carry the
// person in every unique key. What Citus asks for, and no more, is checked:
//
//   - a unique key of a spread table contains the column that it is spread by, because it is
//     only checked within one shard;
//   - that column is never NULL;
//   - a reference or local table is one table, and may have any key.
//
// Citus also refuses to change that column, which is why a table whose rows pass from one
// person to another cannot be spread by person, whatever its keys are.
func notByPerson() map[string]placement {
	return map[string]placement{
		"person_keys":  {by: "key", reason: "asked before the person is known, by the key alone; its rows pass to another person"},
		"event_keys":   {by: "digest", reason: "says whether an event is new before anything else about it is known"},
		"step_keys":    {by: "digest", reason: "knows only the digest of a step's key; the step and its person are gone"},
		"payment_refs": {by: "ref", reason: "asked with the provider's id before the payment, let alone its person, is known"},
		"payments": {by: "id", reason: "a payment begins without a person and passes from the customer id's to the " +
			"e-mail's"},
		"conversations": {by: "id", reason: "a chat begins before anybody says who they are, and the person can change"},
		"messages":      {by: "conversation_id", reason: "belongs to its conversation, which has no person for a while"},
		"spend":         {by: "who", reason: "counts a visitor's or user's day before any person is known"},

		"subscriptions": {reference: true, reason: "passes from person to person like a payment, and is unique by what the " +
			"provider calls it; one row for each customer that pays by the month"},
		"support_requests": {reference: true, reason: "may concern nobody, is unique by its matter, and is asked for by " +
			"status; people work on them, so there are few"},
		"incidents": {reference: true, reason: "concerns a connection and joins steps of all persons; few"},
		"retention": {reference: true, reason: "a few rows a month, read by the append-only trigger wherever it runs"},

		"security_log":       {local: true, reason: "concerns everybody and nobody; floods are counted, not kept row by row"},
		"settings":           {local: true, reason: "a handful of rows, read at start"},
		"circuits":           {local: true, reason: "one row for each connection"},
		"nodes":              {local: true, reason: "one row for each process"},
		"outbox":             {local: true, reason: "rows that wait to be taken in, and are deleted then; written by the founder's transactions"},
		"operators":          {local: true, reason: "a handful of people"},
		"operator_sessions":  {local: true, reason: "a few for each operator, gone after half a day"},
		"server_keys":        {local: true, reason: "a handful of rows"},
		"schema_migrations":  {local: true, reason: "of goose; a row for each migration"},
		"river_job":          {local: true, reason: "of River, which locks and notifies across all jobs; empties itself"},
		"river_leader":       {local: true, reason: "of River"},
		"river_migration":    {local: true, reason: "of River"},
		"river_notification": {local: true, reason: "of River"},
		"river_queue":        {local: true, reason: "of River"},
	}
}

// keyed is a table as the database describes it.
type keyed struct {
	notNull map[string]bool
	types   map[string]string
	unique  map[string][]string // name of a unique index → its columns
	primary string              // the name of the primary key's
}

// personColumn is the column that names the person, "" when the table has none.
func personColumn(table string, k keyed) string {
	switch {
	case table == "persons":
		return "id"
	case k.types["person_id"] != "":
		return "person_id"
	default:
		return ""
	}
}

// Rule: the person is the distribution key, so that a Postgres sharded by Citus takes the
// schema unchanged. A new table passes by carrying the person in its keys, or by a line in
// notByPerson that says where it would be kept and why.
func TestEveryTableHasADistributionKey(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	tables := keyedTables(ctx, t, storetest.Open(t, store.Postgres, nil))
	if len(tables) < 20 {
		t.Fatalf("only %d tables were found", len(tables))
	}
	for _, name := range misplaced(tables, notByPerson()) {
		t.Error(name)
	}
}

// The check itself can fail: for a table without a decision, one whose key is wrong, and a
// line about nothing.
func TestTheDistributionKeyIsReallyChecked(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := storetest.Open(t, store.Postgres, nil)
	for _, q := range []string{
		"CREATE TABLE bellhop.stray (id uuid PRIMARY KEY)",
		"CREATE TABLE bellhop.keyless (id uuid, person_id uuid NOT NULL)",
		"CREATE TABLE bellhop.nobody (id uuid, person_id uuid, UNIQUE (id, person_id))",
		"CREATE TABLE bellhop.good (id uuid, person_id uuid, PRIMARY KEY (id, person_id))",
		"CREATE TABLE bellhop.narrow (id uuid, person_id uuid, name text, PRIMARY KEY (id, person_id))",
		"CREATE UNIQUE INDEX narrow_name ON bellhop.narrow (name) INCLUDE (person_id) WHERE name <> ''",
		"CREATE TABLE bellhop.typed (id uuid, person_id text, PRIMARY KEY (id, person_id))",
		"CREATE UNIQUE INDEX messages_default_client ON bellhop.messages_default (client_id)",
	} {
		if _, err := db.Writer().ExecContext(ctx, q); err != nil {
			t.Fatal(err)
		}
	}
	list := notByPerson()
	list["steps"] = placement{local: true, reason: "it is not needed"}
	list["nothing"] = placement{local: true, reason: "it is not there"}
	list["circuits"] = placement{local: true}
	list["nodes"] = placement{local: true, reference: true, reason: "both"}
	got := misplaced(keyedTables(ctx, t, db), list)
	want := []string{"circuits", "keyless", "messages", "narrow", "nobody", "nodes", "nothing", "steps", "stray", "typed"}
	for i, g := range got {
		got[i], _, _ = strings.Cut(g, ":")
	}
	slices.Sort(got)
	if got = slices.Compact(got); !slices.Equal(got, want) {
		t.Errorf("found fault with\n%v, want\n%v", got, want)
	}
}

// The steps on paper in docs/scaling.md are this schema's.
func TestTheCitusStepsAreTheKeys(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/scaling.md")
	if err != nil {
		t.Fatal(err)
	}
	doc := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^SELECT create_distributed_table\('bellhop\.(\w+)', '(\w+)'`).FindAllStringSubmatch(string(page), -1) {
		doc[m[1]] = m[2]
	}
	for _, m := range regexp.MustCompile(`(?m)^SELECT create_reference_table\('bellhop\.(\w+)'\)`).FindAllStringSubmatch(string(page), -1) {
		doc[m[1]] = "reference"
	}
	code := map[string]string{}
	for name, k := range keyedTables(context.Background(), t, storetest.Open(t, store.Postgres, nil)) {
		switch p, listed := notByPerson()[name]; {
		case !listed:
			code[name] = personColumn(name, k)
		case p.by != "":
			code[name] = p.by
		case p.reference:
			code[name] = "reference"
		}
	}
	if !maps.Equal(doc, code) {
		t.Errorf("the page spreads\n%v\nthe schema is spread\n%v", doc, code)
	}
}

// misplaced returns what is wrong with the tables, each beginning with the table's name.
func misplaced(tables map[string]keyed, list map[string]placement) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(list)) {
		p := list[name]
		k, there := tables[name]
		ways := 0
		for _, set := range []bool{p.by != "", p.reference, p.local} {
			if set {
				ways++
			}
		}
		switch {
		case !there:
			out = append(out, name+": is on the list, and there is no such table")
		case ways != 1 || p.reason == "":
			out = append(out, name+": needs one placement and a reason")
		case p.by != "":
			out = append(out, badKeys(name, k, p.by)...)
		case len(badKeys(name, k, personColumn(name, k))) == 0:
			out = append(out, name+": carries the person in every key: it needs no line on the list")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		if _, listed := list[name]; listed {
			continue
		}
		k := tables[name]
		column := personColumn(name, k)
		out = append(out, badKeys(name, k, column)...)
		if typ := k.types[column]; column != "" && typ != "uuid" {
			out = append(out, fmt.Sprintf("%s: %s is %s; tables lie together only by columns of one type, uuid", name, column, typ))
		}
	}
	return out
}

// badKeys returns what keeps a table from being spread by a column.
func badKeys(name string, k keyed, column string) []string {
	if column == "" {
		return []string{name + ": has no person: put person_id into its keys, or the table on the list with its reason"}
	}
	var out []string
	if k.primary == "" {
		out = append(out, name+": has no primary key")
	}
	if !k.notNull[column] {
		out = append(out, fmt.Sprintf("%s: %s may be NULL, or is not there", name, column))
	}
	for _, index := range slices.Sorted(maps.Keys(k.unique)) {
		if !slices.Contains(k.unique[index], column) {
			out = append(out, fmt.Sprintf("%s: %s (%s) is unique without %s", name, index, strings.Join(k.unique[index], ", "), column))
		}
	}
	return out
}

// keyedTables reads every table of the schema from the database's catalog; unique keys of
// partitions count as keys of their table.
func keyedTables(ctx context.Context, t *testing.T, db *store.DB) map[string]keyed {
	t.Helper()
	out := map[string]keyed{}
	add := func(table string) keyed {
		if _, ok := out[table]; !ok {
			out[table] = keyed{notNull: map[string]bool{}, types: map[string]string{}, unique: map[string][]string{}}
		}
		return out[table]
	}
	rows, err := db.Writer().QueryContext(ctx, `SELECT coalesce(p.relname, c.relname), a.attname, format_type(a.atttypid, a.atttypmod),
			a.attnotnull, '', false FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			LEFT JOIN pg_inherits i ON i.inhrelid = c.oid LEFT JOIN pg_class p ON p.oid = i.inhparent
			JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
			WHERE n.nspname = 'bellhop' AND c.relkind IN ('r', 'p')
		UNION ALL SELECT coalesce(p.relname, c.relname), a.attname, '', false, x.relname, k.indisprimary FROM pg_class c
			JOIN pg_namespace n ON n.oid = c.relnamespace
			LEFT JOIN pg_inherits i ON i.inhrelid = c.oid LEFT JOIN pg_class p ON p.oid = i.inhparent
			JOIN pg_index k ON k.indrelid = c.oid AND k.indisunique JOIN pg_class x ON x.oid = k.indexrelid
			LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (k.indkey[0:k.indnkeyatts - 1])
			WHERE n.nspname = 'bellhop' AND c.relkind IN ('r', 'p')`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var table, typ, index string
		var column *string // of an index over an expression there is none
		var notNull, primary bool
		if err := rows.Scan(&table, &column, &typ, &notNull, &index, &primary); err != nil {
			t.Fatal(err)
		}
		k := add(table)
		switch {
		case index == "":
			k.types[*column], k.notNull[*column] = typ, notNull
		case column != nil:
			k.unique[index] = append(k.unique[index], *column)
		default:
			k.unique[index] = append(k.unique[index], "an expression")
		}
		if primary && column != nil {
			k.primary = index
			out[table] = k
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}
