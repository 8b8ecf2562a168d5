-- Who may do what in schema bellhop. Run by `bellhop migrate` after the numbered migrations
-- whenever this text has changed, or a table is not protected yet: it takes the whole state
-- from here, so it may be run any number of times. docs/security.md has the table, and a
-- test holds every table and role against it.
--
-- It runs on Supabase and on any Postgres from 15 on: roles and functions that Supabase has
-- are made where they are missing and never touched where they are not. A role that may not
-- create roles leaves those out: then only the owner of the tables can use them.

-- +bellhop roles
DO $$
DECLARE
    makes boolean := (SELECT r.rolsuper OR r.rolcreaterole FROM pg_catalog.pg_roles r WHERE r.rolname = current_user);
    super boolean := (SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname = current_user);
    name  text;
    may   boolean;
BEGIN
    FOREACH name IN ARRAY ARRAY['anon', 'authenticated', 'service_role', 'bellhop_server'] LOOP
        IF pg_catalog.to_regrole(name) IS NULL AND makes THEN
            BEGIN
                EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN NOINHERIT NOBYPASSRLS', name);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL; -- another database of this server was faster
            END;
        END IF;
    END LOOP;
    IF pg_catalog.to_regrole('authenticated') IS NULL OR pg_catalog.to_regrole('bellhop_server') IS NULL THEN
        RAISE NOTICE 'bellhop: roles are missing and % may not create them; only the owner of the tables can serve', current_user;
        RETURN;
    END IF;
    -- Whoever serves acts for a signed-in user by SET LOCAL ROLE authenticated. bellhop_server
    -- does not inherit: by itself it has nothing of what users have.
    BEGIN
        IF NOT pg_catalog.pg_has_role('bellhop_server', 'authenticated', 'MEMBER') THEN
            GRANT authenticated TO bellhop_server;
        END IF;
        -- From 16 on a role that made another may give it away, and not become it.
        IF NOT super THEN
            may := pg_catalog.pg_has_role(current_user, 'authenticated', 'MEMBER');
            IF may AND pg_catalog.current_setting('server_version_num')::int >= 160000 THEN
                EXECUTE $q$ SELECT pg_catalog.pg_has_role(current_user, 'authenticated', 'SET') $q$ INTO may;
            END IF;
            IF NOT may THEN
                EXECUTE pg_catalog.format('GRANT authenticated TO %I', current_user);
            END IF;
        END IF;
    EXCEPTION WHEN insufficient_privilege OR unique_violation THEN
        RAISE NOTICE 'bellhop: role authenticated could not be granted; whoever owns it has to: %', SQLERRM;
    END;
END $$;

