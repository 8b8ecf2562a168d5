-- +goose Up

-- Who may use the console. password is an argon2id hash that carries its own parameters.
CREATE TABLE operators (
    id            TEXT PRIMARY KEY,
    name          TEXT NOT NULL UNIQUE,
    password      TEXT NOT NULL,
    role          TEXT NOT NULL CHECK (role IN ('viewer', 'agent', 'owner')),
    created_at    TEXT NOT NULL,
    disabled_at   TEXT,
    last_login_at TEXT
);

-- Browsers that are signed in. digest is SHA-256 of the token, which is nowhere else than in
-- the browser. A session was begun with a password or with the operator key: then key_proof
-- is a MAC of that key under the token, so that the session ends when the key changes, and
-- nobody who reads this table can try keys.
CREATE TABLE operator_sessions (
    digest       BLOB PRIMARY KEY,
    operator_id  TEXT,
    key_proof    BLOB,
    csrf         TEXT NOT NULL,
    created_at   TEXT NOT NULL,
    expires_at   TEXT NOT NULL,
    last_seen_at TEXT NOT NULL,
    CHECK ((operator_id IS NULL) <> (key_proof IS NULL))
);
CREATE INDEX operator_sessions_operator ON operator_sessions (operator_id);
CREATE INDEX operator_sessions_expiry ON operator_sessions (expires_at);

-- Keys of the product's own servers. digest is SHA-256 of the key; scopes is a JSON list.
CREATE TABLE server_keys (
    id           TEXT PRIMARY KEY,
    name         TEXT NOT NULL UNIQUE,
    digest       BLOB NOT NULL UNIQUE,
    scopes       TEXT NOT NULL,
    created_at   TEXT NOT NULL,
    revoked_at   TEXT,
    last_used_at TEXT
);
