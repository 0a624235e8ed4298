-- Who put which version of a segment into force, when, why and with which rules; and the re-evaluation of all customers.

ALTER TABLE activation DROP CONSTRAINT activation_mode_check;
ALTER TABLE activation ADD CONSTRAINT activation_mode_check CHECK (mode IN ('silent', 'new', 'emit'));

CREATE TABLE segment_activation (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    segment text NOT NULL,
    version text NOT NULL,
    mode text NOT NULL CHECK (mode IN ('silent', 'new', 'emit')),
    activated_at timestamptz NOT NULL,
    actor text NOT NULL,
    why text NOT NULL,
    rules jsonb
);
CREATE INDEX segment_activation_by_segment ON segment_activation (segment, number);
COMMENT ON TABLE segment_activation IS 'Each time that a version of a segment was put into force, or its mode was set. Append only.';
COMMENT ON COLUMN segment_activation.why IS 'What the operator gave as the reason; empty where a worker started with a changed definition.';
COMMENT ON COLUMN segment_activation.rules IS 'The rule and the exit rule; null where they were not recorded yet.';

INSERT INTO segment_activation (segment, version, mode, activated_at, actor, why)
SELECT key, version, mode, activated_at, activated_by, '' FROM activation WHERE kind = 'segment' ORDER BY activated_at, key;

CREATE TABLE reevaluation (
    reevaluation_id text PRIMARY KEY,
    fingerprint text NOT NULL,
    as_of timestamptz NOT NULL,
    actor text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    last_customer_id text,
    customers bigint NOT NULL DEFAULT 0,
    done_at timestamptz
);
COMMENT ON TABLE reevaluation IS 'Re-evaluations of every customer under changed segments, and how far each has come.';
COMMENT ON COLUMN reevaluation.fingerprint IS 'Of the versions of all segments that it is for.';
COMMENT ON COLUMN reevaluation.as_of IS 'Event time of its requests.';
COMMENT ON COLUMN reevaluation.last_customer_id IS 'All customers up to this one, in the order of the warehouse, have been evaluated or passed over.';
