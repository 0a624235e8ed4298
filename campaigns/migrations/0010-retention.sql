-- Erased customers, how far history is pruned, and what the deletion of old rows and of a customer needs.

CREATE TABLE tombstone (
    digest bigint PRIMARY KEY,
    bucket integer NOT NULL,
    erased_at timestamptz NOT NULL DEFAULT now(),
    actor text NOT NULL,
    why text NOT NULL
);
COMMENT ON TABLE tombstone IS 'Erased customers, without their ids: workers leave their events out.';
COMMENT ON COLUMN tombstone.digest IS 'BLAKE2b of the id under the key in ledger_state, 64 bits.';
COMMENT ON COLUMN tombstone.bucket IS '24 bits of the id''s CRC-32: no digest is computed of ids in other buckets.';

ALTER TABLE ledger_state
    ADD erasure_key bytea NOT NULL DEFAULT decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'),
    ADD tombstones integer NOT NULL DEFAULT 0,
    ADD pruned_before timestamptz;
COMMENT ON COLUMN ledger_state.erasure_key IS 'Key of the digests in tombstone.';
COMMENT ON COLUMN ledger_state.tombstones IS 'Grows with every change of the table tombstone.';
COMMENT ON COLUMN ledger_state.pruned_before IS 'What the group had processed before then may be deleted: a record with an older timestamp has no second effect.';

-- When a row was written: its event may be much older. Rows of before this step count as written now.
ALTER TABLE decision ADD recorded_at timestamptz NOT NULL DEFAULT now();
ALTER TABLE contact ADD recorded_at timestamptz NOT NULL DEFAULT now();

-- So that a customer's rows are found without reading the table.
CREATE INDEX delivery_customer ON delivery (customer_id);

-- The space of deleted rows is used again once they are vacuumed: by default after a fifth of the table has changed.
ALTER TABLE seen_event SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 1);
ALTER TABLE decision SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 1);
ALTER TABLE contact SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 1);
ALTER TABLE outbox SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 1);
