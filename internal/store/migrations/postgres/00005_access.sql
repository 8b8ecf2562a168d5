-- +goose Up

-- Functions that a less privileged role needs run as the owner of the tables, with an empty
-- search path. Who may do what is in access.sql beside this folder: it is run after every
-- migration, because roles are of the server and not of the database, and River makes its
-- tables after this.

-- What the founder's own transactions hand over by bellhop.emit(): intake takes a row in
-- and deletes it. A row that is being taken in is leased, so that two nodes do not do it.
CREATE TABLE bellhop.outbox (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind         text NOT NULL CHECK (kind IN ('lead', 'support_request', 'event')),
    key          text NOT NULL,
    payload      jsonb NOT NULL,
    attempts     integer NOT NULL DEFAULT 0,
    leased_until timestamptz,
    created_at   timestamptz NOT NULL DEFAULT now()
);

-- All that a customer may know of the address that a request of theirs is filed under.
ALTER TABLE bellhop.persons ADD COLUMN has_email boolean GENERATED ALWAYS AS (email IS NOT NULL AND email <> '') STORED;

-- Finds the person of a signed-in user, for the policies.
CREATE INDEX persons_user ON bellhop.persons (user_id) WHERE user_id IS NOT NULL;

-- Puts a table under row level security with no rights for anybody but its owner, and lets
-- the server's role see every row of what it is granted.
-- +goose StatementBegin
CREATE FUNCTION bellhop.protect(tab regclass) RETURNS void LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE role text;
BEGIN
    IF NOT (SELECT c.relrowsecurity FROM pg_catalog.pg_class c WHERE c.oid = tab) THEN
        EXECUTE pg_catalog.format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', tab);
    END IF;
    EXECUTE pg_catalog.format('REVOKE ALL ON %s FROM PUBLIC', tab);
    FOR role IN SELECT r.rolname FROM pg_catalog.pg_roles r
                WHERE r.rolname IN ('anon', 'authenticated', 'service_role', 'bellhop_server') LOOP
        EXECUTE pg_catalog.format('REVOKE ALL ON %s FROM %I', tab, role);
    END LOOP;
    IF pg_catalog.to_regrole('bellhop_server') IS NOT NULL AND NOT EXISTS
        (SELECT FROM pg_catalog.pg_policy p WHERE p.polrelid = tab AND p.polname = 'server') THEN
        EXECUTE pg_catalog.format('CREATE POLICY server ON %s TO bellhop_server USING (true) WITH CHECK (true)', tab);
    END IF;
END $$;
-- +goose StatementEnd

-- The smallest UUIDv7 of a month: ids sort by time.
-- +goose StatementBegin
CREATE FUNCTION bellhop.month_floor(month date) RETURNS uuid LANGUAGE sql IMMUTABLE SET search_path = '' AS $$
    SELECT (lpad(to_hex(m.ms >> 16), 8, '0') || '-' || lpad(to_hex(m.ms & 65535), 4, '0') || '-7000-8000-000000000000')::uuid
    FROM (SELECT extract(epoch FROM month)::bigint * 1000 AS ms) m
$$;
-- +goose StatementEnd

-- Retention is asked for by the server's role. What it may never have taken away, whatever
-- it says, is what is younger, by this server's own clock, than the owner has written down
-- from bellhop.yaml (30 days before that): who breaks into the server cannot wipe out what
-- they did. The owner may do anything anyway.
-- +goose StatementBegin
CREATE FUNCTION bellhop.guard_age(below uuid) RETURNS void LANGUAGE plpgsql STABLE SET search_path = '' AS $$
DECLARE least interval := coalesce((SELECT s.value::interval FROM bellhop.settings s
                                    WHERE s.name = 'retention_least'), interval '30 days');
BEGIN
    IF below > bellhop.month_floor((now() AT TIME ZONE 'UTC' - least)::date) AND NOT pg_catalog.pg_has_role(session_user,
        (SELECT n.nspowner FROM pg_catalog.pg_namespace n WHERE n.nspname = 'bellhop'), 'MEMBER') THEN
        RAISE EXCEPTION 'bellhop: nothing that is younger than % is removed by retention; if bellhop.yaml says otherwise, run bellhop migrate as the owner', least
            USING ERRCODE = '42501';
    END IF;
END $$;
-- +goose StatementEnd

-- The name of a month's partition. Everything below goes through it, so nothing but whole
-- months of these three tables can be named.
-- +goose StatementBegin
CREATE FUNCTION bellhop.month_name(tab text, month date) RETURNS text LANGUAGE plpgsql STABLE SET search_path = '' AS $$
BEGIN
    IF tab IS NULL OR tab NOT IN ('events', 'messages', 'attempts') OR month IS NULL
        OR month <> date_trunc('month', month)::date THEN
        RAISE EXCEPTION 'bellhop keeps no month % of %', month, tab USING ERRCODE = '22023';
    END IF;
    RETURN tab || '_' || to_char(month, 'YYYY_MM');
END $$;
-- +goose StatementEnd

