-- What staff said of customers, and what decisions read besides their facts.
CREATE TABLE feedback (
    customer_id text NOT NULL,
    event_id text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('wrong_score', 'do_not_contact', 'always_vip', 'withdrawn')),
    given_at timestamptz NOT NULL,
    actor text NOT NULL,
    why text NOT NULL,
    until timestamptz,
    model text,
    value double precision,
    withdraws text,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (customer_id, event_id)
);
COMMENT ON TABLE feedback IS 'Feedback of staff about customers, and its withdrawals. Append only; kept as long as the customer.';
COMMENT ON COLUMN feedback.until IS 'Event time from which it no longer counts; null if it has no end.';
COMMENT ON COLUMN feedback.value IS 'What a wrong score should be: of churn a probability, of ltv an amount, of nbo the id of an offer.';
COMMENT ON COLUMN feedback.withdraws IS 'The event id of the feedback that this one withdraws; it may not have arrived yet.';

ALTER TABLE decision ADD COLUMN inputs jsonb;
COMMENT ON COLUMN decision.inputs IS 'What it read besides facts and definitions, so that it can be made again: see campaigns/decision_inputs.py. Null where not recorded.';