-- +bellhop who is asking, where Supabase has not said so
DO $$
DECLARE role text;
BEGIN
    IF pg_catalog.to_regnamespace('auth') IS NULL THEN
        CREATE SCHEMA auth;
        FOR role IN SELECT r.rolname FROM pg_catalog.pg_roles r WHERE r.rolname IN ('anon', 'authenticated', 'service_role') LOOP
            EXECUTE pg_catalog.format('GRANT USAGE ON SCHEMA auth TO %I', role);
        END LOOP;
    END IF;
    IF pg_catalog.to_regprocedure('auth.jwt()') IS NULL THEN
        CREATE FUNCTION auth.jwt() RETURNS jsonb LANGUAGE sql STABLE AS
            $f$ SELECT nullif(pg_catalog.current_setting('request.jwt.claims', true), '')::jsonb $f$;
    END IF;
    IF pg_catalog.to_regprocedure('auth.uid()') IS NULL THEN
        CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS
            $f$ SELECT (nullif(pg_catalog.current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid $f$;
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE NOTICE 'bellhop: auth.uid() is missing and could not be made: %', SQLERRM;
END $$;

-- +bellhop the schema and what is made in it later
REVOKE ALL ON SCHEMA bellhop FROM PUBLIC;
DO $$
DECLARE role text;
BEGIN
    FOR role IN SELECT r.rolname FROM pg_catalog.pg_roles r
                WHERE r.rolname IN ('anon', 'authenticated', 'service_role', 'bellhop_server') LOOP
        EXECUTE pg_catalog.format('ALTER DEFAULT PRIVILEGES IN SCHEMA bellhop REVOKE ALL ON TABLES FROM %I', role);
        EXECUTE pg_catalog.format('ALTER DEFAULT PRIVILEGES IN SCHEMA bellhop REVOKE ALL ON SEQUENCES FROM %I', role);
        EXECUTE pg_catalog.format('ALTER DEFAULT PRIVILEGES IN SCHEMA bellhop REVOKE ALL ON FUNCTIONS FROM %I', role);
        EXECUTE pg_catalog.format('REVOKE ALL ON SCHEMA bellhop FROM %I', role);
        EXECUTE pg_catalog.format('REVOKE ALL ON ALL SEQUENCES IN SCHEMA bellhop FROM %I', role);
        IF role <> 'anon' THEN
            EXECUTE pg_catalog.format('GRANT USAGE ON SCHEMA bellhop TO %I', role);
        END IF;
    END LOOP;
END $$;

-- +bellhop every table and every function: nobody but the owner
DO $$
DECLARE
    tab regclass;
    fn  record;
    who text := (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(r.rolname), ', ') FROM pg_catalog.pg_roles r
                 WHERE r.rolname IN ('anon', 'authenticated', 'service_role', 'bellhop_server'));
BEGIN
    FOR tab IN SELECT c.oid FROM pg_catalog.pg_class c WHERE c.relnamespace = 'bellhop'::regnamespace
               AND c.relkind IN ('r', 'p') ORDER BY c.relname LOOP
        PERFORM bellhop.protect(tab);
    END LOOP;
    FOR fn IN SELECT p.oid::regprocedure AS sign, p.proconfig FROM pg_catalog.pg_proc p
              WHERE p.pronamespace = 'bellhop'::regnamespace LOOP
        EXECUTE pg_catalog.format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', fn.sign);
        IF who IS NOT NULL THEN
            EXECUTE pg_catalog.format('REVOKE ALL ON FUNCTION %s FROM %s', fn.sign, who);
        END IF;
        -- River's functions have none: a name in them could be made to mean something else.
        IF NOT coalesce(fn.proconfig::text LIKE '%search_path=%', false) THEN
            EXECUTE pg_catalog.format('ALTER FUNCTION %s SET search_path = ''''', fn.sign);
        END IF;
    END LOOP;
END $$;

-- +bellhop what the server may: no UPDATE and no DELETE where rows are kept for ever
DO $$
DECLARE
    line text;
    obj  text;
BEGIN
    IF pg_catalog.to_regrole('bellhop_server') IS NULL THEN
        RETURN;
    END IF;
    FOREACH line IN ARRAY ARRAY[
        'SELECT: retention, schema_migrations, erasures',
        'SELECT, INSERT: settings, event_keys, events, messages, attempts, step_keys, payment_refs, security_log',
        'SELECT, INSERT, UPDATE: persons, person_keys, conversations, requests, leads, payments, subscriptions, lanes, external_refs',
        'SELECT, INSERT, UPDATE: circuits, operators, server_keys',
        'SELECT, INSERT, UPDATE, DELETE: steps, support_requests, incidents, nodes, operator_sessions, spend',
        'SELECT, UPDATE, DELETE: outbox'] LOOP
        FOREACH obj IN ARRAY pg_catalog.string_to_array(pg_catalog.split_part(line, ': ', 2), ', ') LOOP
            EXECUTE pg_catalog.format('GRANT %s ON bellhop.%I TO bellhop_server', pg_catalog.split_part(line, ': ', 1), obj);
        END LOOP;
    END LOOP;
    -- River's own, as many as its version has.
    FOR obj IN SELECT c.relname FROM pg_catalog.pg_class c WHERE c.relnamespace = 'bellhop'::regnamespace
               AND c.relkind IN ('r', 'p') AND c.relname LIKE 'river\_%' LOOP
        EXECUTE pg_catalog.format('GRANT SELECT, INSERT, UPDATE, DELETE ON bellhop.%I TO bellhop_server', obj);
    END LOOP;
    FOR obj IN SELECT c.relname FROM pg_catalog.pg_class c WHERE c.relnamespace = 'bellhop'::regnamespace
               AND c.relkind = 'S' AND c.relname LIKE 'river\_%' LOOP
        EXECUTE pg_catalog.format('GRANT USAGE ON SEQUENCE bellhop.%I TO bellhop_server', obj);
    END LOOP;
    FOR obj IN SELECT p.oid::regprocedure FROM pg_catalog.pg_proc p WHERE p.pronamespace = 'bellhop'::regnamespace
               AND (p.proname LIKE 'river\_%' OR p.proname IN ('make_month', 'detach_month', 'drop_month', 'prune_default',
               'prune_security_log')) LOOP
        EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION %s TO bellhop_server', obj);
    END LOOP;
END $$;

-- +bellhop who may hand something over from SQL
DO $$
DECLARE role text;
BEGIN
    FOR role IN SELECT r.rolname FROM pg_catalog.pg_roles r WHERE r.rolname IN ('service_role', 'postgres') LOOP
        EXECUTE pg_catalog.format('GRANT USAGE ON SCHEMA bellhop TO %I', role);
        EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION bellhop.emit(text, jsonb, text) TO %I', role);
    END LOOP;
END $$;

-- +bellhop what a signed-in user may read of their own, and nothing else
DO $$
DECLARE
    name text;
    who  text := (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(r.rolname), ', ') FROM pg_catalog.pg_roles r
                  WHERE r.rolname IN ('anon', 'authenticated', 'service_role', 'bellhop_server'));
BEGIN
    FOR name IN SELECT p.polrelid::regclass FROM pg_catalog.pg_policy p JOIN pg_catalog.pg_class c ON c.oid = p.polrelid
                WHERE c.relnamespace = 'bellhop'::regnamespace AND p.polname = 'own' LOOP
        EXECUTE pg_catalog.format('DROP POLICY own ON %s', name);
    END LOOP;
    IF pg_catalog.to_regrole('authenticated') IS NULL OR pg_catalog.to_regprocedure('auth.uid()') IS NULL THEN
        RETURN;
    END IF;
    -- By column: what people write for each other, and what is the server's own, is not theirs.
    GRANT SELECT (id, user_id, visitor_id, person_id, status, fields, is_lead, created_at, updated_at)
        ON bellhop.conversations TO authenticated;
    GRANT SELECT (id, conversation_id, event_id, client_id, role, text, decision, created_at) ON bellhop.messages TO authenticated;
    GRANT SELECT (id, correlation_id) ON bellhop.events TO authenticated;
    GRANT SELECT ON bellhop.requests TO authenticated;
    GRANT SELECT (id, status, created_at, updated_at) ON bellhop.support_requests TO authenticated;
    GRANT SELECT (id, request_id, incident_id, state, updated_at) ON bellhop.steps TO authenticated;
    GRANT SELECT (id, task_id) ON bellhop.incidents TO authenticated;
    GRANT SELECT (id, user_id, has_email) ON bellhop.persons TO authenticated;
    GRANT SELECT (id, person_id, status, amount, amount_refunded, currency, paid_at, merged_into, created_at, updated_at)
        ON bellhop.payments TO authenticated;
    -- (SELECT auth.uid()) is asked once for a statement, not once for a row. Every column that
    -- a policy reads leads an index. A list of one's own rows goes through the policy of the
    -- table that it is made from, so ownership is said once for each.
    CREATE POLICY own ON bellhop.conversations FOR SELECT TO authenticated
        USING (user_id = (SELECT auth.uid())::text);
    CREATE POLICY own ON bellhop.requests FOR SELECT TO authenticated
        USING (user_id = (SELECT auth.uid())::text);
    CREATE POLICY own ON bellhop.messages FOR SELECT TO authenticated
        USING (conversation_id IN (SELECT c.id FROM bellhop.conversations c WHERE c.user_id = (SELECT auth.uid())::text));
    CREATE POLICY own ON bellhop.events FOR SELECT TO authenticated
        USING (id IN (SELECT m.event_id FROM bellhop.messages m WHERE m.event_id IS NOT NULL));
    CREATE POLICY own ON bellhop.support_requests FOR SELECT TO authenticated
        USING (id IN (SELECT r.id FROM bellhop.requests r WHERE r.user_id = (SELECT auth.uid())::text));
    CREATE POLICY own ON bellhop.steps FOR SELECT TO authenticated
        USING (request_id IN (SELECT r.id FROM bellhop.requests r WHERE r.user_id = (SELECT auth.uid())::text));
    CREATE POLICY own ON bellhop.incidents FOR SELECT TO authenticated
        USING (id IN (SELECT s.incident_id FROM bellhop.steps s WHERE s.incident_id IS NOT NULL));
    -- Whoever typed somebody's address into a request learns only that it has one.
    CREATE POLICY own ON bellhop.persons FOR SELECT TO authenticated
        USING (user_id = (SELECT auth.uid())::text OR user_id IS NULL AND
               id IN (SELECT r.person_id FROM bellhop.requests r WHERE r.user_id = (SELECT auth.uid())::text));
    CREATE POLICY own ON bellhop.payments FOR SELECT TO authenticated
        USING (person_id IN (SELECT p.id FROM bellhop.persons p WHERE p.user_id = (SELECT auth.uid())::text));
    -- For supabase-js: a view runs with the rights of who asks, so the policies hold in it.
    CREATE OR REPLACE VIEW bellhop.my_conversations WITH (security_invoker = true) AS
        SELECT c.id, c.status, c.created_at, c.updated_at FROM bellhop.conversations c
        WHERE c.user_id = (SELECT auth.uid())::text;
    CREATE OR REPLACE VIEW bellhop.my_messages WITH (security_invoker = true) AS
        SELECT m.id, m.conversation_id, m.role, m.text, m.created_at FROM bellhop.messages m
        WHERE m.conversation_id IN (SELECT c.id FROM bellhop.conversations c WHERE c.user_id = (SELECT auth.uid())::text);
    -- The state is the one that the API tells: see internal/desk.
    CREATE OR REPLACE VIEW bellhop.my_requests WITH (security_invoker = true) AS
        SELECT r.id, r.kind, r.conversation_id,
            CASE
                WHEN u.status = 'resolved' THEN 'done'
                WHEN u.id IS NOT NULL THEN 'manual'
                WHEN s.manual THEN 'manual'
                WHEN s.open THEN 'saved'
                WHEN r.kind = 'lead' AND s.steps = 0 AND NOT coalesce(p.has_email, true) THEN 'pending'
                ELSE 'done'
            END AS state,
            r.created_at, greatest(r.created_at, u.updated_at, s.updated_at) AS updated_at
        FROM bellhop.requests r
        LEFT JOIN bellhop.persons p ON p.id = r.person_id
        LEFT JOIN bellhop.support_requests u ON u.id = r.id
        CROSS JOIN LATERAL (SELECT count(*) AS steps, max(x.updated_at) AS updated_at,
            coalesce(bool_or(x.state NOT IN ('done', 'dropped')), false) AS open,
            coalesce(bool_or(x.state = 'manual' OR (x.state = 'parked' AND i.task_id IS NOT NULL)), false) AS manual
            FROM bellhop.steps x LEFT JOIN bellhop.incidents i ON i.id = x.incident_id WHERE x.request_id = r.id) s
        WHERE r.user_id = (SELECT auth.uid())::text;
    CREATE OR REPLACE VIEW bellhop.my_payments WITH (security_invoker = true) AS
        SELECT y.id, y.status, y.amount, y.amount_refunded, y.currency, y.paid_at, y.created_at, y.updated_at
        FROM bellhop.payments y
        WHERE y.merged_into IS NULL AND
            y.person_id IN (SELECT p.id FROM bellhop.persons p WHERE p.user_id = (SELECT auth.uid())::text);
    FOREACH name IN ARRAY ARRAY['my_conversations', 'my_messages', 'my_requests', 'my_payments'] LOOP
        EXECUTE pg_catalog.format('REVOKE ALL ON bellhop.%I FROM PUBLIC, %s', name, who);
        EXECUTE pg_catalog.format('GRANT SELECT ON bellhop.%I TO authenticated', name);
    END LOOP;
END $$;
