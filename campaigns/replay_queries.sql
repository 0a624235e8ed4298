-- name: create_replay
-- What a replay has besides the tables of a ledger, in its own schema.
CREATE TABLE replay (
    replay_id text PRIMARY KEY,
    begin_at timestamptz NOT NULL,
    end_at timestamptz NOT NULL,
    actor text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    plan jsonb NOT NULL,
    ends jsonb NOT NULL,
    positions jsonb NOT NULL,
    records bigint NOT NULL DEFAULT 0,
    first_at timestamptz,
    last_at timestamptz,
    seconds double precision NOT NULL DEFAULT 0,
    decided_at timestamptz
);
COMMENT ON COLUMN replay.positions IS 'Where reading goes on, and the times reached: as of the latest batch committed.';
COMMENT ON COLUMN replay.first_at IS 'The earliest event time of the period.';
CREATE TABLE later (customer_id text, decision_id uuid, segment text, occasion text, reason text);
COMMENT ON TABLE later IS 'Decisions of the ledger whose event arrived in the period or after it.';
CREATE TABLE uncertain (customer_id text NOT NULL, what text NOT NULL, PRIMARY KEY (customer_id, what));
COMMENT ON TABLE uncertain IS 'Customers of whom the ledger does not show exactly what it held when the period began.';
CREATE TABLE refolded (customer_id text PRIMARY KEY);
COMMENT ON TABLE refolded IS 'Customers with messages in the period or after it: their signals are folded again.';

-- name: begin_replay
INSERT INTO replay (replay_id, begin_at, end_at, actor, plan, ends, positions)
VALUES (%(replay_id)s, %(begin)s, %(end)s, %(by)s, %(plan)s, %(ends)s, %(positions)s);

-- name: find_replay
SELECT replay_id, begin_at, end_at, actor, started_at, plan::text, ends::text, positions::text, records, first_at, last_at,
       seconds, decided_at
  FROM replay;

-- name: advance_replay
UPDATE replay SET positions = %(positions)s, records = records + %(records)s, first_at = least(first_at, %(first)s),
       last_at = greatest(last_at, %(last)s), seconds = %(seconds)s;

-- name: finish_replay
UPDATE replay SET decided_at = now();

-- name: hold_erasures
-- Until it is released. Not for a transaction: its snapshot would be from before the wait.
SELECT pg_advisory_lock_shared(%(lock)s);

-- name: release_erasures
SELECT pg_advisory_unlock_shared(%(lock)s);

-- name: list_replays
SELECT nspname FROM pg_namespace WHERE nspname ~ '^replay_[0-9a-f]{8}$' ORDER BY nspname;

-- name: copy_erasure_key
UPDATE {scratch}.ledger_state SET erasure_key = (SELECT erasure_key FROM ledger_state), tombstones = 1;

-- name: copy_tombstones
INSERT INTO {scratch}.tombstone SELECT * FROM tombstone;

-- name: copy_rosters
INSERT INTO {scratch}.roster (roster_id, versions) OVERRIDING SYSTEM VALUE SELECT roster_id, versions FROM roster;

-- name: skip_roster_ids
SELECT setval(pg_get_serial_sequence({roster}, 'roster_id'), (SELECT coalesce(max(roster_id), 0) + 1 FROM {scratch}.roster));

-- name: copy_activations
-- A version that was put into force later counts only where its segment had none before: then it is the first one.
INSERT INTO {scratch}.activation
SELECT * FROM activation a
 WHERE activated_at <= %(begin)s
    OR NOT EXISTS (SELECT FROM activation b WHERE b.kind = a.kind AND b.key = a.key AND b.activated_at <= %(begin)s);

-- name: copy_rules
INSERT INTO {scratch}.segment_activation (segment, version, mode, activated_at, actor, why, rules)
SELECT segment, version, mode, activated_at, actor, why, rules FROM segment_activation ORDER BY number;

