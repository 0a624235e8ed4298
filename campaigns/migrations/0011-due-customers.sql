-- When time alone may change a segment of a customer to whom nothing happens.
ALTER TABLE evaluated ADD COLUMN due_at bigint, ADD COLUMN claimed_until timestamptz;
CREATE INDEX evaluated_due ON evaluated (due_at) WHERE due_at IS NOT NULL;
COMMENT ON COLUMN evaluated.due_at IS 'Event time in seconds since 1970 at which to evaluate the customer again, if not before; null: never.';
COMMENT ON COLUMN evaluated.claimed_until IS 'Until then a worker that claimed the customer, who is due, is expected to have requested the evaluation.';
