-- The ledger: all that a worker must remember. Keys of hot tables begin with customer_id, so that they shard by it.

CREATE TABLE roster (
    roster_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    versions jsonb NOT NULL
);
-- Not on the versions themselves: some five hundred segments are more than an index row can hold.
CREATE UNIQUE INDEX roster_versions ON roster (md5(versions::text));
COMMENT ON TABLE roster IS 'Each combination of segment versions that customers have been evaluated under.';

CREATE TABLE evaluated (
    customer_id text PRIMARY KEY,
    roster_id integer NOT NULL REFERENCES roster
);
COMMENT ON TABLE evaluated IS 'Which combination a customer was last evaluated under: what is missing there is silent once.';

CREATE TABLE membership (
    customer_id text NOT NULL,
    segment text NOT NULL,
    episode integer NOT NULL CHECK (episode > 0),
    is_member boolean NOT NULL,
    entered_at timestamptz NOT NULL,
    exited_at timestamptz,
    definition_version text NOT NULL,
    PRIMARY KEY (customer_id, segment)
);
CREATE INDEX membership_members ON membership (segment, customer_id) WHERE is_member;
COMMENT ON TABLE membership IS 'The latest episode of each customer in each segment. Kept as long as the customer.';

CREATE TABLE signal (
    customer_id text PRIMARY KEY,
    signals jsonb NOT NULL
);
COMMENT ON TABLE signal IS 'What each customer''s conversations add up to. Kept as long as the customer.';

CREATE TABLE seen_event (
    customer_id text NOT NULL,
    event_id text NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (customer_id, event_id)
);
CREATE INDEX seen_event_age ON seen_event USING brin (seen_at);
COMMENT ON TABLE seen_event IS 'Conversation messages and outcomes already folded. Kept longer than the topics keep them.';

CREATE TABLE contact (
    customer_id text NOT NULL,
    trigger_id uuid NOT NULL,
    campaign text NOT NULL,
    channel text NOT NULL,
    variant text NOT NULL CHECK (variant IN ('treatment', 'control')),
    offer_id integer NOT NULL,
    status text NOT NULL CHECK (status IN ('reserved', 'sent', 'delivered', 'opened', 'clicked', 'converted', 'refunded', 'expired')),
    value double precision,
    decided_at timestamptz NOT NULL,
    PRIMARY KEY (customer_id, trigger_id)
);
CREATE INDEX contact_campaign ON contact (customer_id, campaign, decided_at DESC);
COMMENT ON TABLE contact IS 'Every trigger and every control exposure, and what became of it. Kept longer than the longest cooldown.';

CREATE TABLE revocation (
    customer_id text NOT NULL,
    channel text NOT NULL,
    revoked_at timestamptz NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (customer_id, channel)
);
COMMENT ON TABLE revocation IS 'Consent taken back since the warehouse last knew: unsubscribes and complaints.';

CREATE TABLE decision (
    customer_id text NOT NULL,
    decision_id uuid NOT NULL,
    campaign text NOT NULL,
    segment text NOT NULL,
    occasion text NOT NULL,
    outcome text NOT NULL,
    reason text NOT NULL,
    detail text NOT NULL,
    event_id text NOT NULL,
    as_of timestamptz NOT NULL,
    facts jsonb NOT NULL,
    versions jsonb NOT NULL,
    PRIMARY KEY (customer_id, decision_id)
);
CREATE INDEX decision_age ON decision USING brin (as_of);
COMMENT ON TABLE decision IS 'Every decision, fired or not, with all it rests on. Kept as long as decisions must be explained.';

CREATE TABLE outbox (
    customer_id text NOT NULL,
    message_id text NOT NULL,
    sequence bigint GENERATED ALWAYS AS IDENTITY,
    destination text NOT NULL,
    partition integer NOT NULL,
    key bytea,
    headers bytea NOT NULL,
    value bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    sent_at timestamptz,
    PRIMARY KEY (customer_id, message_id)
);
CREATE INDEX outbox_unsent ON outbox (partition, sequence) WHERE sent_at IS NULL;
CREATE INDEX outbox_sequence ON outbox (sequence);
COMMENT ON TABLE outbox IS 'Messages to publish, committed with the decisions they tell of. May go some time after they are sent.';

CREATE TABLE dead_letter_fate (
    letter_id text PRIMARY KEY,
    fate text NOT NULL CHECK (fate IN ('requeueing', 'requeued', 'discarded')),
    at timestamptz NOT NULL DEFAULT now(),
    by_whom text NOT NULL,
    why text NOT NULL DEFAULT '',
    run bigint
);
CREATE INDEX dead_letter_fate_run ON dead_letter_fate (run);
COMMENT ON TABLE dead_letter_fate IS 'What operators made of dead letters; one without a row is open. Goes with its letter in the outbox.';
COMMENT ON COLUMN dead_letter_fate.run IS 'The Kafka transaction that sends it back: which of them were committed is kept in Kafka.';

CREATE TABLE partition_owner (
    partition integer PRIMARY KEY,
    epoch integer NOT NULL
);
COMMENT ON TABLE partition_owner IS 'The epoch of each input partition: a commit under an older one is refused.';

CREATE TABLE ledger_state (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    ledger_id text NOT NULL DEFAULT left(gen_random_uuid()::text, 8),
    cache_generation integer NOT NULL DEFAULT 1
);
INSERT INTO ledger_state DEFAULT VALUES;
COMMENT ON TABLE ledger_state IS 'What there is one of in a ledger.';
COMMENT ON COLUMN ledger_state.ledger_id IS 'Part of the transactional ids and of the progress group: sequences of another ledger are never taken for ours.';
COMMENT ON COLUMN ledger_state.cache_generation IS 'Part of every cache key. It grows when an invalidation could not be done, so old rows are never read.';

CREATE TABLE activation (
    kind text NOT NULL CHECK (kind IN ('segment', 'campaign')),
    key text NOT NULL,
    version text NOT NULL,
    mode text NOT NULL CHECK (mode IN ('silent', 'emit')),
    activated_at timestamptz NOT NULL,
    activated_by text NOT NULL,
    PRIMARY KEY (kind, key, version)
);
COMMENT ON TABLE activation IS 'When each version of a segment or campaign began to count, and who let it.';