-- name: activate_otherwise
-- How first evaluations under rules that were not in force count is the operator's choice.
INSERT INTO activation (kind, key, version, mode, activated_at, activated_by)
SELECT 'segment', key, version, %(mode)s, %(begin)s, %(by)s FROM unnest(%(keys)s::text[], %(versions)s::text[]) AS t (key, version)
    ON CONFLICT (kind, key, version) DO NOTHING;

-- name: copy_later
-- By the arrival of the event, as far as it was recorded: it is what the period is of.
INSERT INTO {scratch}.later
SELECT customer_id, decision_id, segment, occasion, reason FROM decision
 WHERE coalesce(to_timestamp((inputs ->> 'received_ms')::double precision / 1000), as_of) >= %(begin)s
   AND (%(customers)s::text[] IS NULL OR customer_id = ANY (%(customers)s::text[]));

-- name: index_later
CREATE INDEX ON {scratch}.later (customer_id, segment);

-- name: copy_evaluated
-- Under the latest versions that were in force then.
WITH valid AS (
    SELECT roster_id FROM roster r
     WHERE NOT EXISTS (SELECT FROM jsonb_each_text(r.versions) v
                        WHERE NOT EXISTS (SELECT FROM {scratch}.activation a
                                           WHERE a.kind = 'segment' AND a.key = v.key
                                             AND a.version = split_part(v.value, ' ', 1)))
)
INSERT INTO {scratch}.evaluated (customer_id, roster_id, earlier, since)
SELECT e.customer_id, found.roster_id, (ARRAY[e.roster_id] || e.earlier)[found.place + 1:], e.since
  FROM evaluated e, LATERAL (
       SELECT u.roster_id, u.place FROM unnest(ARRAY[e.roster_id] || e.earlier) WITH ORDINALITY AS u (roster_id, place)
        WHERE u.roster_id IN (SELECT roster_id FROM valid) ORDER BY u.place LIMIT 1) AS found
 WHERE (e.since IS NULL OR e.since < %(begin)s)
   AND (%(customers)s::text[] IS NULL OR e.customer_id = ANY (%(customers)s::text[]))
   AND NOT (e.since IS NULL AND EXISTS (SELECT FROM {scratch}.later l
                                         WHERE l.customer_id = e.customer_id AND l.reason = 'first_evaluation'));

-- name: note_unknown_evaluations
INSERT INTO {scratch}.uncertain
SELECT customer_id, 'first evaluation' FROM {scratch}.evaluated e
 WHERE since IS NULL AND NOT EXISTS (SELECT FROM membership m WHERE m.customer_id = e.customer_id AND m.entered_at < %(begin)s)
   AND NOT EXISTS (SELECT FROM decision d WHERE d.customer_id = e.customer_id AND d.as_of < %(begin)s);

-- name: copy_memberships
-- Only the latest episode is kept: where it began later, the one before it is known by its number alone.
WITH began AS (
    SELECT customer_id, segment, min(occasion::integer) AS episode FROM {scratch}.later
     WHERE occasion ~ '^[0-9]{{1,9}}$' GROUP BY customer_id, segment
), held AS (
    SELECT m.*, coalesce(b.episode, CASE WHEN m.entered_at >= %(begin)s THEN m.episode END) AS later_episode
      FROM membership m LEFT JOIN began b ON b.customer_id = m.customer_id AND b.segment = m.segment
     WHERE m.customer_id IN (SELECT customer_id FROM {scratch}.evaluated)
), known AS (
    SELECT h.*, coalesce(later_episode - 1, episode) AS known_episode,
           EXISTS (SELECT FROM {scratch}.later l WHERE l.customer_id = h.customer_id AND l.segment = h.segment
                      AND l.occasion = 'left ' || coalesce(h.later_episode - 1, h.episode)) AS left_later
      FROM held h
), noted AS (
    INSERT INTO {scratch}.uncertain
    SELECT DISTINCT customer_id, 'membership' FROM known WHERE later_episode > 1
        ON CONFLICT DO NOTHING
)
INSERT INTO {scratch}.membership (customer_id, segment, episode, is_member, entered_at, exited_at, definition_version, suppressed, member_under)
SELECT customer_id, segment, known_episode, is_there, CASE WHEN later_episode IS NULL THEN entered_at ELSE %(begin)s END,
       CASE WHEN is_there THEN NULL WHEN later_episode IS NULL THEN exited_at ELSE %(begin)s END, definition_version,
       suppressed AND later_episode IS NULL, member_under
  FROM (SELECT t.*, CASE WHEN later_episode IS NULL THEN is_member OR left_later OR exited_at >= %(begin)s
                         ELSE left_later END AS is_there FROM known t) t
 WHERE known_episode > 0;

