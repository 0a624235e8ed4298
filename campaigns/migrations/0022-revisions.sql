-- A worker keeps what it has read of a customer for as long as nobody has changed it.

ALTER TABLE evaluated ADD COLUMN revision bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN evaluated.revision IS 'A random number, another one after each commit that changes what workers keep of the customer.';
