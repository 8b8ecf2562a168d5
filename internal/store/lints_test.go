package store_test

import (
	"testing"

	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// lint is a check of the database that finds nothing in schema bellhop: the lints of
// Supabase that mean something there (https://supabase.github.io/splinter), written anew,
// with the gaps that they are known to have closed. They treat the schema as one that is
// exposed over the Data API, because founders expose it to read the views.
type lint struct{ name, text string }

// inSchema is the tables of the schema.
const inSchema = `pg_catalog.pg_class c WHERE c.relnamespace = 'bellhop'::regnamespace AND c.relkind IN ('r', 'p')`

func lints() []lint {
	return []lint{
		{"0001 unindexed_foreign_keys", `SELECT k.conrelid::regclass::text || ' ' || k.conname FROM pg_constraint k
			WHERE k.contype = 'f' AND k.connamespace = 'bellhop'::regnamespace AND NOT EXISTS (SELECT FROM pg_index i
			WHERE i.indrelid = k.conrelid AND i.indisvalid AND i.indkey[0] = k.conkey[1])`},
		{"0003 auth_rls_initplan, and where another call is wrapped", `SELECT tablename || ' ' || policyname FROM pg_policies
			WHERE schemaname = 'bellhop' AND regexp_replace(coalesce(qual, '') || ' ' || coalesce(with_check, ''),
			'\(\s*select\s+(auth\.\w+\(\)|current_setting\([^)]*\))[^)]*\)', '', 'gi') ~* '(auth\.(uid|jwt|role|email)\(\)|current_setting\()'`},
		{"0004 no_primary_key, partitioned tables too", `SELECT c.relname FROM ` + inSchema + ` AND NOT EXISTS
			(SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)`},
		{"0006 multiple_permissive_policies", `SELECT p.tablename || ' ' || r.role || ' ' || k.cmd FROM pg_policies p
			CROSS JOIN LATERAL unnest(p.roles) AS r (role) CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS k (cmd)
			WHERE p.schemaname = 'bellhop' AND p.permissive = 'PERMISSIVE' AND p.cmd IN ('ALL', k.cmd)
			GROUP BY p.tablename, r.role, k.cmd HAVING count(*) > 1`},
		{"0007 policy_exists_rls_disabled", `SELECT c.relname FROM ` + inSchema + ` AND NOT c.relrowsecurity AND EXISTS
			(SELECT FROM pg_policy p WHERE p.polrelid = c.oid)`},
		{"0008 rls_enabled_no_policy", `SELECT c.relname FROM ` + inSchema + ` AND c.relrowsecurity AND NOT EXISTS
			(SELECT FROM pg_policy p WHERE p.polrelid = c.oid)`},
		{"0009 duplicate_index", `SELECT a.indexrelid::regclass::text FROM pg_index a JOIN pg_index b ON a.indrelid = b.indrelid AND
			a.indexrelid < b.indexrelid AND a.indkey::text = b.indkey::text AND a.indclass = b.indclass AND
			coalesce(pg_get_expr(a.indpred, a.indrelid), '') = coalesce(pg_get_expr(b.indpred, b.indrelid), '')
			JOIN pg_class c ON c.oid = a.indrelid WHERE c.relnamespace = 'bellhop'::regnamespace`},
		{"0010 security_definer_view", `SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'bellhop'::regnamespace AND
			c.relkind = 'v' AND NOT coalesce(c.reloptions::text ~ 'security_invoker=(true|on)', false)`},
		{"0011 function_search_path_mutable", `SELECT p.oid::regprocedure::text FROM pg_proc p WHERE
			p.pronamespace = 'bellhop'::regnamespace AND NOT coalesce(p.proconfig::text LIKE '%search_path=%', false)`},
		{"0013 rls_disabled, with any right and partitioned tables too", `SELECT c.relname FROM ` + inSchema + ` AND NOT c.relrowsecurity`},
		{"0014 extension_in_public, here in ours", `SELECT extname::text FROM pg_extension WHERE extnamespace = 'bellhop'::regnamespace`},
		{"0015 rls_references_user_metadata", `SELECT tablename::text FROM pg_policies WHERE schemaname = 'bellhop' AND
			coalesce(qual, '') || coalesce(with_check, '') ~ 'user_metadata|request\.jwt\.claims'`},
		{"0016, 0017 materialized_view_in_api, foreign_table_in_api", `SELECT c.relname FROM pg_class c
			WHERE c.relnamespace = 'bellhop'::regnamespace AND c.relkind IN ('m', 'f')`},
		{"0018 unsupported_reg_types", `SELECT c.relname || '.' || a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND
			a.attnum > 0 JOIN pg_type y ON y.oid = a.atttypid WHERE c.relnamespace = 'bellhop'::regnamespace AND
			c.relkind IN ('r', 'p') AND y.typname LIKE 'reg%'`},
		{"0021 fkey_to_auth", `SELECT k.conname FROM pg_constraint k WHERE k.contype = 'f' AND
			k.connamespace = 'bellhop'::regnamespace AND k.confrelid::regclass::text LIKE 'auth.%'`},
		{"0024 rls_policy_always_true, reading too", `SELECT tablename || ' ' || policyname FROM pg_policies WHERE schemaname = 'bellhop' AND
			roles && ARRAY['public', 'anon', 'authenticated']::name[] AND
			regexp_replace(lower(coalesce(qual, with_check, '')), '\mas\s+(uid|role)\M|\mselect\M|::text|[\s()]', '', 'g')
			~ '^(true|1=1|''([^'']*)''=''\2''|auth\.uidisnotnull|auth\.role=''authenticated'')$'`},
		{"0028, 0029 security_definer_function_executable", `SELECT p.oid::regprocedure::text FROM pg_proc p CROSS JOIN pg_roles r
			WHERE p.pronamespace = 'bellhop'::regnamespace AND r.rolname IN ('anon', 'authenticated') AND
			has_function_privilege(r.oid, p.oid, 'EXECUTE')`},
		{"X3 rights that row level security does not see", `SELECT c.relname || ' ' || r.rolname || ' ' || k.priv FROM pg_class c
			CROSS JOIN pg_roles r CROSS JOIN unnest(ARRAY['TRUNCATE', 'TRIGGER', 'REFERENCES']) AS k (priv)
			WHERE c.relnamespace = 'bellhop'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND
			r.rolname IN ('anon', 'authenticated', 'service_role', 'bellhop_server') AND has_table_privilege(r.oid, c.oid, k.priv)`},
		{"X6 who may make things in the schema", `SELECT coalesce(r.rolname, 'PUBLIC') FROM pg_namespace n CROSS JOIN aclexplode(n.nspacl) a
			LEFT JOIN pg_roles r ON r.oid = a.grantee WHERE n.nspname = 'bellhop' AND a.privilege_type = 'CREATE' AND a.grantee <> n.nspowner`},
		{"X9 a policy's column leads an index", `SELECT p.polrelid::regclass::text || ' ' || a.attname FROM pg_policy p
			JOIN pg_depend d ON d.classid = 'pg_policy'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_class'::regclass AND
			d.refobjid = p.polrelid AND d.refobjsubid > 0
			JOIN pg_attribute a ON a.attrelid = p.polrelid AND a.attnum = d.refobjsubid
			JOIN pg_class c ON c.oid = p.polrelid WHERE c.relnamespace = 'bellhop'::regnamespace AND NOT EXISTS
			(SELECT FROM pg_index i WHERE i.indrelid = p.polrelid AND i.indisvalid AND i.indkey[0] = a.attnum)`},
		{"X10 default privileges", `SELECT coalesce(r.rolname, 'PUBLIC') FROM pg_default_acl d CROSS JOIN aclexplode(d.defaclacl) x
			LEFT JOIN pg_roles r ON r.oid = x.grantee WHERE d.defaclnamespace = 'bellhop'::regnamespace AND
			(x.grantee = 0 OR r.rolname IN ('anon', 'authenticated', 'service_role'))`},
		{"X14 invalid indexes and constraints", `SELECT i.indexrelid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
			WHERE c.relnamespace = 'bellhop'::regnamespace AND NOT i.indisvalid UNION ALL
			SELECT conname FROM pg_constraint WHERE connamespace = 'bellhop'::regnamespace AND NOT convalidated`},
	}
}

// findings runs a lint.
func findings(t *testing.T, db *store.DB, l lint) []string {
	t.Helper()
	rows, err := db.Writer().Query(l.text)
	if err != nil {
		t.Fatalf("%s: %v", l.name, err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("%s: %v", l.name, err)
	}
	return out
}

// Promise: the database lints of Supabase find nothing in Bellhop's schema.
func TestSupabaseLintsFindNothing(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t, store.Postgres, nil)
	for _, l := range lints() {
		if got := findings(t, db, l); len(got) > 0 {
			t.Errorf("%s: %v", l.name, got)
		}
	}
}

// Each lint finds what it is for, when it is put there.
func TestSupabaseLintsBite(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t, store.Postgres, nil)
	if _, err := db.Writer().Exec(`CREATE TABLE auth.thing (id int PRIMARY KEY);
		CREATE TABLE bellhop.bare (a int REFERENCES auth.thing, u uuid, r regclass);
		CREATE INDEX bare_u ON bellhop.bare (r); CREATE INDEX bare_u2 ON bellhop.bare (r);
		CREATE POLICY one ON bellhop.bare FOR SELECT TO authenticated USING (auth.uid() = u);
		CREATE POLICY two ON bellhop.bare FOR SELECT TO authenticated USING (true);
		CREATE POLICY three ON bellhop.bare FOR SELECT TO anon USING ((auth.jwt() -> 'user_metadata') IS NOT NULL);
		CREATE TABLE bellhop.shut (a int PRIMARY KEY); ALTER TABLE bellhop.shut ENABLE ROW LEVEL SECURITY;
		CREATE VIEW bellhop.peek AS SELECT 1 AS one;
		CREATE MATERIALIZED VIEW bellhop.frozen AS SELECT 1 AS one;
		CREATE FUNCTION bellhop.open() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
		GRANT TRUNCATE ON bellhop.bare TO anon;
		GRANT CREATE ON SCHEMA bellhop TO anon;
		ALTER DEFAULT PRIVILEGES IN SCHEMA bellhop GRANT SELECT ON TABLES TO anon;
		ALTER TABLE bellhop.shut ADD CONSTRAINT late CHECK (a > 0) NOT VALID`); err != nil {
		t.Fatal(err)
	}
	for _, l := range lints() {
		if l.name[:4] == "0014" {
			continue // no extension that every server has may be put there
		}
		if len(findings(t, db, l)) == 0 {
			t.Errorf("%s finds nothing", l.name)
		}
	}
}
