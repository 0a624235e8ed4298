-- The messages of conversations, what was read in them, and their vectors.
CREATE EXTENSION IF NOT EXISTS vector;

CREATE TABLE intelligence.message (
    customer_id     text NOT NULL,
    message_id      text NOT NULL,
    occurred_at     timestamptz NOT NULL,
    role            text NOT NULL,
    text            text NOT NULL,
    language        text,
    sentiment       real NOT NULL,
    satisfaction    real NOT NULL,
    concerns        text[] NOT NULL DEFAULT '{}',
    urgency         text,
    wants_to_cancel boolean NOT NULL,
    vector          halfvec(256),
    vector_version  text,
    -- A tsvector holds at most 1 MB.
    words           tsvector NOT NULL GENERATED ALWAYS AS (to_tsvector('simple', left(text, 20000))) STORED,
    PRIMARY KEY (customer_id, message_id)
);
COMMENT ON COLUMN intelligence.message.vector IS 'Of length 1; NULL where the text has no known gram, and until the messages are indexed.';
COMMENT ON COLUMN intelligence.message.vector_version IS 'Which text_vectors made the vector; NULL until the message is indexed.';
-- Without a list of pending entries, which every search would read as a whole.
CREATE INDEX message_words ON intelligence.message USING gin (words) WITH (fastupdate = off);
CREATE INDEX message_occurred_at ON intelligence.message (occurred_at);
CREATE INDEX message_concerns ON intelligence.message USING gin (concerns) WITH (fastupdate = off);

CREATE TABLE intelligence.reading_position (
    topic       text NOT NULL,
    partition   integer NOT NULL,
    next_offset bigint NOT NULL,
    PRIMARY KEY (topic, partition)
);
COMMENT ON TABLE intelligence.reading_position IS 'Up to where a topic is in the store: committed with the messages.';

CREATE TABLE intelligence.text_vectors (
    version    text PRIMARY KEY,
    content    bytea NOT NULL,
    messages   bigint NOT NULL,
    trained_at timestamptz NOT NULL DEFAULT now(),
    complete   boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE intelligence.text_vectors IS 'The vectors learned from the messages, newest last; see intelligence/text_vectors.py.';
COMMENT ON COLUMN intelligence.text_vectors.messages IS 'How many messages the store had when they were learned.';
COMMENT ON COLUMN intelligence.text_vectors.complete IS 'Whether every message has a vector of this version.';
