-- +goose Up

-- Who was erased, when and for whom. One erasure may name several persons: a customer who
-- mistyped an address is two. A row without a receipt is an erasure that is going on; it is
-- begun and ended in one transaction, and is what the triggers below look for. others lists the
-- ids of the events that are not theirs and name them: nobody else's event may be emptied, and
-- which ones were stays on record.
CREATE TABLE bellhop.erasures (
    id           uuid NOT NULL,
    person_id    uuid NOT NULL,
    email_digest text NOT NULL DEFAULT '', -- keyed: whoever reads it cannot try addresses
    requested_by text NOT NULL,
    started_at   timestamptz NOT NULL,
    others       jsonb NOT NULL DEFAULT '[]',
    receipt      jsonb,
    PRIMARY KEY (id, person_id)
);
CREATE INDEX erasures_email ON bellhop.erasures (email_digest);
CREATE INDEX erasures_person ON bellhop.erasures (person_id);

-- An erasure is never taken back, and what it says is written once.
-- +goose StatementBegin
CREATE FUNCTION bellhop.guard_erasures() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.receipt IS NULL AND NEW.receipt IS NOT NULL AND
        (NEW.id, NEW.person_id, NEW.email_digest, NEW.requested_by, NEW.started_at, NEW.others) =
        (OLD.id, OLD.person_id, OLD.email_digest, OLD.requested_by, OLD.started_at, OLD.others) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'bellhop.erasures is append-only' USING ERRCODE = '42501';
END $$;
-- +goose StatementEnd
CREATE TRIGGER erasures_append_only BEFORE UPDATE OR DELETE ON bellhop.erasures
    FOR EACH ROW EXECUTE FUNCTION bellhop.guard_erasures();
CREATE TRIGGER erasures_no_truncate BEFORE TRUNCATE ON bellhop.erasures EXECUTE FUNCTION bellhop.refuse_change();

-- The one change of an event that there is: its body becomes the word that it was erased, for
-- a person whose erasure is going on, in a conversation of theirs, or listed by it. An external id that holds
-- personal data becomes the event's own id; event_keys still knows its digest. "Going on" means
-- begun by this very transaction: an erasure that somebody left open lets nothing through.
-- +goose StatementBegin
CREATE FUNCTION bellhop.guard_events() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    IF NEW.body = '{"erased":true}'::bytea AND NEW.external_id IN (OLD.external_id, 'erased:' || OLD.id::text) AND
        (NEW.id, NEW.person_id, NEW.source, NEW.kind, NEW.vendor_type, NEW.correlation_id, NEW.occurred_at, NEW.received_at) =
        (OLD.id, OLD.person_id, OLD.source, OLD.kind, OLD.vendor_type, OLD.correlation_id, OLD.occurred_at, OLD.received_at) AND
        NEW.conversation_id IS NOT DISTINCT FROM OLD.conversation_id AND
        EXISTS (SELECT 1 FROM bellhop.erasures e WHERE e.receipt IS NULL AND
            e.xmin = pg_catalog.pg_current_xact_id()::xid AND (e.person_id = OLD.person_id OR
            e.others @> pg_catalog.to_jsonb(OLD.id::text) OR
            e.person_id = (SELECT c.person_id FROM bellhop.conversations c WHERE c.id = OLD.conversation_id))) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'bellhop.events is append-only' USING ERRCODE = '42501';
END $$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION bellhop.guard_attempts() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    -- Of an attempt only the vendor's words go, when its step has been erased.
    IF NEW.error = '' AND
        (NEW.id, NEW.step_id, NEW.person_id, NEW.number, NEW.node, NEW.started_at, NEW.duration_us, NEW.class, NEW.status,
         NEW.vendor_request_id) =
        (OLD.id, OLD.step_id, OLD.person_id, OLD.number, OLD.node, OLD.started_at, OLD.duration_us, OLD.class, OLD.status,
         OLD.vendor_request_id) AND
        EXISTS (SELECT 1 FROM bellhop.erasures e WHERE e.receipt IS NULL AND e.xmin = pg_catalog.pg_current_xact_id()::xid) AND
        EXISTS (SELECT 1 FROM bellhop.steps s WHERE s.id = OLD.step_id AND s.input = '{"erased":true}') THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'bellhop.attempts is append-only' USING ERRCODE = '42501';
END $$;
-- +goose StatementEnd
-- The old triggers refused both; deleting goes on as it was. Replacing a trigger of a
-- partitioned table replaces it on every month.
DROP TRIGGER events_append_only ON bellhop.events;
CREATE TRIGGER events_append_only BEFORE DELETE ON bellhop.events
    FOR EACH ROW EXECUTE FUNCTION bellhop.refuse_change();
CREATE TRIGGER events_guarded BEFORE UPDATE ON bellhop.events
    FOR EACH ROW EXECUTE FUNCTION bellhop.guard_events();
DROP TRIGGER attempts_append_only ON bellhop.attempts;
CREATE TRIGGER attempts_append_only BEFORE DELETE ON bellhop.attempts
    FOR EACH ROW EXECUTE FUNCTION bellhop.refuse_change();
CREATE TRIGGER attempts_guarded BEFORE UPDATE ON bellhop.attempts
    FOR EACH ROW EXECUTE FUNCTION bellhop.guard_attempts();

-- Of the security log only who it was goes, and becomes the person that names nobody any more:
-- what one of them did can still be told from what another did. The rest of a row names nobody.
CREATE INDEX security_log_actor ON bellhop.security_log (actor, id) WHERE actor <> '';
-- +goose StatementBegin
CREATE FUNCTION bellhop.guard_security_actor() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    IF OLD.role IN ('user', 'visitor') AND
        (NEW.id, NEW.at, NEW.last_at, NEW.kind, NEW.role, NEW.address, NEW.correlation_id, NEW.route, NEW.detail, NEW.count) =
        (OLD.id, OLD.at, OLD.last_at, OLD.kind, OLD.role, OLD.address, OLD.correlation_id, OLD.route, OLD.detail, OLD.count) AND
        EXISTS (SELECT 1 FROM bellhop.erasures e WHERE e.receipt IS NULL AND
            e.xmin = pg_catalog.pg_current_xact_id()::xid AND NEW.actor = 'erased:' || e.person_id::text) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'bellhop.security_log is append-only' USING ERRCODE = '42501';
END $$;
-- +goose StatementEnd
DROP TRIGGER security_log_append_only ON bellhop.security_log;
CREATE TRIGGER security_log_append_only BEFORE DELETE ON bellhop.security_log
    FOR EACH ROW EXECUTE FUNCTION bellhop.guard_security_log();
CREATE TRIGGER security_log_guarded BEFORE UPDATE ON bellhop.security_log
    FOR EACH ROW EXECUTE FUNCTION bellhop.guard_security_actor();
