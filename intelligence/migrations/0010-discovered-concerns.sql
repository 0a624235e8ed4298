-- Concerns that clustering found in the messages that name none.
CREATE TABLE intelligence.discovered_concern (
    concern_id     text PRIMARY KEY,
    words          text[] NOT NULL,
    query          tsquery NOT NULL,
    emerging       boolean NOT NULL,
    first_found_at timestamptz NOT NULL,
    found_at       timestamptz NOT NULL
);
COMMENT ON COLUMN intelligence.discovered_concern.query IS 'Finds the messages that have one of the words.';
COMMENT ON COLUMN intelligence.discovered_concern.first_found_at IS 'The end of the messages of the run that found it first.';
