-- Segments, campaigns, offers, channels and limits as versions, where HOLDFAST_DEFINITIONS is `ledger`.

CREATE TABLE definition_version (
    revision bigint PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('segment', 'campaign', 'offers', 'channels', 'limits')),
    key text NOT NULL,
    number integer NOT NULL CHECK (number > 0),
    content json,
    digest text NOT NULL,
    author text NOT NULL,
    reason text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (kind, key, number)
);
COMMENT ON TABLE definition_version IS 'Every version of every definition; the one with the highest number counts.';
COMMENT ON COLUMN definition_version.revision IS 'Counts the versions of all definitions, in the order of their commits.';
COMMENT ON COLUMN definition_version.content IS 'As a file has it, in its order of keys, which messages depend on; null: retired.';
COMMENT ON COLUMN definition_version.digest IS 'SHA-256 of the content; empty where it is retired.';
