-- +goose Up

-- Every index costs each event a write. These are not looked through, or only for the rows
-- that the narrower ones below hold.
DROP INDEX requests_person;
DROP INDEX requests_conversation;
CREATE INDEX requests_conversation ON requests (conversation_id) WHERE conversation_id IS NOT NULL;
DROP INDEX steps_updated;
CREATE INDEX steps_finished ON steps (updated_at) WHERE state IN ('done', 'dropped');

-- Finds the other half of a payment by customer and time.
DROP INDEX payments_customer;
CREATE INDEX payments_customer ON payments (customer_ref, paid_at) WHERE customer_ref <> '' AND has_money <> has_invoice;
