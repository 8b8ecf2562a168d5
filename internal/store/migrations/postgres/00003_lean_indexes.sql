-- +goose Up

-- Every index costs each event a write. These are not looked through, or only for the rows
-- that the narrower ones below hold.
DROP INDEX bellhop.requests_person;
DROP INDEX bellhop.requests_conversation;
CREATE INDEX requests_conversation ON bellhop.requests (conversation_id) WHERE conversation_id IS NOT NULL;
DROP INDEX bellhop.steps_updated;
CREATE INDEX steps_finished ON bellhop.steps (updated_at) WHERE state IN ('done', 'dropped');

-- Finds the other half of a payment by customer and time.
DROP INDEX bellhop.payments_customer;
CREATE INDEX payments_customer ON bellhop.payments (customer_ref, paid_at) WHERE customer_ref <> '' AND has_money <> has_invoice;
