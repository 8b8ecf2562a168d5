-- +goose Up

-- What retention removed: everything of a kind with a smaller id than floor, and when.
-- Its newest floor is also what the append-only triggers below let go.
CREATE TABLE retention (
    name       TEXT NOT NULL,
    floor      TEXT NOT NULL,
    removed_at TEXT NOT NULL,
    PRIMARY KEY (name, floor)
) WITHOUT ROWID;

-- The keys of steps whose rows retention removed: the first half of SHA-256 over the key.
CREATE TABLE step_keys (
    digest BLOB PRIMARY KEY
) WITHOUT ROWID;

-- What is kept for ever is kept small: half a SHA-256 (128 bits) is as good as never the
-- same twice, and without a rowid a key is stored once, not in a table and in an index.
CREATE TABLE event_keys_small (
    digest    BLOB PRIMARY KEY,
    event_id  TEXT NOT NULL,
    body_hash BLOB NOT NULL
) WITHOUT ROWID;
INSERT INTO event_keys_small SELECT substr(digest, 1, 16), event_id, substr(body_hash, 1, 16) FROM event_keys ORDER BY 1;
DROP TABLE event_keys;
ALTER TABLE event_keys_small RENAME TO event_keys;

CREATE TABLE person_keys_small (
    key       TEXT PRIMARY KEY,
    person_id TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO person_keys_small SELECT key, person_id FROM person_keys ORDER BY 1;
DROP TABLE person_keys;
ALTER TABLE person_keys_small RENAME TO person_keys;
CREATE INDEX person_keys_person ON person_keys (person_id);

-- Nothing asks for the references of a payment, only for the payment of a reference.
CREATE TABLE payment_refs_small (
    ref        TEXT PRIMARY KEY,
    payment_id TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO payment_refs_small SELECT ref, payment_id FROM payment_refs ORDER BY 1;
DROP TABLE payment_refs;
ALTER TABLE payment_refs_small RENAME TO payment_refs;

CREATE TABLE lanes_small (
    person_id  TEXT NOT NULL,
    connection TEXT NOT NULL,
    open       INTEGER NOT NULL CHECK (open >= 0),
    PRIMARY KEY (person_id, connection)
) WITHOUT ROWID;
INSERT INTO lanes_small SELECT person_id, connection, open FROM lanes ORDER BY 1, 2;
DROP TABLE lanes;
ALTER TABLE lanes_small RENAME TO lanes;

DROP TRIGGER events_no_delete;
DROP TRIGGER attempts_no_delete;
-- +goose StatementBegin
CREATE TRIGGER events_no_delete BEFORE DELETE ON events
    WHEN old.id >= coalesce((SELECT floor FROM retention WHERE name = 'events' ORDER BY floor DESC LIMIT 1), '') BEGIN
    SELECT RAISE(ABORT, 'events is append-only');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER attempts_no_delete BEFORE DELETE ON attempts
    WHEN old.id >= coalesce((SELECT floor FROM retention WHERE name = 'attempts' ORDER BY floor DESC LIMIT 1), '') BEGIN
    SELECT RAISE(ABORT, 'attempts is append-only');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER event_keys_no_update BEFORE UPDATE ON event_keys BEGIN
    SELECT RAISE(ABORT, 'event_keys is append-only');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER event_keys_no_delete BEFORE DELETE ON event_keys BEGIN
    SELECT RAISE(ABORT, 'event_keys is append-only');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER step_keys_no_delete BEFORE DELETE ON step_keys BEGIN
    SELECT RAISE(ABORT, 'step_keys is append-only');
END;
-- +goose StatementEnd

-- A story whose details were removed is found by the request it became.
CREATE INDEX requests_correlation ON requests (correlation_id);
