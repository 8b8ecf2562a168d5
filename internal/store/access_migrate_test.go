package store_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"bellhop"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// run executes statements on a database of a cluster as its superuser.
func run(t *testing.T, dsn string, stmts ...string) {
	t.Helper()
	db, err := store.Open(context.Background(), store.Opts{URL: dsn})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, q := range stmts {
		if _, err := db.Writer().Exec(q); err != nil {
			t.Fatalf("%v: %.200s", err, q)
		}
	}
}

// asRole is a database's URL with another user.
func asRole(t *testing.T, dsn, role string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(role, "pw")
	return u.String()
}

// works checks that a user can be read for, by what is there.
func works(t *testing.T, db *store.DB, secured bool) {
	t.Helper()
	ctx := context.Background()
	a := newFixture(t, db).own(t, userA)
	if _, err := db.For(a.owner, claimsOf(userA)).Conversation(ctx, a.conversation); err != nil {
		t.Errorf("A cannot read A's: %v", err)
	}
	_, err := db.For(a.owner, claimsOf(userB)).Conversation(ctx, a.conversation)
	if got := bellhop.CodeOf(err) == bellhop.CodeNotFound; got != secured {
		t.Errorf("row level security stands behind the query: %v (%v), want %v", got, err, secured)
	}
	if what, err := db.RowSecurity(ctx); err != nil || (what == "") != secured {
		t.Errorf("what is missing: %q (%v)", what, err)
	}
}