-- name: find_refolded
INSERT INTO {scratch}.refolded
SELECT customer_id FROM signal
 WHERE (%(customers)s::text[] IS NULL OR customer_id = ANY (%(customers)s::text[]))
   AND ((signals ->> 'last_message_at')::timestamptz >= %(begin)s
        OR customer_id IN (SELECT customer_id FROM seen_event WHERE seen_at >= %(begin)s));

-- name: copy_signals
INSERT INTO {scratch}.signal SELECT customer_id, signals FROM signal
 WHERE (%(customers)s::text[] IS NULL OR customer_id = ANY (%(customers)s::text[]))
   AND customer_id NOT IN (SELECT customer_id FROM {scratch}.refolded);

-- name: copy_seen
INSERT INTO {scratch}.seen_event SELECT customer_id, event_id, seen_at FROM seen_event
 WHERE seen_at < %(begin)s AND (%(customers)s::text[] IS NULL OR customer_id = ANY (%(customers)s::text[]));

-- name: copy_contacts
-- Without what became of them: no decision reads it.
INSERT INTO {scratch}.contact (customer_id, trigger_id, campaign, channel, variant, offer_id, status, decided_at, propensity,
                               campaign_variant, contact_cost, offer_cost)
SELECT customer_id, trigger_id, campaign, channel, variant, offer_id, 'reserved', decided_at, propensity, campaign_variant,
       contact_cost, offer_cost
  FROM contact c
 WHERE (%(customers)s::text[] IS NULL OR customer_id = ANY (%(customers)s::text[]))
   AND NOT EXISTS (SELECT FROM {scratch}.later l WHERE l.customer_id = c.customer_id AND l.decision_id = c.trigger_id)
   AND (decided_at < %(begin)s
        OR EXISTS (SELECT FROM decision d WHERE d.customer_id = c.customer_id AND d.decision_id = c.trigger_id));

-- name: copy_consent
INSERT INTO {scratch}.consent_change SELECT * FROM consent_change
 WHERE recorded_at < %(begin)s AND (%(customers)s::text[] IS NULL OR customer_id = ANY (%(customers)s::text[]));

-- name: copy_feedback
INSERT INTO {scratch}.feedback SELECT * FROM feedback
 WHERE recorded_at < %(begin)s AND (%(customers)s::text[] IS NULL OR customer_id = ANY (%(customers)s::text[]));

-- name: copy_insights
-- Those of today: earlier ones are not kept.
INSERT INTO {scratch}.insight SELECT * FROM insight
 WHERE %(customers)s::text[] IS NULL OR customer_id = ANY (%(customers)s::text[]);

-- name: copy_hours
INSERT INTO {scratch}.campaign_hour (campaign, hour, contacts)
SELECT campaign, hour, contacts FROM campaign_hour WHERE hour < floor(extract(epoch FROM %(begin)s::timestamptz) / 3600)
 UNION ALL
