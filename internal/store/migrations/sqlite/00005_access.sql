-- +goose Up

-- Whether a person has an address, for what a customer is told; see the same migration for Postgres.
ALTER TABLE persons ADD COLUMN has_email INTEGER GENERATED ALWAYS AS (email IS NOT NULL AND email <> '') VIRTUAL;

-- What is handed over to be taken in: intake takes a row in and deletes it. A SQLite file
-- has no roles and no functions; there the rows are only written by whoever has the file.
CREATE TABLE outbox (
    id           INTEGER PRIMARY KEY,
    kind         TEXT NOT NULL CHECK (kind IN ('lead', 'support_request', 'event')),
    key          TEXT NOT NULL,
    payload      TEXT NOT NULL,
    attempts     INTEGER NOT NULL DEFAULT 0,
    leased_until TEXT,
    created_at   TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);
