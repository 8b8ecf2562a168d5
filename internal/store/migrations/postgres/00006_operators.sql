-- +goose Up

-- Who may use the console. password is an argon2id hash that carries its own parameters.
CREATE TABLE bellhop.operators (
    id            uuid PRIMARY KEY,
    name          text NOT NULL UNIQUE,
    password      text NOT NULL,
    role          text NOT NULL CHECK (role IN ('viewer', 'agent', 'owner')),
    created_at    timestamptz NOT NULL,
    disabled_at   timestamptz,
    last_login_at timestamptz
);

-- Browsers that are signed in. digest is SHA-256 of the token, which is nowhere else than in
-- the browser. A session was begun with a password or with the operator key: then key_proof
-- is a MAC of that key under the token, so that the session ends when the key changes, and
-- nobody who reads this table can try keys.
CREATE TABLE bellhop.operator_sessions (
    digest       bytea PRIMARY KEY,
    operator_id  uuid,
    key_proof    bytea,
    csrf         text NOT NULL,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    CHECK ((operator_id IS NULL) <> (key_proof IS NULL))
);
CREATE INDEX operator_sessions_operator ON bellhop.operator_sessions (operator_id);
CREATE INDEX operator_sessions_expiry ON bellhop.operator_sessions (expires_at);

-- Keys of the product's own servers. digest is SHA-256 of the key; scopes is a JSON list.
CREATE TABLE bellhop.server_keys (
    id           uuid PRIMARY KEY,
    name         text NOT NULL UNIQUE,
    digest       bytea NOT NULL UNIQUE,
    scopes       jsonb NOT NULL,
    created_at   timestamptz NOT NULL,
    revoked_at   timestamptz,
    last_used_at timestamptz
);