SELECT campaign, floor(extract(epoch FROM %(begin)s::timestamptz) / 3600)::integer, count(*) FROM {scratch}.contact
 WHERE decided_at >= date_trunc('hour', %(begin)s::timestamptz, 'UTC') AND campaign IN (SELECT campaign FROM campaign_hour)
 GROUP BY campaign;

-- name: copy_stops
INSERT INTO {scratch}.campaign_stop (campaign, stopped_at, stopped_by, reason)
SELECT campaign, stopped_at, stopped_by, reason FROM campaign_stop
 WHERE stopped_at < %(begin)s AND (resumed_at IS NULL OR resumed_at >= %(end)s);

-- name: count_stops_between
SELECT count(*) FROM campaign_stop
 WHERE stopped_at BETWEEN %(begin)s AND %(end)s OR resumed_at BETWEEN %(begin)s AND %(end)s;

-- name: note_uncertain
INSERT INTO uncertain SELECT customer_id, %(what)s FROM unnest(%(customers)s::text[]) AS t (customer_id) ON CONFLICT DO NOTHING;

-- name: count_uncertain
SELECT what, count(*) FROM uncertain GROUP BY what ORDER BY what;

-- name: recorded_facts
SELECT asked.customer_id, found.facts::text
  FROM unnest(%(customers)s::text[], %(events)s::text[]) AS asked (customer_id, event_id),
       LATERAL (SELECT facts FROM decision d
                 WHERE d.customer_id = asked.customer_id AND d.event_id = asked.event_id OFFSET 0) AS found;

-- name: recorded_events
SELECT customer_id, event_id FROM decision
 WHERE coalesce(to_timestamp((inputs ->> 'received_ms')::double precision / 1000), as_of) >= %(begin)s
   AND coalesce(to_timestamp((inputs ->> 'received_ms')::double precision / 1000), as_of) < %(end)s
   AND (%(customers)s::text[] IS NULL OR customer_id = ANY (%(customers)s::text[]));

-- name: drop_difference
DROP TABLE IF EXISTS {scratch}.difference;