-- Makes a month's partition. False when it is there, or when rows of that month lie in the
-- default partition already: they stay there, which loses nothing.
-- +goose StatementBegin
CREATE FUNCTION bellhop.make_month(tab text, month date) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = '' AS $$
DECLARE part text := bellhop.month_name(tab, month);
BEGIN
    IF to_regclass('bellhop.' || part) IS NOT NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE bellhop.%I PARTITION OF bellhop.%I FOR VALUES FROM (%L) TO (%L)', part, tab,
        bellhop.month_floor(month), bellhop.month_floor((month + interval '1 month')::date));
    PERFORM bellhop.protect(format('bellhop.%I', part)::regclass);
    RETURN true;
EXCEPTION
    WHEN check_violation OR invalid_object_definition OR duplicate_table OR unique_violation THEN
        RETURN false;
END $$;
-- +goose StatementEnd

-- Takes a month off its table and writes down what is gone by it, and when.
-- +goose StatementBegin
CREATE FUNCTION bellhop.detach_month(tab text, month date, at timestamptz) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = '' AS $$
DECLARE part text := bellhop.month_name(tab, month);
BEGIN
    PERFORM bellhop.guard_age(bellhop.month_floor((month + interval '1 month')::date));
    INSERT INTO bellhop.retention (name, floor, removed_at)
    VALUES (tab, bellhop.month_floor((month + interval '1 month')::date), at) ON CONFLICT DO NOTHING;
    EXECUTE format('ALTER TABLE bellhop.%I DETACH PARTITION bellhop.%I', tab, part);
END $$;
-- +goose StatementEnd

-- Drops a month that was taken off.
-- +goose StatementBegin
CREATE FUNCTION bellhop.drop_month(tab text, month date) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = '' AS $$
DECLARE part text := bellhop.month_name(tab, month);
BEGIN
    IF (SELECT c.relispartition FROM pg_catalog.pg_class c WHERE c.oid = to_regclass('bellhop.' || part)) THEN
        RAISE EXCEPTION 'bellhop.% is still part of its table', part USING ERRCODE = '55006';
    END IF;
    PERFORM bellhop.guard_age(bellhop.month_floor((month + interval '1 month')::date));
    EXECUTE format('DROP TABLE IF EXISTS bellhop.%I', part);
END $$;
-- +goose StatementEnd

-- Deletes rows from before a month out of the default partition, at most so many, and
-- returns how many they were.
-- +goose StatementBegin
CREATE FUNCTION bellhop.prune_default(tab text, month date, at timestamptz, most integer) RETURNS bigint LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    part  text := replace(bellhop.month_name(tab, month), to_char(month, 'YYYY_MM'), 'default');
    below uuid := bellhop.month_floor(month);
    there boolean;
    did   bigint;
BEGIN
    PERFORM bellhop.guard_age(below);
    EXECUTE format('SELECT EXISTS (SELECT FROM bellhop.%I WHERE id < $1)', part) INTO there USING below;
    IF NOT there THEN
        RETURN 0;
    END IF;
    -- Written down first: it is what the append-only triggers let go.
    INSERT INTO bellhop.retention (name, floor, removed_at) VALUES (tab, below, at) ON CONFLICT DO NOTHING;
    EXECUTE format('DELETE FROM bellhop.%1$I WHERE id IN (SELECT id FROM bellhop.%1$I WHERE id < $1 ORDER BY id LIMIT $2)', part)
        USING below, most;
    GET DIAGNOSTICS did = ROW_COUNT;
    RETURN did;
END $$;
-- +goose StatementEnd

-- Hands something over inside the caller's own transaction: it is taken in when, and only
-- if, that transaction commits; once for each key, for ever.
-- +goose StatementBegin
CREATE FUNCTION bellhop.emit(kind text, payload jsonb, key text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = '' AS $$
BEGIN
    IF emit.kind IS NULL OR emit.kind NOT IN ('lead', 'support_request', 'event') THEN
        RAISE EXCEPTION 'bellhop.emit: there is no such kind; use lead, support_request or event' USING ERRCODE = '22023';
    END IF;
    IF emit.payload IS NULL OR jsonb_typeof(emit.payload) <> 'object' THEN
        RAISE EXCEPTION 'bellhop.emit: the payload must be a JSON object' USING ERRCODE = '22023';
    END IF;
    IF octet_length(emit.payload::text) > 1048576 THEN
        RAISE EXCEPTION 'bellhop.emit: the payload is larger than 1 MiB' USING ERRCODE = '22023';
    END IF;
    IF emit.key IS NULL OR emit.key !~ '^[^[:cntrl:]]{1,200}$' THEN
        RAISE EXCEPTION 'bellhop.emit: the key must be 1 to 200 printable characters; the id of your own row is good'
            USING ERRCODE = '22023';
    END IF;
    INSERT INTO bellhop.outbox (kind, key, payload) VALUES (emit.kind, emit.key, emit.payload);
    PERFORM pg_notify('bellhop_outbox', '');
END $$;
-- +goose StatementEnd
