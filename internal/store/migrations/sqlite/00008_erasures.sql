-- +goose Up

-- Who was erased, when and for whom. One erasure may name several persons: a customer who
-- mistyped an address is two. A row without a receipt is an erasure that is going on; it is
-- begun and ended in one transaction, and is what the triggers below look for. others lists the
-- ids of the events that are not theirs and name them: nobody else's event may be emptied, and
-- which ones were stays on record.
CREATE TABLE erasures (
    id           TEXT NOT NULL,
    person_id    TEXT NOT NULL,
    email_digest TEXT NOT NULL DEFAULT '', -- keyed: whoever reads it cannot try addresses
    requested_by TEXT NOT NULL,
    started_at   TEXT NOT NULL,
    others       TEXT NOT NULL DEFAULT '[]',
    receipt      TEXT,
    PRIMARY KEY (id, person_id)
);
CREATE INDEX erasures_email ON erasures (email_digest);
CREATE INDEX erasures_person ON erasures (person_id);

-- An erasure is never taken back, and what it says is written once.
-- +goose StatementBegin
CREATE TRIGGER erasures_no_update BEFORE UPDATE ON erasures
    WHEN old.receipt IS NOT NULL OR new.receipt IS NULL OR new.id <> old.id OR new.person_id <> old.person_id OR
        new.email_digest <> old.email_digest OR new.requested_by <> old.requested_by OR new.started_at <> old.started_at OR
        new.others <> old.others BEGIN
    SELECT RAISE(ABORT, 'erasures is append-only');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER erasures_no_delete BEFORE DELETE ON erasures BEGIN
    SELECT RAISE(ABORT, 'erasures is append-only');
END;
-- +goose StatementEnd

-- The one change of an event that there is: its body becomes the word that it was erased, for
-- a person whose erasure is going on, in a conversation of theirs, or listed by it. An external id that holds
-- personal data becomes the event's own id; event_keys still knows its digest.
DROP TRIGGER events_no_update;
-- +goose StatementBegin
CREATE TRIGGER events_no_update BEFORE UPDATE ON events
    WHEN NOT (new.body = CAST('{"erased":true}' AS BLOB) AND
        (new.external_id = old.external_id OR new.external_id = 'erased:' || old.id) AND
        new.id = old.id AND new.person_id = old.person_id AND new.source = old.source AND new.kind = old.kind AND
        new.vendor_type = old.vendor_type AND new.correlation_id = old.correlation_id AND
        new.conversation_id IS old.conversation_id AND new.occurred_at = old.occurred_at AND
        new.received_at = old.received_at AND EXISTS (SELECT 1 FROM erasures e WHERE e.receipt IS NULL AND
            (e.person_id = old.person_id OR EXISTS (SELECT 1 FROM json_each(e.others) o WHERE o.value = old.id) OR
             e.person_id = (SELECT c.person_id FROM conversations c WHERE c.id = old.conversation_id)))) BEGIN
    SELECT RAISE(ABORT, 'events is append-only');
END;
-- +goose StatementEnd

-- Of an attempt only the vendor's words go, when its step has been erased.
DROP TRIGGER attempts_no_update;
-- +goose StatementBegin
CREATE TRIGGER attempts_no_update BEFORE UPDATE ON attempts
    WHEN NOT (new.error = '' AND new.id = old.id AND new.step_id = old.step_id AND new.person_id = old.person_id AND
        new.number = old.number AND new.node = old.node AND new.started_at = old.started_at AND
        new.duration_us = old.duration_us AND new.class = old.class AND new.status = old.status AND
        new.vendor_request_id = old.vendor_request_id AND
        EXISTS (SELECT 1 FROM erasures e WHERE e.receipt IS NULL) AND
        EXISTS (SELECT 1 FROM steps s WHERE s.id = old.step_id AND s.input = '{"erased":true}')) BEGIN
    SELECT RAISE(ABORT, 'attempts is append-only');
END;
-- +goose StatementEnd

-- Of the security log only who it was goes, and becomes the person that names nobody any more:
-- what one of them did can still be told from what another did. The rest of a row names nobody.
CREATE INDEX security_log_actor ON security_log (actor, id) WHERE actor <> '';
DROP TRIGGER security_log_no_update;
-- +goose StatementBegin
CREATE TRIGGER security_log_no_update BEFORE UPDATE ON security_log
    WHEN NOT (old.role IN ('user', 'visitor') AND new.id = old.id AND new.at = old.at AND new.last_at = old.last_at AND
        new.kind = old.kind AND new.role = old.role AND new.address = old.address AND
        new.correlation_id = old.correlation_id AND new.route = old.route AND new.detail = old.detail AND
        new.count = old.count AND EXISTS (SELECT 1 FROM erasures e WHERE e.receipt IS NULL AND
            new.actor = 'erased:' || e.person_id)) BEGIN
    SELECT RAISE(ABORT, 'security_log is append-only');
END;
-- +goose StatementEnd
