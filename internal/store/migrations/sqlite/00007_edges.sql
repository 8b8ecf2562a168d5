-- +goose Up

-- What concerns who may do what: refusals, limits, what operators did. One row stands for
-- count times the same between at and last_at, so that a flood makes few rows.
CREATE TABLE security_log (
    id             TEXT PRIMARY KEY,
    at             TEXT NOT NULL,
    last_at        TEXT NOT NULL,
    kind           TEXT NOT NULL CHECK (kind <> ''),
    role           TEXT NOT NULL DEFAULT '',
    actor          TEXT NOT NULL DEFAULT '',
    -- the network, not the address: it tells an attacker from another, and names no person
    address        TEXT NOT NULL DEFAULT '',
    correlation_id TEXT NOT NULL DEFAULT '',
    route          TEXT NOT NULL DEFAULT '',
    detail         TEXT NOT NULL DEFAULT '' CHECK (length(detail) <= 300),
    count          INTEGER NOT NULL CHECK (count > 0)
);
CREATE INDEX security_log_kind ON security_log (kind, id);

-- +goose StatementBegin
CREATE TRIGGER security_log_no_update BEFORE UPDATE ON security_log BEGIN
    SELECT RAISE(ABORT, 'security_log is append-only');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER security_log_no_delete BEFORE DELETE ON security_log
    WHEN old.id >= coalesce((SELECT floor FROM retention WHERE name = 'security_log' ORDER BY floor DESC LIMIT 1), '') BEGIN
    SELECT RAISE(ABORT, 'security_log is append-only');
END;
-- +goose StatementEnd

-- What hosted models cost in a day, in millionths of a dollar: of one visitor or user, and
-- of everybody, who is '*'.
CREATE TABLE spend (
    day    TEXT NOT NULL,
    who    TEXT NOT NULL,
    micros INTEGER NOT NULL CHECK (micros >= 0),
    PRIMARY KEY (day, who)
) WITHOUT ROWID;
