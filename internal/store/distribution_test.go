package store_test

import (
	"context"
	"os"
	"regexp"
	"strings"
	"testing"

	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// placement is what docs/scaling.md says of a table: the column that it is distributed
// by, or "local".
func placements(t *testing.T) map[string]string {
	t.Helper()
	data, err := os.ReadFile("../../docs/scaling.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(data), "\n### Where each table would be\n")
	if !ok {
		t.Fatal("docs/scaling.md does not say where each table would be")
	}
	section, _, _ = strings.Cut(section, "\n### ")
	out := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| ((?:`[a-z_*]+`(?:, )?)+) \\| (`[a-z_]+`|local) \\| [^|]+\\S \\|$").FindAllStringSubmatch(section, -1) {
		for _, name := range regexp.MustCompile("[a-z_*]+").FindAllString(m[1], -1) {
			out[name] = strings.Trim(m[2], "`")
		}
	}
	return out
}

// Rule: a table that would be distributed carries its distribution column in its primary
// key and in every other unique key, or no shard could keep the key unique; and every
// table is on the list of docs/scaling.md, the local ones with their reason.
func TestEveryTableCanBeDistributedOrIsOnTheList(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t, store.Postgres, nil)
	rows, err := db.Writer().QueryContext(context.Background(), `SELECT c.relname, coalesce(i.relname, ''), coalesce((SELECT string_agg(a.attname, ',')
		FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = ANY (x.indkey)), '')
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_index x ON x.indrelid = c.oid AND x.indisunique
		LEFT JOIN pg_class i ON i.oid = x.indexrelid
		WHERE n.nspname = 'bellhop' AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1, 2`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	list, seen, byPerson := placements(t), map[string]bool{}, 0
	for rows.Next() {
		var table, index, columns string
		if err := rows.Scan(&table, &index, &columns); err != nil {
			t.Fatal(err)
		}
		name := table
		if strings.HasPrefix(table, "river_") {
			name = "river_*"
		}
		column, ok := list[name]
		switch {
		case !ok:
			t.Errorf("docs/scaling.md does not say where %s would be", table)
		case column == "local":
		case index == "":
			t.Errorf("%s has no primary key", table)
		case !strings.Contains(","+columns+",", ","+column+","):
			t.Errorf("%s is said to be distributed by %s, which %s (%s) does not hold", table, column, index, columns)
		}
		if column == "person_id" && !seen[name] {
			byPerson++
		}
		seen[name] = true
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for name := range list {
		if !seen[name] {
			t.Errorf("docs/scaling.md names the table %s, which there is not", name)
		}
	}
	if byPerson < 6 {
		t.Errorf("only %d tables are distributed by the person", byPerson)
	}
}