-- name: compare
-- A decision of the replay is compared with that of the same trigger id, whenever that was made; what was decided in the
-- period and not in the replay comes after it.
CREATE TABLE {scratch}.difference AS
WITH replayed AS (
    SELECT d.*, c.channel, c.offer_id, c.campaign_variant, c.propensity, c.contact_cost, c.offer_cost, c.variant AS arm,
           CASE WHEN o.value IS NULL THEN NULL ELSE convert_from(o.value, 'UTF8')::jsonb ->> 'message' END AS message,
           EXISTS (SELECT FROM decision l WHERE l.customer_id = d.customer_id AND l.event_id = d.event_id) AS recorded
      FROM {scratch}.decision d
      LEFT JOIN {scratch}.contact c ON c.customer_id = d.customer_id AND c.trigger_id = d.decision_id
      LEFT JOIN {scratch}.outbox o ON o.customer_id = d.customer_id AND o.message_id = d.decision_id::text
), decided AS (
    SELECT d.*, c.channel, c.offer_id, c.campaign_variant, c.propensity, c.contact_cost, c.offer_cost,
           CASE WHEN o.value IS NULL OR o.destination = 'dead_letters' THEN NULL
                ELSE convert_from(o.value, 'UTF8')::jsonb ->> 'message' END AS message,
           coalesce(to_timestamp((d.inputs ->> 'received_ms')::double precision / 1000), d.as_of) AS received_at
      FROM decision d
      LEFT JOIN contact c ON c.customer_id = d.customer_id AND c.trigger_id = d.decision_id
      LEFT JOIN outbox o ON o.customer_id = d.customer_id AND o.message_id = d.decision_id::text
     WHERE (%(customers)s::text[] IS NULL OR d.customer_id = ANY (%(customers)s::text[]))
       AND (d.as_of BETWEEN %(first)s AND %(last)s
            OR EXISTS (SELECT FROM {scratch}.decision r WHERE r.customer_id = d.customer_id AND r.decision_id = d.decision_id))
), paired AS (
    SELECT coalesce(r.customer_id, l.customer_id) AS customer_id, coalesce(r.decision_id, l.decision_id)::text AS trigger_id,
           coalesce(r.campaign, l.campaign) AS campaign, coalesce(r.segment, l.segment) AS segment,
           coalesce(r.occasion, l.occasion) AS occasion,
           r.outcome AS replay_outcome, r.reason AS replay_reason, r.detail AS replay_detail, r.as_of AS replay_as_of,
           r.channel AS replay_channel, r.offer_id AS replay_offer_id, r.message AS replay_message,
           r.campaign_variant AS replay_variant, r.propensity AS replay_propensity, r.net_value AS replay_net_value,
           r.contact_cost AS replay_contact_cost, r.offer_cost AS replay_offer_cost,
           l.outcome AS live_outcome, l.reason AS live_reason, l.detail AS live_detail, l.as_of AS live_as_of,
           l.channel AS live_channel, l.offer_id AS live_offer_id, l.message AS live_message,
           l.campaign_variant AS live_variant, l.propensity AS live_propensity, l.net_value AS live_net_value,
           l.contact_cost AS live_contact_cost, l.offer_cost AS live_offer_cost,
           r.recorded, r.decision_id IS NOT NULL AND l.decision_id IS NOT NULL AS is_in_both
      FROM replayed r FULL JOIN decided l ON l.customer_id = r.customer_id AND l.decision_id = r.decision_id
     WHERE r.decision_id IS NOT NULL OR (l.received_at >= %(begin)s AND l.received_at < %(end)s)
), judged AS (
    SELECT p.*, array_remove(ARRAY[
               CASE WHEN replay_offer_id <> live_offer_id THEN 'offer' END,
               CASE WHEN replay_channel <> live_channel THEN 'channel' END,
               CASE WHEN replay_message <> live_message THEN 'message' END], NULL) AS differing
      FROM paired p
)
SELECT CASE WHEN replay_outcome = 'fired' AND live_outcome = 'fired' AND differing = '{{}}' THEN 'same'
            WHEN replay_outcome = 'fired' AND live_outcome = 'fired' THEN 'changed'
            WHEN replay_outcome = 'fired' THEN 'added'
            WHEN live_outcome = 'fired' THEN 'removed'
            ELSE 'unsent' END AS kind,
       j.*, EXISTS (SELECT FROM {scratch}.uncertain u WHERE u.customer_id = j.customer_id) AS uncertain
  FROM judged j;

-- name: index_difference
CREATE INDEX ON {scratch}.difference (kind, campaign, trigger_id);

-- name: count_differences
SELECT campaign, kind, count(*), count(*) FILTER (WHERE uncertain) FROM difference GROUP BY campaign, kind ORDER BY campaign, kind;

-- name: count_reasons
SELECT kind, campaign, coalesce(replay_outcome || ': ' || replay_reason, 'no decision'),
       coalesce(live_outcome || ': ' || live_reason, 'no decision'), array_to_string(differing, ', '), count(*)
  FROM difference WHERE kind IN ('added', 'removed', 'changed')
 GROUP BY 1, 2, 3, 4, 5 ORDER BY count(*) DESC, 1, 2, 3, 4, 5;

-- name: count_sources
SELECT recorded, count(*) FROM difference WHERE replay_outcome IS NOT NULL GROUP BY recorded;

-- name: count_days
SELECT (coalesce(replay_as_of, live_as_of) AT TIME ZONE 'UTC')::date AS day, kind, count(*) FROM difference
 WHERE kind <> 'unsent' GROUP BY 1, 2 ORDER BY 1, 2;

-- name: count_unsent_alike
SELECT count(*) FILTER (WHERE replay_outcome IS NOT DISTINCT FROM live_outcome AND replay_reason IS NOT DISTINCT FROM live_reason), count(*)
  FROM difference WHERE kind = 'unsent';

