-- +goose Up

-- The change of this number concerns Postgres alone: a table that is spread over machines
-- needs the person in its keys, and a SQLite file is on one machine.
