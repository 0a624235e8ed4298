-- Leads: their present state, and their events, which models of leads are trained on.

CREATE TABLE lead (
    lead_id text PRIMARY KEY,
    customer_id text NOT NULL,
    updated_at timestamptz,
    features jsonb NOT NULL,
    score double precision,
    tier text CHECK (tier IN ('cold', 'warm', 'hot')),
    basis text CHECK (basis IN ('points', 'model')),
    version text,
    probability double precision,
    crossings integer NOT NULL,
    outcome text CHECK (outcome IN ('lead.converted', 'lead.lost')),
    outcome_at timestamptz,
    changed_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX lead_customer ON lead (customer_id);
CREATE INDEX lead_tier ON lead (tier, score);
COMMENT ON TABLE lead IS 'Each lead as of its latest update, and what became of it.';
COMMENT ON COLUMN lead.customer_id IS 'The customer of the latest event; the id of the lead itself while none is named.';
COMMENT ON COLUMN lead.updated_at IS 'Event time of the latest update; null before the first.';
COMMENT ON COLUMN lead.crossings IS 'How often the lead became hot: each time an alert, unless it was converted or lost.';

CREATE TABLE lead_event (
    lead_id text NOT NULL,
    event_id text NOT NULL,
    customer_id text NOT NULL,
    type text NOT NULL,
    occurred_at timestamptz NOT NULL,
    content jsonb NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (lead_id, event_id)
);
CREATE INDEX lead_event_customer ON lead_event (customer_id);
COMMENT ON TABLE lead_event IS 'Updates of leads with their scores, outcomes, and what staff said of scores.';
COMMENT ON COLUMN lead_event.content IS 'Of an update its features and score, of a wrong score who, why and the right one.';
