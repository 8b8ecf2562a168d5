-- +goose Up

CREATE TABLE settings (
    name       TEXT PRIMARY KEY,
    value      TEXT NOT NULL,
    created_at TEXT NOT NULL
);

CREATE TABLE persons (
    id         TEXT PRIMARY KEY,
    email      TEXT,
    user_id    TEXT,
    name       TEXT NOT NULL DEFAULT '',
    phone      TEXT NOT NULL DEFAULT '',
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);

-- How a person is found: 'email:…', 'user:…', 'visitor:…', 'customer:connection:…'.
CREATE TABLE person_keys (
    key       TEXT PRIMARY KEY,
    person_id TEXT NOT NULL
);
CREATE INDEX person_keys_person ON person_keys (person_id);

CREATE TABLE conversations (
    id              TEXT PRIMARY KEY,
    visitor_id      TEXT,
    user_id         TEXT,
    person_id       TEXT,
    status          TEXT NOT NULL CHECK (status IN ('open', 'with_person', 'closed')),
    fields          TEXT NOT NULL DEFAULT '{}',
    is_lead         boolean NOT NULL DEFAULT false,
    lead_request_id TEXT,
    -- whose lane the lead's steps stand in, and the e-mail its note is filed under: those of
    -- the first e-mail, also after a typo in it was corrected
    lead_person_id  TEXT,
    lead_email      TEXT NOT NULL DEFAULT '',
    created_at      TEXT NOT NULL,
    updated_at      TEXT NOT NULL,
    CHECK ((visitor_id IS NULL) <> (user_id IS NULL))
);
CREATE INDEX conversations_person ON conversations (person_id);
CREATE INDEX conversations_visitor ON conversations (visitor_id);
CREATE INDEX conversations_user ON conversations (user_id);

-- Makes an event unique for ever, also after the event itself was pruned. digest is
-- SHA-256 over source and external id; body_hash tells a repeat from a reused key.
CREATE TABLE event_keys (
    digest    BLOB PRIMARY KEY,
    event_id  TEXT NOT NULL,
    body_hash BLOB NOT NULL
);

-- Ids are UUIDv7: a range of ids is a range of time.
CREATE TABLE events (
    id              TEXT NOT NULL,
    person_id       TEXT NOT NULL,
    source          TEXT NOT NULL,
    external_id     TEXT NOT NULL,
    kind            TEXT NOT NULL,
    vendor_type     TEXT NOT NULL DEFAULT '',
    correlation_id  TEXT NOT NULL,
    conversation_id TEXT,
    body            BLOB NOT NULL,
    occurred_at     TEXT NOT NULL,
    received_at     TEXT NOT NULL,
    PRIMARY KEY (id, person_id)
);
CREATE INDEX events_correlation ON events (correlation_id);
CREATE INDEX events_person ON events (person_id, id);

CREATE TABLE messages (
    id              TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    event_id        TEXT,
    client_id       TEXT NOT NULL,
    role            TEXT NOT NULL CHECK (role IN ('customer', 'assistant', 'agent')),
    text            TEXT NOT NULL,
    decision        TEXT,
    created_at      TEXT NOT NULL,
    PRIMARY KEY (id, conversation_id)
);
CREATE INDEX messages_conversation ON messages (conversation_id, id);

CREATE TABLE leads (
    id              TEXT NOT NULL,
    person_id       TEXT PRIMARY KEY,
    conversation_id TEXT,
    name            TEXT NOT NULL DEFAULT '',
    email           TEXT NOT NULL DEFAULT '',
    phone           TEXT NOT NULL DEFAULT '',
    company         TEXT NOT NULL DEFAULT '',
    wants           TEXT NOT NULL DEFAULT '',
    source          TEXT NOT NULL,
    revision        INTEGER NOT NULL,
    created_at      TEXT NOT NULL,
    updated_at      TEXT NOT NULL
);

CREATE TABLE payments (
    id              TEXT PRIMARY KEY,
    connection      TEXT NOT NULL,
    person_id       TEXT NOT NULL,
    status          TEXT NOT NULL CHECK (status IN ('pending', 'succeeded', 'failed', 'partially_refunded',
                                                    'refunded', 'disputed')),
    amount          INTEGER NOT NULL,
    amount_refunded INTEGER NOT NULL,
    currency        TEXT NOT NULL,
    customer_ref    TEXT NOT NULL DEFAULT '',
    paid_at         TEXT,
    state           TEXT NOT NULL,
    told            TEXT NOT NULL DEFAULT '{}',
    has_money       boolean NOT NULL,
    has_invoice     boolean NOT NULL,
    linked          boolean NOT NULL DEFAULT false,
    merged_into     TEXT,
    created_at      TEXT NOT NULL,
    updated_at      TEXT NOT NULL
);
CREATE INDEX payments_person ON payments (person_id);
-- Money that nobody could be told of yet.
CREATE INDEX payments_untold ON payments (created_at) WHERE told = '{}' AND merged_into IS NULL;
-- Finds the other half of a payment that raised an invoice and a charge without a common id.
CREATE INDEX payments_customer ON payments (customer_ref, amount) WHERE customer_ref <> '' AND has_money <> has_invoice;

