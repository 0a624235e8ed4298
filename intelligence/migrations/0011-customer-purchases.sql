-- What each customer bought: sixteen more components of the vector, and a list.
-- The index is dropped: the next `holdfast clusters run` makes a new one. Until then an exact search answers.
DO $$
DECLARE
    found regclass;
BEGIN
    FOR found IN
        SELECT indexrelid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid JOIN pg_am ON pg_am.oid = relam
         WHERE indrelid = 'intelligence.customer'::regclass AND amname = 'hnsw'
    LOOP
        EXECUTE format('DROP INDEX %s', found);
    END LOOP;
END
$$;
ALTER TABLE intelligence.customer
    ALTER COLUMN vector TYPE halfvec(64) USING (rtrim(vector::text, ']') || repeat(',0', 16) || ']')::halfvec(64),
    ADD COLUMN products text[] NOT NULL DEFAULT '{}',
    ADD COLUMN strengths real[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN intelligence.customer.vector IS 'Standardized features, each group weighted, which intelligence.cluster_run names; then 16 components of purchases.';
COMMENT ON COLUMN intelligence.customer.products IS 'Ids of products bought, the strongest first.';
COMMENT ON COLUMN intelligence.customer.strengths IS 'How often and how recently each of them was bought, 1 at most.';

CREATE TABLE intelligence.product (
    product_id text PRIMARY KEY,
    name       text NOT NULL
);
COMMENT ON TABLE intelligence.product IS 'Names of the products that intelligence.customer lists; each run replaces them.';
