-- What became of a contact, folded by campaigns/contact_state.py, and the history of consent.

ALTER TABLE contact DROP CONSTRAINT contact_status_check;
ALTER TABLE contact ALTER COLUMN value TYPE numeric USING value::text::numeric;
ALTER TABLE contact ADD COLUMN conversions integer NOT NULL DEFAULT 0;
ALTER TABLE contact ADD COLUMN first_at jsonb NOT NULL DEFAULT '{}';

-- When a contact bounced or converted was not kept: the time of its decision, the earliest possible, stands for it.
UPDATE contact SET status = 'bounced', first_at = jsonb_build_object('bounced', decided_at) WHERE status = 'refunded';
UPDATE contact SET conversions = 1, first_at = jsonb_build_object('converted', decided_at) WHERE status = 'converted';

ALTER TABLE contact ADD CONSTRAINT contact_status_check
    CHECK (status IN ('reserved', 'bounced', 'delivered', 'opened', 'clicked', 'converted'));
COMMENT ON COLUMN contact.status IS 'The furthest status reached.';
COMMENT ON COLUMN contact.value IS 'Sum of the values of all conversions.';
COMMENT ON COLUMN contact.first_at IS 'Event time of the first outcome of each kind: a bounce stays visible here.';

CREATE TABLE consent_change (
    customer_id text NOT NULL,
    event_id text NOT NULL,
    channel text NOT NULL,
    granted boolean NOT NULL,
    changed_at timestamptz NOT NULL,
    source text NOT NULL,
    trigger_id uuid,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (customer_id, event_id)
);
COMMENT ON TABLE consent_change IS 'Consent revoked or given again by events. Append only; kept as long as the customer.';
COMMENT ON COLUMN consent_change.channel IS 'A channel, or * for every channel.';
COMMENT ON COLUMN consent_change.trigger_id IS 'The contact that the event answers, null when the ledger has no such contact.';

-- The events behind earlier revocations were not kept. The control character keeps these ids apart from any event's.
INSERT INTO consent_change (customer_id, event_id, channel, granted, changed_at, source)
SELECT customer_id, E'revocation\x1f' || channel, channel, false, revoked_at, reason FROM revocation;
DROP TABLE revocation;