-- Every id of a provider that names the payment, with the connection before it.
CREATE TABLE payment_refs (
    ref        TEXT PRIMARY KEY,
    payment_id TEXT NOT NULL
);
CREATE INDEX payment_refs_payment ON payment_refs (payment_id);

CREATE TABLE subscriptions (
    id                   TEXT PRIMARY KEY,
    connection           TEXT NOT NULL,
    ref                  TEXT NOT NULL,
    person_id            TEXT NOT NULL,
    status               TEXT NOT NULL,
    plan                 TEXT NOT NULL DEFAULT '',
    cancel_at_period_end boolean NOT NULL DEFAULT false,
    current_period_end   TEXT,
    confirmed_at         TEXT NOT NULL,
    told                 TEXT NOT NULL DEFAULT '',
    created_at           TEXT NOT NULL,
    updated_at           TEXT NOT NULL,
    UNIQUE (ref, connection)
);
CREATE INDEX subscriptions_person ON subscriptions (person_id);

CREATE TABLE requests (
    id              TEXT PRIMARY KEY,
    kind            TEXT NOT NULL CHECK (kind IN ('lead', 'support', 'payment')),
    person_id       TEXT NOT NULL,
    visitor_id      TEXT,
    user_id         TEXT,
    conversation_id TEXT,
    event_id        TEXT NOT NULL,
    correlation_id  TEXT NOT NULL,
    created_at      TEXT NOT NULL
);
CREATE INDEX requests_event ON requests (event_id);
CREATE INDEX requests_person ON requests (person_id);
CREATE INDEX requests_conversation ON requests (conversation_id);
CREATE INDEX requests_visitor ON requests (visitor_id, id) WHERE visitor_id IS NOT NULL;
CREATE INDEX requests_user ON requests (user_id, id) WHERE user_id IS NOT NULL;

CREATE TABLE support_requests (
    id              TEXT PRIMARY KEY,
    person_id       TEXT,
    conversation_id TEXT,
    event_id        TEXT,
    incident_id     TEXT,
    correlation_id  TEXT NOT NULL,
    status          TEXT NOT NULL CHECK (status IN ('new', 'triaged', 'assigned', 'resolved')),
    priority        TEXT NOT NULL CHECK (priority IN ('urgent', 'high', 'normal', 'low')),
    reason          TEXT NOT NULL,
    dedup_key       TEXT,
    subject         TEXT NOT NULL,
    body            TEXT NOT NULL,
    assignee        TEXT NOT NULL DEFAULT '',
    transcript_url  TEXT NOT NULL DEFAULT '',
    note            TEXT NOT NULL DEFAULT '',
    due_at          TEXT NOT NULL,
    version         INTEGER NOT NULL DEFAULT 1,
    created_at      TEXT NOT NULL,
    updated_at      TEXT NOT NULL,
    resolved_at     TEXT
);
CREATE INDEX support_requests_status ON support_requests (status, created_at);
CREATE INDEX support_requests_conversation ON support_requests (conversation_id);
CREATE INDEX support_requests_correlation ON support_requests (correlation_id);
-- One open task per matter: a second failure of one event at one connection joins it.
CREATE UNIQUE INDEX support_requests_dedup ON support_requests (dedup_key) WHERE status <> 'resolved';

-- A lane is one person at one connection. open counts the steps that hold it.
CREATE TABLE lanes (
    person_id  TEXT NOT NULL,
    connection TEXT NOT NULL,
    open       INTEGER NOT NULL CHECK (open >= 0),
    PRIMARY KEY (person_id, connection)
);

