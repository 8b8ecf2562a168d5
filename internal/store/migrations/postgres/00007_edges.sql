-- +goose Up

-- What concerns who may do what: refusals, limits, what operators did. One row stands for
-- count times the same between at and last_at, so that a flood makes few rows.
CREATE TABLE bellhop.security_log (
    id             uuid PRIMARY KEY,
    at             timestamptz NOT NULL,
    last_at        timestamptz NOT NULL,
    kind           text NOT NULL CHECK (kind <> ''),
    role           text NOT NULL DEFAULT '',
    actor          text NOT NULL DEFAULT '',
    -- the network, not the address: it tells an attacker from another, and names no person
    address        text NOT NULL DEFAULT '',
    correlation_id text NOT NULL DEFAULT '',
    route          text NOT NULL DEFAULT '',
    detail         text NOT NULL DEFAULT '' CHECK (length(detail) <= 300),
    count          bigint NOT NULL CHECK (count > 0)
);
CREATE INDEX security_log_kind ON bellhop.security_log (kind, id);

-- A function of its own: what the ledger's lets go stays as it is.
-- +goose StatementBegin
CREATE FUNCTION bellhop.guard_security_log() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    IF TG_OP = 'DELETE' AND OLD.id < (SELECT r.floor FROM bellhop.retention r WHERE r.name = 'security_log'
                                      ORDER BY r.floor DESC LIMIT 1) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'bellhop.security_log is append-only' USING ERRCODE = '42501';
END $$;
-- +goose StatementEnd
CREATE TRIGGER security_log_append_only BEFORE UPDATE OR DELETE ON bellhop.security_log
    FOR EACH ROW EXECUTE FUNCTION bellhop.guard_security_log();
CREATE TRIGGER security_log_no_truncate BEFORE TRUNCATE ON bellhop.security_log
    EXECUTE FUNCTION bellhop.refuse_change();

-- The server's role may delete nothing of the log, and asks the owner for what is old.
-- +goose StatementBegin
CREATE FUNCTION bellhop.prune_security_log(below uuid, at timestamptz, most integer) RETURNS bigint LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    did bigint;
BEGIN
    PERFORM bellhop.guard_age(below);
    IF NOT EXISTS (SELECT FROM bellhop.security_log l WHERE l.id < below) THEN
        RETURN 0;
    END IF;
    -- Written down first: it is what the append-only trigger lets go.
    INSERT INTO bellhop.retention (name, floor, removed_at) VALUES ('security_log', below, at) ON CONFLICT DO NOTHING;
    DELETE FROM bellhop.security_log l WHERE l.id IN
        (SELECT o.id FROM bellhop.security_log o WHERE o.id < below ORDER BY o.id LIMIT most);
    GET DIAGNOSTICS did = ROW_COUNT;
    RETURN did;
END $$;
-- +goose StatementEnd

-- What hosted models cost in a day, in millionths of a dollar: of one visitor or user, and
-- of everybody, who is '*'.
CREATE TABLE bellhop.spend (
    day    text NOT NULL,
    who    text NOT NULL,
    micros bigint NOT NULL CHECK (micros >= 0),
    PRIMARY KEY (day, who)
);
