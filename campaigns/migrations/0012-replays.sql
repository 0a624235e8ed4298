-- What a replay needs to know of the past, and what operators sent because of one.

ALTER TABLE evaluated ADD COLUMN since timestamptz;
ALTER TABLE evaluated ALTER COLUMN since SET DEFAULT now();
COMMENT ON COLUMN evaluated.since IS 'When the customer was first evaluated, by the clock; null for those evaluated before this was recorded.';

CREATE TABLE replay_send (
    send_id text PRIMARY KEY,
    replay_id text NOT NULL,
    begin_at timestamptz NOT NULL,
    end_at timestamptz NOT NULL,
    actor text NOT NULL,
    why text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    triggers bigint NOT NULL DEFAULT 0,
    done_at timestamptz
);
COMMENT ON TABLE replay_send IS 'Each time that an operator let the workers decide what a replay had found missing. Append only.';
COMMENT ON COLUMN replay_send.triggers IS 'Requested so far.';