CREATE TABLE steps (
    id               TEXT NOT NULL,
    person_id        TEXT NOT NULL,
    connection       TEXT NOT NULL,
    kind             TEXT NOT NULL,
    key              TEXT NOT NULL,
    input            TEXT NOT NULL,
    state            TEXT NOT NULL CHECK (state IN ('waiting', 'ready', 'running', 'retrying', 'unknown', 'parked',
                                                    'manual', 'done', 'dropped')),
    event_id         TEXT,
    request_id       TEXT,
    task_id          TEXT,
    incident_id      TEXT,
    correlation_id   TEXT NOT NULL,
    attempts         INTEGER NOT NULL DEFAULT 0,
    version          INTEGER NOT NULL DEFAULT 1,
    due_at           TEXT NOT NULL,
    first_attempt_at TEXT,
    lease_until      TEXT,
    node             TEXT NOT NULL DEFAULT '',
    result           TEXT,
    error_class      TEXT NOT NULL DEFAULT '',
    error            TEXT NOT NULL DEFAULT '',
    done_by          TEXT NOT NULL DEFAULT '',
    created_at       TEXT NOT NULL,
    updated_at       TEXT NOT NULL,
    PRIMARY KEY (id, person_id),
    UNIQUE (key, person_id),
    -- a step that a person has is held by a task; one that is done says by whom
    CHECK (state <> 'manual' OR task_id IS NOT NULL),
    CHECK (state <> 'parked' OR incident_id IS NOT NULL),
    CHECK (state NOT IN ('done', 'dropped') OR done_by <> '')
);
CREATE INDEX steps_lane ON steps (person_id, connection, id) WHERE state NOT IN ('done', 'dropped');
CREATE INDEX steps_open ON steps (connection, state, id) WHERE state NOT IN ('done', 'dropped', 'waiting');
CREATE INDEX steps_incident ON steps (incident_id, id) WHERE incident_id IS NOT NULL AND state NOT IN ('done', 'dropped');
CREATE INDEX steps_task ON steps (task_id) WHERE task_id IS NOT NULL;
CREATE INDEX steps_request ON steps (request_id) WHERE request_id IS NOT NULL;
CREATE INDEX steps_correlation ON steps (correlation_id);
CREATE INDEX steps_updated ON steps (updated_at);

CREATE TABLE attempts (
    id                TEXT NOT NULL,
    step_id           TEXT NOT NULL,
    person_id         TEXT NOT NULL,
    number            INTEGER NOT NULL,
    node              TEXT NOT NULL,
    started_at        TEXT NOT NULL,
    duration_us       INTEGER NOT NULL,
    class             TEXT NOT NULL DEFAULT '',
    status            INTEGER NOT NULL DEFAULT 0,
    vendor_request_id TEXT NOT NULL DEFAULT '',
    error             TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (id, person_id)
);
CREATE INDEX attempts_step ON attempts (step_id);

-- The ids that vendors gave: a person's contact, a request's ticket.
CREATE TABLE external_refs (
    person_id  TEXT NOT NULL,
    connection TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    name       TEXT NOT NULL,
    value      TEXT NOT NULL,
    url        TEXT NOT NULL DEFAULT '',
    updated_at TEXT NOT NULL,
    PRIMARY KEY (person_id, connection, subject_id, name)
);
CREATE INDEX external_refs_subject ON external_refs (subject_id);

CREATE TABLE incidents (
    id         TEXT PRIMARY KEY,
    connection TEXT NOT NULL,
    class      TEXT NOT NULL,
    detail     TEXT NOT NULL DEFAULT '',
    task_id    TEXT,
    steps      INTEGER NOT NULL DEFAULT 0,
    opened_at  TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    closed_at  TEXT
);
CREATE UNIQUE INDEX incidents_open ON incidents (connection, class) WHERE closed_at IS NULL;

CREATE TABLE circuits (
    connection  TEXT PRIMARY KEY,
    state       TEXT NOT NULL CHECK (state IN ('closed', 'open', 'draining')),
    incident_id TEXT,
    probes      INTEGER NOT NULL DEFAULT 0,
    batch       INTEGER NOT NULL DEFAULT 1,
    probe_at    TEXT,
    updated_at  TEXT NOT NULL
);

CREATE TABLE nodes (
    id           TEXT PRIMARY KEY,
    started_at   TEXT NOT NULL,
    heartbeat_at TEXT NOT NULL
);

-- The ledger is append-only. Retention names the oldest id it keeps in settings before
-- it deletes; nothing newer than that can be deleted, and nothing changed at all.
-- +goose StatementBegin
CREATE TRIGGER events_no_update BEFORE UPDATE ON events BEGIN
    SELECT RAISE(ABORT, 'events is append-only');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER events_no_delete BEFORE DELETE ON events
    WHEN old.id >= coalesce((SELECT value FROM settings WHERE name = 'retention_floor'), '') BEGIN
    SELECT RAISE(ABORT, 'events is append-only');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER attempts_no_update BEFORE UPDATE ON attempts BEGIN
    SELECT RAISE(ABORT, 'attempts is append-only');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER attempts_no_delete BEFORE DELETE ON attempts
    WHEN old.id >= coalesce((SELECT value FROM settings WHERE name = 'retention_floor'), '') BEGIN
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