-- name: count_uncompared_messages
SELECT count(*) FROM difference WHERE kind IN ('same', 'changed') AND (live_message IS NULL OR replay_message IS NULL);

-- name: list_differences
SELECT kind, customer_id, trigger_id, campaign, segment, occasion, differing, coalesce(recorded, false), uncertain,
       replay_outcome, replay_reason, replay_detail, replay_as_of, replay_channel, replay_offer_id, replay_message,
       replay_variant, replay_propensity, replay_net_value, replay_contact_cost, replay_offer_cost,
       live_outcome, live_reason, live_detail, live_as_of, live_channel, live_offer_id, live_message,
       live_variant, live_propensity, live_net_value, live_contact_cost, live_offer_cost
  FROM difference
 WHERE (%(kinds)s::text[] IS NULL OR kind = ANY (%(kinds)s::text[])) AND trigger_id > %(after)s
 ORDER BY trigger_id LIMIT %(limit)s;

-- name: example_differences
SELECT kind, customer_id, trigger_id, campaign, segment, occasion, differing, coalesce(recorded, false), uncertain,
       replay_outcome, replay_reason, replay_detail, replay_as_of, replay_channel, replay_offer_id, replay_message,
       replay_variant, replay_propensity, replay_net_value, replay_contact_cost, replay_offer_cost,
       live_outcome, live_reason, live_detail, live_as_of, live_channel, live_offer_id, live_message,
       live_variant, live_propensity, live_net_value, live_contact_cost, live_offer_cost
  FROM (SELECT d.*, row_number() OVER (PARTITION BY kind, campaign ORDER BY trigger_id) AS place
          FROM difference d WHERE kind IN ('added', 'removed', 'changed')) d
 WHERE place <= %(limit)s ORDER BY kind, campaign, place;

-- name: list_exposures
-- Each opportunity that the replay or the live ledger contacts or holds out, with what became of the live one.
SELECT d.campaign, d.customer_id, replay_outcome, replay_channel, replay_offer_id, replay_propensity, replay_net_value,
       coalesce(replay_contact_cost, 0), coalesce(replay_offer_cost, 0),
       live_outcome, live_channel, live_offer_id, live_propensity, coalesce(live_contact_cost, 0), coalesce(live_offer_cost, 0),
       coalesce(c.conversions, 0) > 0, coalesce(c.value, 0)::double precision
  FROM {scratch}.difference d LEFT JOIN contact c ON c.customer_id = d.customer_id AND c.trigger_id = d.trigger_id::uuid
 WHERE replay_channel IS NOT NULL OR live_channel IS NOT NULL;

-- name: count_rejects
SELECT reason, count(*) FROM dead_letter GROUP BY reason ORDER BY count(*) DESC, reason;

-- name: missing_triggers
-- Fired in the replay, and the ledger has neither a decision nor a contact of that id.
SELECT d.trigger_id, d.customer_id, d.campaign, d.occasion FROM difference d
 WHERE d.kind = 'added' AND d.live_outcome IS NULL AND d.trigger_id > %(after)s
 ORDER BY d.trigger_id LIMIT %(limit)s;

-- name: count_missing
SELECT campaign, count(*) FROM difference WHERE kind = 'added' AND live_outcome IS NULL GROUP BY campaign ORDER BY campaign;

-- name: begin_send
INSERT INTO replay_send (send_id, replay_id, begin_at, end_at, actor, why)
VALUES (%(send_id)s, %(replay_id)s, %(begin)s, %(end)s, %(by)s, %(why)s);

-- name: advance_send
UPDATE replay_send SET triggers = triggers + %(triggers)s WHERE send_id = %(send_id)s;

-- name: finish_send
UPDATE replay_send SET done_at = now() WHERE send_id = %(send_id)s;