// A server of its own, because roles belong to the server: first nobody may make roles,
// then somebody may.
func TestMigratingAPlainPostgres(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	c, err := storetest.StartPostgres("", storetest.Opts{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	for _, name := range []string{"poor", "rich"} {
		if err := c.CreateDB(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	run(t, c.DSN("postgres"), "CREATE ROLE poor LOGIN PASSWORD 'pw'", "CREATE ROLE rich LOGIN CREATEROLE PASSWORD 'pw'",
		"ALTER DATABASE poor OWNER TO poor", "ALTER DATABASE rich OWNER TO rich")

	// An installation whose owner may not make roles goes on as before.
	poor := storetest.OpenURL(t, asRole(t, c.DSN("poor"), "poor"), nil)
	works(t, poor, false)
	if !poor.OwnsSchema() {
		t.Error("the owner does not own the schema")
	}

	// An owner who is no superuser, and may make roles.
	rich := storetest.OpenURL(t, asRole(t, c.DSN("rich"), "rich"), nil)
	works(t, rich, true)
	var got string
	if err := rich.Writer().QueryRow(`SELECT string_agg(rolname || ' ' || rolcanlogin || rolbypassrls || rolinherit || rolsuper, ', ' ORDER BY rolname)
		FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role', 'bellhop_server')`).Scan(&got); err != nil {
		t.Fatal(err)
	}
	if want := "anon falsefalsefalsefalse, authenticated falsefalsefalsefalse, bellhop_server falsefalsefalsefalse, service_role falsefalsefalsefalse"; got != want {
		t.Errorf("roles: %s", got)
	}
	works(t, storetest.OpenURL(t, login(t, rich, asRole(t, c.DSN("rich"), "rich"), true), nil), true)

	// Now there are roles, the first one is finished by migrating again.
	run(t, c.DSN("poor"), "GRANT authenticated TO poor")
	again := storetest.OpenURL(t, asRole(t, c.DSN("poor"), "poor"), nil)
	b := newFixture(t, again).own(t, userB)
	if _, err := again.For(b.owner, claimsOf(userA)).Conversation(ctx, b.conversation); bellhop.CodeOf(err) != bellhop.CodeNotFound {
		t.Errorf("after migrating again: %v", err)
	}
	if what, err := again.RowSecurity(ctx); err != nil || what != "" {
		t.Errorf("after migrating again: %q, %v", what, err)
	}
}

// Supabase as it is: the auth schema and its functions are of somebody else, the migrating
// role is no superuser, has BYPASSRLS, may make roles and may make nothing in auth.
func TestMigratingASupabaseProject(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	c := storetest.Postgres(t)
	storetest.URL(t, store.Postgres) // the roles are there, as on Supabase
	if err := c.CreateDB(ctx, "supabase_like"); err != nil {
		t.Fatal(err)
	}
	dsn := c.DSN("supabase_like")
	const uid = `select coalesce(nullif(current_setting('request.jwt.claim.sub', true), ''),
		(nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'))::uuid`
	run(t, dsn, "CREATE ROLE supabase_auth_admin NOLOGIN", "CREATE ROLE like_postgres LOGIN CREATEROLE BYPASSRLS PASSWORD 'pw'",
		"GRANT anon, authenticated, service_role TO like_postgres", "ALTER DATABASE supabase_like OWNER TO like_postgres",
		"CREATE SCHEMA auth AUTHORIZATION supabase_auth_admin", "GRANT USAGE ON SCHEMA auth TO like_postgres, anon, authenticated, service_role",
		"CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS $f$"+uid+"$f$", "ALTER FUNCTION auth.uid() OWNER TO supabase_auth_admin",
		"CREATE FUNCTION auth.jwt() RETURNS jsonb LANGUAGE sql STABLE AS 'select null::jsonb'", "ALTER FUNCTION auth.jwt() OWNER TO supabase_auth_admin",
		"CREATE TABLE auth.users (id uuid PRIMARY KEY)",
		// the defaults of a project from before May 2026, and of a founder who followed the guide for own schemas
		"ALTER DEFAULT PRIVILEGES FOR ROLE like_postgres GRANT ALL ON TABLES TO anon, authenticated, service_role",
		"ALTER DEFAULT PRIVILEGES FOR ROLE like_postgres GRANT ALL ON FUNCTIONS TO anon, authenticated, service_role")
	before := functionsOfAuth(t, dsn)
	db := storetest.OpenURL(t, asRole(t, dsn, "like_postgres"), nil)
	works(t, db, true)
	if after := functionsOfAuth(t, dsn); after != before {
		t.Errorf("schema auth was changed:\n%s\n%s", before, after)
	}
	super := storetest.OpenURL(t, dsn, nil) // migrating as somebody else finds nothing to do
	for _, l := range lints() {
		if got := findings(t, super, l); len(got) > 0 {
			t.Errorf("%s: %v", l.name, got)
		}
	}
	for _, r := range relations(t, super) {
		if got := commands(t, super, "anon", nil, r); got != "–" {
			t.Errorf("%s: anon may %s", r.name, got)
		}
	}
}

func functionsOfAuth(t *testing.T, dsn string) string {
	t.Helper()
	db, err := store.Open(context.Background(), store.Opts{URL: dsn})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var out string
	if err := db.Writer().QueryRow(`SELECT string_agg(proname || proowner::regrole || prosrc || coalesce(proacl::text, ''), chr(10) ORDER BY proname)
		FROM pg_proc WHERE pronamespace = 'auth'::regnamespace`).Scan(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

// An installation with data, from before: its months are protected too, what it took in is
// still a duplicate, and it ends up as a new one begins.
func TestMigratingFromBeforeTheRights(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	c := storetest.Postgres(t)
	if err := c.CreateDB(ctx, "before_rights"); err != nil {
		t.Fatal(err)
	}
	dsn := c.DSN("before_rights")
	db, err := store.Open(ctx, store.Opts{URL: dsn})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() }) //nolint:errcheck // the test is over
	if err := db.MigrateTo(ctx, 4); err != nil {
		t.Fatal(err)
	}
	run(t, dsn, "CREATE TABLE bellhop.events_2026_01 PARTITION OF bellhop.events FOR VALUES FROM "+
		"('019b76da-a800-7000-8000-000000000000') TO ('019c167d-9400-7000-8000-000000000000')")
	seed(t, db, userA)
	if err := db.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	if n := rowsOf(t, db, "requests") + rowsOf(t, db, "events"); n != 3 {
		t.Errorf("%d rows are left of 3", n)
	}
	works(t, db, true)
	for _, l := range lints() {
		if got := findings(t, db, l); len(got) > 0 {
			t.Errorf("%s: %v", l.name, got)
		}
	}
	fresh := storetest.Open(t, store.Postgres, nil)
	month := regexp.MustCompile(`_\d{4}_\d{2}`) // which months there are differs
	a := slices.DeleteFunc(catalogue(t, db), month.MatchString)
	if b := slices.DeleteFunc(catalogue(t, fresh), month.MatchString); !slices.Equal(a, b) {
		t.Errorf("a migrated schema differs from a fresh one:\n%s", difference(a, b))
	}
	// Nothing to do is done without touching anything.
	if err := db.Migrate(ctx); err != nil {
		t.Error(err)
	}
}

// catalogue is everything that a schema consists of, line by line.
func catalogue(t *testing.T, db *store.DB) []string {
	t.Helper()
	text := `SELECT type || ' ' || name || ' ' || coalesce(sql, '') FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY 1`
	if db.Kind() == store.Postgres {
		text = `SELECT 'column ' || c.table_name || '.' || c.column_name || ' ' || c.data_type || ' ' || c.is_nullable || ' ' || coalesce(c.column_default, '')
			FROM information_schema.columns c WHERE c.table_schema = 'bellhop'
			UNION ALL SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = 'bellhop'
			UNION ALL SELECT 'policy ' || tablename || policyname || roles::text || cmd || coalesce(qual, '') || coalesce(with_check, '') FROM pg_policies WHERE schemaname = 'bellhop'
			UNION ALL SELECT 'function ' || p.oid::regprocedure || md5(p.prosrc) || p.prosecdef || coalesce(p.proconfig::text, '') || coalesce(p.proacl::text, '')
				FROM pg_proc p WHERE p.pronamespace = 'bellhop'::regnamespace
			UNION ALL SELECT 'rights ' || c.relname || c.relrowsecurity || coalesce(c.relacl::text, '') FROM pg_class c WHERE c.relnamespace = 'bellhop'::regnamespace
			UNION ALL SELECT 'rights ' || a.attrelid::regclass || a.attname || a.attacl::text FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
				WHERE c.relnamespace = 'bellhop'::regnamespace AND a.attacl IS NOT NULL
			UNION ALL SELECT 'constraint ' || conrelid::regclass || conname || pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'bellhop'::regnamespace
			UNION ALL SELECT 'trigger ' || t.tgrelid::regclass || t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE c.relnamespace = 'bellhop'::regnamespace
			UNION ALL SELECT 'applied ' || version_id FROM bellhop.schema_migrations
			UNION ALL SELECT 'applied ' || line || version FROM bellhop.river_migration
			UNION ALL SELECT 'setting ' || name || value FROM bellhop.settings WHERE name = 'access' ORDER BY 1`
	}
	rows, err := db.Writer().Query(text)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		out = append(out, strings.Join(strings.Fields(s), " "))
	}
	if err := rows.Err(); err != nil || len(out) < 50 {
		t.Fatalf("%d lines, %v", len(out), err)
	}
	return out
}

func difference(a, b []string) string {
	var out []string
	for _, s := range a {
		if !slices.Contains(b, s) {
			out = append(out, "- "+s)
		}
	}
	for _, s := range b {
		if !slices.Contains(a, s) {
			out = append(out, "+ "+s)
		}
	}
	return strings.Join(out, "\n")
}

// What `migrate --print` writes makes the schema that migrating makes, and a server that
// starts on it has nothing to do.
func TestTheScriptMakesTheSameSchema(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for _, kind := range storetest.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			text, err := store.Script(kind)
			if err != nil {
				t.Fatal(err)
			}
			url := "sqlite:" + t.TempDir() + "/script.db"
			if kind == store.Postgres {
				c := storetest.Postgres(t)
				if err := c.CreateDB(ctx, "script"); err != nil {
					t.Fatal(err)
				}
				url = c.DSN("script")
			}
			run(t, url, text)
			db, err := store.Open(ctx, store.Opts{URL: url})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { db.Close() }) //nolint:errcheck // the test is over
			if err := db.SchemaCurrent(ctx); err != nil {
				t.Error(err)
			}
			made := catalogue(t, db)
			if err := db.Migrate(ctx); err != nil {
				t.Fatal(err)
			}
			migrated := storetest.Open(t, kind, nil)
			if a, b := made, catalogue(t, migrated); !slices.Equal(a, b) {
				t.Errorf("the script's schema differs from a migrated one:\n%s", difference(a, b))
			}
			newFixture(t, db).lead(t, "ada@example.com", "k1")
			if _, err := db.Writer().Exec(text); err == nil {
				t.Error("the script runs a second time")
			} else if kind == store.Postgres && !strings.Contains(err.Error(), "run bellhop migrate") {
				t.Errorf("the script, run a second time: %v", err)
			}
		})
	}
}

