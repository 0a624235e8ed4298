-- A worker keeps what it has read of a customer until a commit changes it.

ALTER TABLE evaluated ADD COLUMN revision bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN evaluated.revision IS 'A random number, another one after each commit that changes what workers keep of the customer.';

-- The transaction of a batch is one round trip: a partition that another worker has claimed is an error within it.
CREATE DOMAIN owned AS boolean CONSTRAINT partition_is_owned CHECK (VALUE);
