-- Dead letters get a table of their own, the outbox can set a message aside, launches can be resumed.

CREATE TABLE dead_letter (
    letter_id text PRIMARY KEY,
    number bigint GENERATED ALWAYS AS IDENTITY,
    created_at timestamptz NOT NULL DEFAULT now(),
    stage text NOT NULL,
    reason text NOT NULL,
    detail text NOT NULL,
    topic text NOT NULL,
    partition integer,
    "offset" bigint,
    key bytea,
    headers bytea NOT NULL,
    value bytea,
    size bigint,
    digest text,
    truncated text NOT NULL DEFAULT '',
    resolution text NOT NULL DEFAULT 'open' CHECK (resolution IN ('open', 'requeueing', 'requeued', 'discarded')),
    resolved_at timestamptz,
    actor text,
    why text,
    run bigint
);
CREATE UNIQUE INDEX dead_letter_number ON dead_letter (number);
CREATE INDEX dead_letter_resolution ON dead_letter (resolution, reason, number);
CREATE INDEX dead_letter_run ON dead_letter (run) WHERE run IS NOT NULL;
COMMENT ON TABLE dead_letter IS 'Every record that could not be decided and every message that could not be published, and what operators did with it. Independent of the outbox.';
COMMENT ON COLUMN dead_letter.number IS 'Grows in the order of writing.';
COMMENT ON COLUMN dead_letter.topic IS 'Where the record was read, or the topic that refused the message; then partition and offset are null.';
COMMENT ON COLUMN dead_letter.headers IS 'The original headers as MessagePack: an array of (name, value).';
COMMENT ON COLUMN dead_letter.size IS 'Bytes of the original value, null when it had none.';
COMMENT ON COLUMN dead_letter.digest IS 'SHA-256 of the original value, when value holds only a prefix of it.';
COMMENT ON COLUMN dead_letter.truncated IS 'What was cut, comma-separated: value, key, headers, batch. Empty when all is kept.';
COMMENT ON COLUMN dead_letter.run IS 'The Kafka transaction that sends it back: which of them were committed is kept in Kafka.';

