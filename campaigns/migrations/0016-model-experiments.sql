-- Experiments on models: whom they reach in which arm, and those that stopped by themselves.

CREATE TABLE experiment_customer (
    customer_id text NOT NULL,
    experiment text NOT NULL,
    arm text NOT NULL CHECK (arm IN ('champion', 'challenger')),
    first_at timestamptz NOT NULL,
    champion_score double precision,
    challenger_score double precision,
    champion_answer text,
    challenger_answer text,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (customer_id, experiment)
);
CREATE INDEX experiment_customer_experiment ON experiment_customer (experiment);
COMMENT ON TABLE experiment_customer IS 'Each customer whom an experiment on a model has reached, the first time. Kept as long as contacts.';
COMMENT ON COLUMN experiment_customer.first_at IS 'Event time.';
COMMENT ON COLUMN experiment_customer.champion_score IS 'Of a shadow experiment, with the answer that it led to; null of a live one.';
COMMENT ON COLUMN experiment_customer.recorded_at IS 'Contacts that are recorded from then on belong to the arm.';

CREATE TABLE experiment_stop (
    experiment text PRIMARY KEY,
    stopped_at timestamptz NOT NULL DEFAULT now(),
    reason text NOT NULL
);
COMMENT ON TABLE experiment_stop IS 'Experiments on models that stopped by themselves, and why; what people start and stop is in the models folder.';