// The views that supabase-js reads tell what the API tells.
func TestTheViewsTellWhatTheAPITells(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := storetest.Open(t, store.Postgres, nil)
	f := newFixture(t, db)
	a := f.own(t, userA)
	f.own(t, userB)
	f.accept(t, paid("1", userA[30:]+"@example.com", "cus_1"))
	facts, err := db.For(a.owner, claimsOf(userA)).Requests(ctx, 100)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, r := range facts {
		want = append(want, fmt.Sprint(r.ID, r.Kind))
	}
	got, err := as(t, db, "authenticated", claimsOf(userA), "SELECT id || kind FROM bellhop.my_requests ORDER BY id DESC")
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("my_requests: %v (%v), want %v", got, err, want)
	}
	for view, want := range map[string]string{"my_conversations": "1", "my_messages": "2", "my_payments": "1"} {
		if got, err := as(t, db, "authenticated", claimsOf(userA), "SELECT count(*) FROM bellhop."+view); err != nil || got[0] != want {
			t.Errorf("%s: %v (%v), want %s", view, got, err, want)
		}
	}
}

// The migration for a Supabase project, which founders copy, is what the program prints.
func TestTheSupabaseMigrationIsUpToDate(t *testing.T) {
	t.Parallel()
	const file = "supabase/migrations/20261124000000_bellhop.sql"
	have, err := os.ReadFile("../../" + file)
	if err != nil {
		t.Fatal(err)
	}
	want, err := store.Script(store.Postgres)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != want {
		t.Errorf("run BELLHOP_DATABASE=postgres://localhost/x go run ./cmd/bellhop migrate --print > %s", file)
	}
}
