-- Customers as vectors of behaviour and concepts, and the clusters that they form.
CREATE TABLE intelligence.customer (
    customer_id text PRIMARY KEY,
    vector      halfvec(48) NOT NULL,
    cluster     text NOT NULL
);
COMMENT ON TABLE intelligence.customer IS 'Each run writes a new table, indexes it, and puts it in place of this one.';
COMMENT ON COLUMN intelligence.customer.vector IS 'Standardized features, each group weighted; intelligence.cluster_run names them.';
CREATE TABLE intelligence.cluster_run (
    run_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at     timestamptz NOT NULL,
    result jsonb NOT NULL
);
COMMENT ON TABLE intelligence.cluster_run IS 'What each run found; the newest one describes intelligence.customer.';
