-- +goose Up

CREATE TABLE bellhop.settings (
    name       text PRIMARY KEY,
    value      text NOT NULL,
    created_at timestamptz NOT NULL
);

CREATE TABLE bellhop.persons (
    id         uuid PRIMARY KEY,
    email      text,
    user_id    text,
    name       text NOT NULL DEFAULT '',
    phone      text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

-- How a person is found: 'email:…', 'user:…', 'visitor:…', 'customer:connection:…'.
CREATE TABLE bellhop.person_keys (
    key       text PRIMARY KEY,
    person_id uuid NOT NULL
);
CREATE INDEX person_keys_person ON bellhop.person_keys (person_id);

CREATE TABLE bellhop.conversations (
    id              uuid PRIMARY KEY,
    visitor_id      text,
    user_id         text,
    person_id       uuid,
    status          text NOT NULL CHECK (status IN ('open', 'with_person', 'closed')),
    fields          jsonb NOT NULL DEFAULT '{}',
    is_lead         boolean NOT NULL DEFAULT false,
    lead_request_id uuid,
    -- whose lane the lead's steps stand in, and the e-mail its note is filed under: those of
    -- the first e-mail, also after a typo in it was corrected
    lead_person_id  uuid,
    lead_email      text NOT NULL DEFAULT '',
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    CHECK ((visitor_id IS NULL) <> (user_id IS NULL))
);
CREATE INDEX conversations_person ON bellhop.conversations (person_id);
CREATE INDEX conversations_visitor ON bellhop.conversations (visitor_id);
CREATE INDEX conversations_user ON bellhop.conversations (user_id);

-- Makes an event unique for ever, also after the event itself was pruned. digest is
-- SHA-256 over source and external id; body_hash tells a repeat from a reused key.
CREATE TABLE bellhop.event_keys (
    digest    bytea PRIMARY KEY,
    event_id  uuid NOT NULL,
    body_hash bytea NOT NULL
);

-- Ids are UUIDv7: a range of ids is a range of time, so a month is one partition.
CREATE TABLE bellhop.events (
    id              uuid NOT NULL,
    person_id       uuid NOT NULL,
    source          text NOT NULL,
    external_id     text NOT NULL,
    kind            text NOT NULL,
    vendor_type     text NOT NULL DEFAULT '',
    correlation_id  text NOT NULL,
    conversation_id uuid,
    body            bytea NOT NULL,
    occurred_at     timestamptz NOT NULL,
    received_at     timestamptz NOT NULL,
    PRIMARY KEY (id, person_id)
) PARTITION BY RANGE (id);
CREATE INDEX events_correlation ON bellhop.events (correlation_id);
CREATE INDEX events_person ON bellhop.events (person_id, id);
CREATE TABLE bellhop.events_default PARTITION OF bellhop.events DEFAULT;

CREATE TABLE bellhop.messages (
    id              uuid NOT NULL,
    conversation_id uuid NOT NULL,
    event_id        uuid,
    client_id       text NOT NULL,
    role            text NOT NULL CHECK (role IN ('customer', 'assistant', 'agent')),
    text            text NOT NULL,
    decision        jsonb,
    created_at      timestamptz NOT NULL,
    PRIMARY KEY (id, conversation_id)
) PARTITION BY RANGE (id);
CREATE INDEX messages_conversation ON bellhop.messages (conversation_id, id);
CREATE TABLE bellhop.messages_default PARTITION OF bellhop.messages DEFAULT;

CREATE TABLE bellhop.leads (
    id              uuid NOT NULL,
    person_id       uuid PRIMARY KEY,
    conversation_id uuid,
    name            text NOT NULL DEFAULT '',
    email           text NOT NULL DEFAULT '',
    phone           text NOT NULL DEFAULT '',
    company         text NOT NULL DEFAULT '',
    wants           text NOT NULL DEFAULT '',
    source          text NOT NULL,
    revision        integer NOT NULL,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL
);

CREATE TABLE bellhop.payments (
    id              uuid PRIMARY KEY,
    connection      text NOT NULL,
    person_id       uuid NOT NULL,
    status          text NOT NULL CHECK (status IN ('pending', 'succeeded', 'failed', 'partially_refunded',
                                                    'refunded', 'disputed')),
    amount          bigint NOT NULL,
    amount_refunded bigint NOT NULL,
    currency        text NOT NULL,
    customer_ref    text NOT NULL DEFAULT '',
    paid_at         timestamptz,
    state           jsonb NOT NULL,
    told            jsonb NOT NULL DEFAULT '{}',
    has_money       boolean NOT NULL,
    has_invoice     boolean NOT NULL,
    linked          boolean NOT NULL DEFAULT false,
    merged_into     uuid,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL
);
CREATE INDEX payments_person ON bellhop.payments (person_id);
-- Money that nobody could be told of yet.
CREATE INDEX payments_untold ON bellhop.payments (created_at) WHERE told = '{}' AND merged_into IS NULL;
-- Finds the other half of a payment that raised an invoice and a charge without a common id.
CREATE INDEX payments_customer ON bellhop.payments (customer_ref, amount) WHERE customer_ref <> '' AND has_money <> has_invoice;

-- Every id of a provider that names the payment, with the connection before it.
CREATE TABLE bellhop.payment_refs (
    ref        text PRIMARY KEY,
    payment_id uuid NOT NULL
);
CREATE INDEX payment_refs_payment ON bellhop.payment_refs (payment_id);

CREATE TABLE bellhop.subscriptions (
    id                   uuid PRIMARY KEY,
    connection           text NOT NULL,
    ref                  text NOT NULL,
    person_id            uuid NOT NULL,
    status               text NOT NULL,
    plan                 text NOT NULL DEFAULT '',
    cancel_at_period_end boolean NOT NULL DEFAULT false,
    current_period_end   timestamptz,
    confirmed_at         timestamptz NOT NULL,
    told                 text NOT NULL DEFAULT '',
    created_at           timestamptz NOT NULL,
    updated_at           timestamptz NOT NULL,
    UNIQUE (ref, connection)
);
CREATE INDEX subscriptions_person ON bellhop.subscriptions (person_id);

CREATE TABLE bellhop.requests (
    id              uuid PRIMARY KEY,
    kind            text NOT NULL CHECK (kind IN ('lead', 'support', 'payment')),
    person_id       uuid NOT NULL,
    visitor_id      text,
    user_id         text,
    conversation_id uuid,
    event_id        uuid NOT NULL,
    correlation_id  text NOT NULL,
    created_at      timestamptz NOT NULL
);
CREATE INDEX requests_event ON bellhop.requests (event_id);
CREATE INDEX requests_person ON bellhop.requests (person_id);
CREATE INDEX requests_conversation ON bellhop.requests (conversation_id);
CREATE INDEX requests_visitor ON bellhop.requests (visitor_id, id) WHERE visitor_id IS NOT NULL;
CREATE INDEX requests_user ON bellhop.requests (user_id, id) WHERE user_id IS NOT NULL;

CREATE TABLE bellhop.support_requests (
    id              uuid PRIMARY KEY,
    person_id       uuid,
    conversation_id uuid,
    event_id        uuid,
    incident_id     uuid,
    correlation_id  text NOT NULL,
    status          text NOT NULL CHECK (status IN ('new', 'triaged', 'assigned', 'resolved')),
    priority        text NOT NULL CHECK (priority IN ('urgent', 'high', 'normal', 'low')),
    reason          text NOT NULL,
    dedup_key       text,
    subject         text NOT NULL,
    body            text NOT NULL,
    assignee        text NOT NULL DEFAULT '',
    transcript_url  text NOT NULL DEFAULT '',
    note            text NOT NULL DEFAULT '',
    due_at          timestamptz NOT NULL,
    version         bigint NOT NULL DEFAULT 1,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    resolved_at     timestamptz
);
CREATE INDEX support_requests_status ON bellhop.support_requests (status, created_at);
CREATE INDEX support_requests_conversation ON bellhop.support_requests (conversation_id);
CREATE INDEX support_requests_correlation ON bellhop.support_requests (correlation_id);
-- One open task per matter: a second failure of one event at one connection joins it.
CREATE UNIQUE INDEX support_requests_dedup ON bellhop.support_requests (dedup_key) WHERE status <> 'resolved';

-- A lane is one person at one connection. open counts the steps that hold it.
CREATE TABLE bellhop.lanes (
    person_id  uuid NOT NULL,
    connection text NOT NULL,
    open       integer NOT NULL CHECK (open >= 0),
    PRIMARY KEY (person_id, connection)
);

CREATE TABLE bellhop.steps (
    id               uuid NOT NULL,
    person_id        uuid NOT NULL,
    connection       text NOT NULL,
    kind             text NOT NULL,
    key              text NOT NULL,
    input            jsonb NOT NULL,
    state            text NOT NULL CHECK (state IN ('waiting', 'ready', 'running', 'retrying', 'unknown', 'parked',
                                                    'manual', 'done', 'dropped')),
    event_id         uuid,
    request_id       uuid,
    task_id          uuid,
    incident_id      uuid,
    correlation_id   text NOT NULL,
    attempts         integer NOT NULL DEFAULT 0,
    version          bigint NOT NULL DEFAULT 1,
    due_at           timestamptz NOT NULL,
    first_attempt_at timestamptz,
    lease_until      timestamptz,
    node             text NOT NULL DEFAULT '',
    result           jsonb,
    error_class      text NOT NULL DEFAULT '',
    error            text NOT NULL DEFAULT '',
    done_by          text NOT NULL DEFAULT '',
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    PRIMARY KEY (id, person_id),
    UNIQUE (key, person_id),
    -- a step that a person has is held by a task; one that is done says by whom
    CHECK (state <> 'manual' OR task_id IS NOT NULL),
    CHECK (state <> 'parked' OR incident_id IS NOT NULL),
    CHECK (state NOT IN ('done', 'dropped') OR done_by <> '')
);
CREATE INDEX steps_lane ON bellhop.steps (person_id, connection, id) WHERE state NOT IN ('done', 'dropped');
CREATE INDEX steps_open ON bellhop.steps (connection, state, id) WHERE state NOT IN ('done', 'dropped', 'waiting');
CREATE INDEX steps_incident ON bellhop.steps (incident_id, id) WHERE incident_id IS NOT NULL AND state NOT IN ('done', 'dropped');
CREATE INDEX steps_task ON bellhop.steps (task_id) WHERE task_id IS NOT NULL;
CREATE INDEX steps_request ON bellhop.steps (request_id) WHERE request_id IS NOT NULL;
CREATE INDEX steps_correlation ON bellhop.steps (correlation_id);
CREATE INDEX steps_updated ON bellhop.steps (updated_at);

CREATE TABLE bellhop.attempts (
    id                uuid NOT NULL,
    step_id           uuid NOT NULL,
    person_id         uuid NOT NULL,
    number            integer NOT NULL,
    node              text NOT NULL,
    started_at        timestamptz NOT NULL,
    duration_us       bigint NOT NULL,
    class             text NOT NULL DEFAULT '',
    status            integer NOT NULL DEFAULT 0,
    vendor_request_id text NOT NULL DEFAULT '',
    error             text NOT NULL DEFAULT '',
    PRIMARY KEY (id, person_id)
) PARTITION BY RANGE (id);
CREATE INDEX attempts_step ON bellhop.attempts (step_id);
CREATE TABLE bellhop.attempts_default PARTITION OF bellhop.attempts DEFAULT;

-- The ids that vendors gave: a person's contact, a request's ticket.
CREATE TABLE bellhop.external_refs (
    person_id  uuid NOT NULL,
    connection text NOT NULL,
    subject_id uuid NOT NULL,
    name       text NOT NULL,
    value      text NOT NULL,
    url        text NOT NULL DEFAULT '',
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (person_id, connection, subject_id, name)
);
CREATE INDEX external_refs_subject ON bellhop.external_refs (subject_id);

CREATE TABLE bellhop.incidents (
    id         uuid PRIMARY KEY,
    connection text NOT NULL,
    class      text NOT NULL,
    detail     text NOT NULL DEFAULT '',
    task_id    uuid,
    steps      integer NOT NULL DEFAULT 0,
    opened_at  timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    closed_at  timestamptz
);
CREATE UNIQUE INDEX incidents_open ON bellhop.incidents (connection, class) WHERE closed_at IS NULL;

CREATE TABLE bellhop.circuits (
    connection  text PRIMARY KEY,
    state       text NOT NULL CHECK (state IN ('closed', 'open', 'draining')),
    incident_id uuid,
    probes      integer NOT NULL DEFAULT 0,
    batch       integer NOT NULL DEFAULT 1,
    probe_at    timestamptz,
    updated_at  timestamptz NOT NULL
);

CREATE TABLE bellhop.nodes (
    id           text PRIMARY KEY,
    started_at   timestamptz NOT NULL,
    heartbeat_at timestamptz NOT NULL
);

-- The ledger is append-only: no role may change an event; whole partitions are
-- dropped by retention.
-- +goose StatementBegin
CREATE FUNCTION bellhop.refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    RAISE EXCEPTION 'bellhop.% is append-only', TG_TABLE_NAME USING ERRCODE = '42501';
END $$;
-- +goose StatementEnd
CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE ON bellhop.events
    FOR EACH ROW EXECUTE FUNCTION bellhop.refuse_change();
CREATE TRIGGER attempts_append_only BEFORE UPDATE OR DELETE ON bellhop.attempts
    FOR EACH ROW EXECUTE FUNCTION bellhop.refuse_change();
CREATE TRIGGER event_keys_append_only BEFORE UPDATE OR DELETE ON bellhop.event_keys
    FOR EACH ROW EXECUTE FUNCTION bellhop.refuse_change();
CREATE TRIGGER events_no_truncate BEFORE TRUNCATE ON bellhop.events EXECUTE FUNCTION bellhop.refuse_change();
CREATE TRIGGER event_keys_no_truncate BEFORE TRUNCATE ON bellhop.event_keys
    EXECUTE FUNCTION bellhop.refuse_change();
