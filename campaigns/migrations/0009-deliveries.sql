-- What `holdfast deliver` has to send, what became of it, and opt-outs by one click.

ALTER TABLE contact DROP CONSTRAINT contact_status_check;
ALTER TABLE contact ADD CONSTRAINT contact_status_check
    CHECK (status IN ('reserved', 'failed', 'bounced', 'delivered', 'opened', 'clicked', 'converted'));

CREATE TABLE delivery (
    trigger_id uuid PRIMARY KEY,
    customer_id text NOT NULL,
    campaign text NOT NULL,
    channel text NOT NULL,
    body bytea,
    due_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    claimed_until timestamptz,
    last_problem text,
    mail_domain text,
    outcome text CHECK (outcome IN ('delivered', 'bounced', 'failed')),
    reason text,
    settled_at timestamptz,
    reported_at timestamptz,
    received_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((settled_at IS NULL) = (outcome IS NULL)),
    CHECK (body IS NOT NULL OR settled_at IS NOT NULL)
);
COMMENT ON TABLE delivery IS 'Triggers that holdfast deliver has read, each settled once with one outcome. A settled row may be deleted when its trigger can come no more.';
COMMENT ON COLUMN delivery.body IS 'The trigger as it was published; null once it is settled.';
COMMENT ON COLUMN delivery.due_at IS 'No attempt before: the end of quiet hours, or of the pause after an attempt that failed.';
COMMENT ON COLUMN delivery.attempts IS 'Attempts begun, also those that a crash cut short.';
COMMENT ON COLUMN delivery.claimed_until IS 'A process attempts it until then; afterwards another may.';
COMMENT ON COLUMN delivery.last_problem IS 'Why the last attempt failed; without the address.';
COMMENT ON COLUMN delivery.mail_domain IS 'The domain of the address it was sent to.';
COMMENT ON COLUMN delivery.reported_at IS 'When Kafka acknowledged its outcome.';

CREATE INDEX delivery_due ON delivery (channel, due_at) WHERE settled_at IS NULL;
CREATE INDEX delivery_unreported ON delivery (settled_at) WHERE settled_at IS NOT NULL AND reported_at IS NULL;
CREATE INDEX delivery_settled ON delivery (settled_at) WHERE mail_domain IS NOT NULL;

CREATE TABLE opt_out (
    event_id text PRIMARY KEY,
    customer_id text NOT NULL,
    channel text NOT NULL,
    trigger_id uuid NOT NULL,
    requested_at timestamptz NOT NULL,
    reported_at timestamptz
);
COMMENT ON TABLE opt_out IS 'Opt-outs by the link in an e-mail; each is in force at once, and becomes an outcome.';
COMMENT ON COLUMN opt_out.reported_at IS 'When Kafka acknowledged its outcome.';

CREATE INDEX opt_out_customer ON opt_out (customer_id);
CREATE INDEX opt_out_unreported ON opt_out (requested_at) WHERE reported_at IS NULL;
CREATE INDEX opt_out_requested ON opt_out (requested_at);
