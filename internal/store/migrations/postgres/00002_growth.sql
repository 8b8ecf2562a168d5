-- +goose Up

-- What retention removed: everything of a kind with a smaller id than floor, and when.
-- Its newest floor is also what the append-only trigger lets go from a default partition.
CREATE TABLE bellhop.retention (
    name       text NOT NULL,
    floor      uuid NOT NULL,
    removed_at timestamptz NOT NULL,
    PRIMARY KEY (name, floor)
);

-- The keys of steps whose rows retention removed: the first half of SHA-256 over the key.
CREATE TABLE bellhop.step_keys (
    digest bytea PRIMARY KEY
);
CREATE TRIGGER step_keys_append_only BEFORE UPDATE OR DELETE ON bellhop.step_keys
    FOR EACH ROW EXECUTE FUNCTION bellhop.refuse_change();
CREATE TRIGGER step_keys_no_truncate BEFORE TRUNCATE ON bellhop.step_keys
    EXECUTE FUNCTION bellhop.refuse_change();

-- What is kept for ever is kept small: half a SHA-256 (128 bits) is as good as never the
-- same twice. Changing the type rewrites the table; no row trigger sees it.
ALTER TABLE bellhop.event_keys
    ALTER COLUMN digest TYPE bytea USING substring(digest FROM 1 FOR 16),
    ALTER COLUMN body_hash TYPE bytea USING substring(body_hash FROM 1 FOR 16);

-- Nothing asks for the references of a payment, only for the payment of a reference.
DROP INDEX bellhop.payment_refs_payment;

-- Retention drops whole months. Rows of a month that had no partition lie in the default
-- one; those are deleted, up to the floor that retention has written down.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION bellhop.refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    IF TG_OP = 'DELETE' AND TG_TABLE_NAME IN ('events_default', 'attempts_default') THEN
        IF OLD.id < (SELECT r.floor FROM bellhop.retention r WHERE r.name = pg_catalog.replace(TG_TABLE_NAME, '_default', '')
                     ORDER BY r.floor DESC LIMIT 1) THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION 'bellhop.% is append-only', TG_TABLE_NAME USING ERRCODE = '42501';
END $$;
-- +goose StatementEnd

-- A story whose details were removed is found by the request it became.
CREATE INDEX requests_correlation ON bellhop.requests (correlation_id);

-- lz4 compresses a webhook's body several times faster than the old default, to about
-- the same size. A server that was built without it keeps the default.
-- +goose StatementBegin
DO $$
DECLARE part regclass;
BEGIN
    FOR part IN SELECT 'bellhop.events'::regclass UNION ALL
        SELECT inhrelid::regclass FROM pg_catalog.pg_inherits WHERE inhparent = 'bellhop.events'::regclass LOOP
        EXECUTE pg_catalog.format('ALTER TABLE %s ALTER COLUMN body SET COMPRESSION lz4', part);
    END LOOP;
EXCEPTION WHEN feature_not_supported THEN
    RAISE NOTICE 'this server has no lz4';
END $$;
-- +goose StatementEnd
