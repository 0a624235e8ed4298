-- What batch jobs learn of each customer from all customers, and rules and messages read.

CREATE TABLE insight (
    customer_id text NOT NULL,
    kind text NOT NULL,
    facts jsonb NOT NULL,
    computed_at timestamptz NOT NULL,
    PRIMARY KEY (customer_id, kind)
);
CREATE INDEX insight_age ON insight (kind, computed_at);
COMMENT ON TABLE insight IS 'The latest result of a batch job for each customer, by kind: cluster, recommendations. A job replaces all rows of its kind.';
COMMENT ON COLUMN insight.facts IS 'By the name that rules and messages read; see features/insights.py.';
COMMENT ON COLUMN insight.computed_at IS 'When the run began that computed it, the same for all of its rows.';
