-- How large segments were: the ledger keeps the latest episode of each membership, which does not tell.

CREATE TABLE segment_size (
    segment text NOT NULL,
    at timestamptz NOT NULL,
    members integer NOT NULL CHECK (members >= 0),
    PRIMARY KEY (segment, at)
);
COMMENT ON TABLE segment_size IS 'The size of each segment in force, once an hour.';
COMMENT ON COLUMN segment_size.at IS 'The hour (UTC), by the ledger''s clock; the members were counted within it.';