-- Until now a letter was a row of the outbox. Its headers are MessagePack, an array of [name, value or nil]; those of
-- the producer come first, ours begin at the last holdfast_dead_letter_id. These functions last as long as the session.
CREATE FUNCTION pg_temp.msgpack_length(packed bytea, at integer, bytes integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    total integer := 0;
BEGIN
    FOR place IN 0 .. bytes - 1 LOOP
        total := total * 256 + get_byte(packed, at + place);
    END LOOP;
    RETURN total;
END
$$;

-- Text of PostgreSQL holds no NUL, and a producer may name a header as it likes.
CREATE FUNCTION pg_temp.as_text(bytes bytea) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN convert_from(bytes, 'UTF8');
EXCEPTION WHEN data_exception THEN
    RETURN encode(bytes, 'escape');
END
$$;

CREATE FUNCTION pg_temp.read_headers(packed bytea) RETURNS TABLE (place integer, starts integer, name text, value bytea)
    LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    at integer := 0;
    tag integer := get_byte(packed, 0);
    pairs integer;
    wide integer;
    long integer;
BEGIN
    IF tag BETWEEN 144 AND 159 THEN
        pairs := tag - 144;
        at := 1;
    ELSE
        wide := CASE tag WHEN 220 THEN 2 ELSE 4 END;
        pairs := pg_temp.msgpack_length(packed, 1, wide);
        at := 1 + wide;
    END IF;
    FOR pair IN 1 .. pairs LOOP
        place := pair;
        starts := at;
        at := at + 1;
        tag := get_byte(packed, at);
        IF tag BETWEEN 160 AND 191 THEN
            wide := 0;
            long := tag - 160;
        ELSE
            wide := CASE tag WHEN 217 THEN 1 WHEN 218 THEN 2 ELSE 4 END;
            long := pg_temp.msgpack_length(packed, at + 1, wide);
        END IF;
        name := pg_temp.as_text(substring(packed FROM at + wide + 2 FOR long));
        at := at + 1 + wide + long;
        tag := get_byte(packed, at);
        IF tag = 192 THEN
            value := NULL;
            at := at + 1;
        ELSE
            wide := CASE tag WHEN 196 THEN 1 WHEN 197 THEN 2 ELSE 4 END;
            long := pg_temp.msgpack_length(packed, at + 1, wide);
            value := substring(packed FROM at + wide + 2 FOR long);
            at := at + 1 + wide + long;
        END IF;
        RETURN NEXT;
    END LOOP;
END
$$;

CREATE FUNCTION pg_temp.own_header(packed bytea, wanted text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT pg_temp.as_text(h.value) FROM pg_temp.read_headers(packed) h WHERE h.name = wanted ORDER BY h.place DESC LIMIT 1
$$;

CREATE FUNCTION pg_temp.producer_headers(packed bytea) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN ours.place <= 16 THEN set_byte('\x00'::bytea, 0, 143 + ours.place)
                ELSE '\xdc'::bytea || set_byte(set_byte('\x0000'::bytea, 0, (ours.place - 1) / 256), 1, (ours.place - 1) % 256)
            END || substring(packed FROM first.starts + 1 FOR ours.starts - first.starts)
      FROM (SELECT h.place, h.starts FROM pg_temp.read_headers(packed) h
             WHERE h.name = 'holdfast_dead_letter_id' ORDER BY h.place DESC LIMIT 1) ours,
           (SELECT h.starts FROM pg_temp.read_headers(packed) h WHERE h.place = 1) first
$$;

INSERT INTO dead_letter (letter_id, created_at, stage, reason, detail, topic, partition, "offset", key, headers, value, size,
                         resolution, resolved_at, actor, why, run)
SELECT o.message_id, o.created_at, pg_temp.own_header(o.headers, 'holdfast_stage'), pg_temp.own_header(o.headers, 'holdfast_reason'),
       pg_temp.own_header(o.headers, 'holdfast_detail'), pg_temp.own_header(o.headers, 'holdfast_topic'),
       pg_temp.own_header(o.headers, 'holdfast_partition')::integer, pg_temp.own_header(o.headers, 'holdfast_offset')::bigint,
       o.key, pg_temp.producer_headers(o.headers), o.value, octet_length(o.value),
       COALESCE(f.fate, 'open'), f.at, f.by_whom, NULLIF(f.why, ''), f.run
  FROM outbox o LEFT JOIN dead_letter_fate f ON f.letter_id = o.message_id
 WHERE o.destination = 'dead_letters'
 ORDER BY o.sequence;

-- What is not sent yet still has to go out.
DELETE FROM outbox WHERE destination = 'dead_letters' AND sent_at IS NOT NULL;

DROP TABLE dead_letter_fate;

ALTER TABLE outbox ADD failed_at timestamptz, ADD refused_by text, ADD failure text;
COMMENT ON TABLE outbox IS 'Messages to publish, committed with the decisions they carry.';
COMMENT ON COLUMN outbox.refused_by IS 'The topic that can never accept this message.';
COMMENT ON COLUMN outbox.failure IS 'Why it cannot; a dead letter is published in its place, under its sequence.';

CREATE TABLE campaign_launch (
    launch_id text PRIMARY KEY,
    campaign text NOT NULL,
    as_of timestamptz NOT NULL,
    actor text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    last_customer_id text,
    members bigint NOT NULL DEFAULT 0,
    done_at timestamptz
);
CREATE INDEX campaign_launch_campaign ON campaign_launch (campaign, started_at);
COMMENT ON TABLE campaign_launch IS 'Each launch of a campaign by an operator, and its progress.';
COMMENT ON COLUMN campaign_launch.last_customer_id IS 'Kafka has acknowledged the requests for this member and for every one before it, by customer id.';
COMMENT ON COLUMN campaign_launch.members IS 'Members requested so far.';
