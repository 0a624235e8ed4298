-- When time alone may change a segment of a customer to whom nothing happens.
-- Customers evaluated before this migration are due a day later: until their next event nothing else would find them.
-- A constant default writes no row.
ALTER TABLE evaluated ADD COLUMN due_at bigint DEFAULT extract(epoch FROM now())::bigint + 86400,
                      ADD COLUMN claimed_until timestamptz;
ALTER TABLE evaluated ALTER COLUMN due_at DROP DEFAULT;
CREATE INDEX evaluated_due ON evaluated (due_at) WHERE due_at IS NOT NULL;
COMMENT ON COLUMN evaluated.due_at IS 'Event time in seconds since 1970 at which to evaluate the customer again, if not before; null: never.';
COMMENT ON COLUMN evaluated.claimed_until IS 'Until then a worker that claimed the customer, who is due, is expected to have requested the evaluation.';
