-- name: read_customers
-- JSON objects by customer, each decoded in one go. Of a customer evaluated under the present versions, as most are, the
-- first has no versions. `= ANY` and no joins: while the statistics are old, a join may pair every customer with every
-- row. The latest contact of each campaign with a cooldown, and every contact that a limit may count. Contacts of both
-- arms and with any status: a held-out customer is treated like a contacted one. Without a revision for a minute after the
-- first evaluation: a transaction that changed the customer before may still be open, and found no revision to replace.
SELECT (SELECT json_object_agg(customer_id, CASE WHEN roster_id = %(roster)s
                                                 THEN json_build_array(revision, due_at)
                                                 ELSE json_build_array(revision, due_at, roster_id, earlier) END)::text
          FROM (SELECT customer_id, roster_id, earlier, coalesce(due_at, 0) AS due_at,
                       CASE WHEN since > now() - interval '1 minute' THEN NULL ELSE revision::text END AS revision
                  FROM evaluated WHERE customer_id = ANY (%(customers)s::text[])) e),
       (SELECT json_object_agg(customer_id, episodes)::text
          FROM (SELECT customer_id, json_object_agg(segment, json_build_array(episode, is_member, suppressed, member_under)) AS episodes
                  FROM membership WHERE customer_id = ANY (%(customers)s::text[]) GROUP BY customer_id) m),
       (SELECT json_object_agg(customer_id, signals)::text FROM signal WHERE customer_id = ANY (%(customers)s::text[])),
       (SELECT json_object_agg(customer_id, channels)::text
          FROM (SELECT customer_id, json_object_agg(channel, json_build_array(granted_at, revoked_at)) AS channels
                  FROM (SELECT customer_id, channel, max(changed_at) FILTER (WHERE granted) AS granted_at,
                               max(changed_at) FILTER (WHERE NOT granted) AS revoked_at
                          FROM consent_change
                         WHERE customer_id = ANY (%(customers)s::text[]) GROUP BY customer_id, channel) latest
                 GROUP BY customer_id) r),
       (SELECT json_object_agg(customer_id, contacts)::text
          FROM (SELECT customer_id, json_object_agg(campaign, decided_at) AS contacts
                  FROM (SELECT customer_id, campaign, max(decided_at) AS decided_at
                          FROM contact
                         WHERE customer_id = ANY (%(customers)s::text[]) AND campaign = ANY (%(cooling)s::text[])
                         GROUP BY customer_id, campaign) latest
                 GROUP BY customer_id) c),
       -- CASE: without limits the contacts are not even looked up.
       (SELECT CASE WHEN %(contacts_after)s::timestamptz IS NULL THEN NULL ELSE
               (SELECT json_object_agg(customer_id, contacts)::text
                  FROM (SELECT customer_id, json_agg(json_build_array(campaign, channel, decided_at, offer_id)) AS contacts
                          FROM contact
                         WHERE customer_id = ANY (%(customers)s::text[]) AND decided_at > %(contacts_after)s::timestamptz
                         GROUP BY customer_id) l) END),
       (SELECT json_object_agg(customer_id, given)::text
          FROM (SELECT customer_id,
                       json_agg(json_build_array(event_id, kind, until, withdraws) ORDER BY event_id COLLATE "C") AS given
                  FROM feedback
                 WHERE customer_id = ANY (%(customers)s::text[]) AND kind <> 'wrong_score' GROUP BY customer_id) f);

-- name: find_changed_customers
-- Those who were changed, or erased, since the revisions were read.
SELECT asked.customer_id
  FROM unnest(%(customers)s::text[], %(revisions)s::bigint[]) AS asked (customer_id, revision)
       LEFT JOIN LATERAL (SELECT revision FROM evaluated e WHERE e.customer_id = asked.customer_id OFFSET 0) AS found ON true
 WHERE found.revision IS DISTINCT FROM asked.revision;

-- name: read_surroundings
-- What is never kept. Two JSON objects by campaign and two by customer, and the horizon of deletions.
SELECT (SELECT json_object_agg(campaign, reason)::text FROM campaign_stop WHERE resumed_at IS NULL),
       (SELECT json_object_agg(campaign, hours)::text
          FROM (SELECT found.campaign, json_object_agg(found.hour, found.contacts) AS hours
                  FROM unnest(%(hour_begins)s::integer[], %(hour_ends)s::integer[]) AS read (first, last),
                       LATERAL (SELECT campaign, hour, contacts FROM campaign_hour h
                                 WHERE h.campaign = ANY (%(breaking)s::text[]) AND h.hour BETWEEN read.first AND read.last
                                OFFSET 0) AS found
                 GROUP BY found.campaign) h),
       -- CASE: without rules on time nothing is looked up. None of the future: a wrong clock would hold a customer there.
       (SELECT CASE WHEN %(last_transitions)s THEN
               (SELECT json_object_agg(customer_id, at)::text
                  FROM (SELECT customer_id, greatest(max(entered_at) FILTER (WHERE entered_at <= now()),
                                                     max(exited_at) FILTER (WHERE exited_at <= now())) AS at
                          FROM membership WHERE customer_id = ANY (%(customers)s::text[]) GROUP BY customer_id) t
                 WHERE at IS NOT NULL) END),
       (SELECT CASE WHEN cardinality(%(insights)s::text[]) > 0 THEN
               (SELECT json_object_agg(customer_id, kinds)::text
                  FROM (SELECT customer_id, json_object_agg(kind, facts) AS kinds FROM insight
                         WHERE customer_id = ANY (%(customers)s::text[]) AND kind = ANY (%(insights)s::text[])
                         GROUP BY customer_id) i) END),
       (SELECT pruned_before FROM ledger_state);

-- name: read_rosters
SELECT roster_id, versions FROM roster WHERE roster_id = ANY (%(rosters)s::integer[]);

-- name: read_seen
-- LATERAL, or a plan made while the table was small reads all of it.
SELECT asked.customer_id, asked.event_id
  FROM unnest(%(customers)s::text[], %(ids)s::text[]) AS asked (customer_id, event_id),
       LATERAL (SELECT FROM seen_event s
                 WHERE s.customer_id = asked.customer_id AND s.event_id = asked.event_id OFFSET 0) AS found;

-- name: tombstones_version
SELECT tombstones FROM ledger_state;

-- name: tombstones
-- Each as one value: a million rows would take seconds.
SELECT (SELECT erasure_key FROM ledger_state), coalesce(string_agg(int8send(digest), ''::bytea), ''),
       coalesce(string_agg(int4send(bucket), ''::bytea), '')
  FROM tombstone;

-- name: read_contacts
SELECT asked.customer_id, asked.trigger_id::text, found.channel, found.status, found.value, found.conversions, found.first_at::text
  FROM unnest(%(customers)s::text[], %(ids)s::uuid[]) AS asked (customer_id, trigger_id),
       LATERAL (SELECT * FROM contact c
                 WHERE c.customer_id = asked.customer_id AND c.trigger_id = asked.trigger_id OFFSET 0) AS found;

-- name: read_decided
-- A contact outlives its decision when old decisions are deleted: its trigger must not be sent again.
SELECT asked.customer_id, asked.decision_id::text
  FROM unnest(%(customers)s::text[], %(ids)s::uuid[]) AS asked (customer_id, decision_id),
       LATERAL (SELECT FROM decision d
                 WHERE d.customer_id = asked.customer_id AND d.decision_id = asked.decision_id
                 UNION ALL
                SELECT FROM contact c
                 WHERE c.customer_id = asked.customer_id AND c.trigger_id = asked.decision_id
                 LIMIT 1) AS found;

-- name: hold_partitions
-- An error unless the epochs are the ledger's. No claim changes them before the transaction ends.
SELECT (held.epoch IS NOT DISTINCT FROM asked.epoch)::owned
  FROM unnest(%(partitions)s::integer[], %(epochs)s::bigint[]) AS asked (partition, epoch)
       LEFT JOIN (SELECT partition, epoch FROM partition_owner
                   WHERE partition = ANY (%(partitions)s::integer[]) ORDER BY partition FOR SHARE) AS held USING (partition);

-- name: compare_epochs
-- As hold_partitions, without a lock, of which nothing is written. A former primary that takes no writes may be behind:
-- there no epoch is right.
SELECT (held.epoch IS NOT DISTINCT FROM asked.epoch AND current_setting('transaction_read_only') = 'off')::owned
  FROM unnest(%(partitions)s::integer[], %(epochs)s::bigint[]) AS asked (partition, epoch)
       LEFT JOIN partition_owner AS held USING (partition);

-- name: claim_partition
-- It waits for an erasure, which would not see the row of a partition that is claimed for the first time.
WITH held AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared(%(lock)s))
INSERT INTO partition_owner AS o (partition, epoch) SELECT %(partition)s, 1 FROM held
    ON CONFLICT (partition) DO UPDATE SET epoch = o.epoch + 1
RETURNING epoch;

-- name: write_memberships
INSERT INTO membership AS m (customer_id, segment, episode, is_member, entered_at, exited_at, definition_version, suppressed)
SELECT t.customer_id, t.segment, t.episode, t.entered, t.at, CASE WHEN t.entered THEN NULL ELSE t.at END, t.version, t.suppressed
  FROM unnest(%(customers)s::text[], %(segments)s::text[], %(episodes)s::integer[], %(entered)s::boolean[],
              %(at)s::timestamptz[], %(versions)s::text[], %(suppressed)s::boolean[])
       AS t (customer_id, segment, episode, entered, at, version, suppressed)
 ORDER BY t.customer_id, t.segment
    ON CONFLICT (customer_id, segment) DO UPDATE
   SET episode = excluded.episode, is_member = excluded.is_member, definition_version = excluded.definition_version,
       entered_at = CASE WHEN excluded.is_member THEN excluded.entered_at ELSE m.entered_at END,
       exited_at = excluded.exited_at,
       suppressed = CASE WHEN excluded.is_member THEN excluded.suppressed ELSE m.suppressed END;

-- name: write_earlier_results
UPDATE membership SET member_under = string_to_array(r.member_under, ',')
  FROM unnest(%(customers)s::text[], %(segments)s::text[], %(member_under)s::text[]) AS r (customer_id, segment, member_under)
 WHERE membership.customer_id = r.customer_id AND membership.segment = r.segment;

-- name: write_evaluated
INSERT INTO evaluated AS e (customer_id, roster_id, due_at, revision)
SELECT customer_id, %(roster)s, due_at, %(revision)s
  FROM unnest(%(customers)s::text[], %(due_times)s::bigint[]) AS t (customer_id, due_at) ORDER BY customer_id
    ON CONFLICT (customer_id) DO UPDATE
   SET roster_id = excluded.roster_id,
       due_at = coalesce(excluded.due_at, e.due_at),
       claimed_until = CASE WHEN excluded.due_at IS NULL THEN e.claimed_until END,
       earlier = CASE WHEN e.roster_id = excluded.roster_id THEN e.earlier
                      ELSE (e.roster_id || array_remove(array_remove(e.earlier, e.roster_id), excluded.roster_id))[:%(kept)s] END,
       revision = excluded.revision;

-- name: write_revisions
-- Of everybody else whom the batch changes, with new due times. No new rows: a customer who is not known is neither due
-- nor kept. Locked in the order of their ids, as by write_evaluated.
UPDATE evaluated
   SET revision = %(revision)s,
       due_at = CASE WHEN t.moves THEN t.due_at ELSE evaluated.due_at END,
       claimed_until = CASE WHEN t.moves THEN NULL ELSE evaluated.claimed_until END
  FROM (SELECT e.customer_id, t.due_at, t.moves
          FROM unnest(%(customers)s::text[], %(due_times)s::bigint[], %(moves)s::boolean[]) AS t (customer_id, due_at, moves),
               LATERAL (SELECT customer_id FROM evaluated e WHERE e.customer_id = t.customer_id FOR UPDATE) AS e
         ORDER BY 1) AS t
 WHERE evaluated.customer_id = t.customer_id;

-- name: claim_due
UPDATE evaluated SET claimed_until = now() + %(lease_s)s::double precision * interval '1 second'
 WHERE customer_id = ANY (ARRAY(
       SELECT customer_id FROM evaluated
        WHERE due_at <= %(now)s AND (claimed_until IS NULL OR claimed_until <= now())
        ORDER BY due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED))
RETURNING customer_id, due_at;

-- name: ledger_time
SELECT extract(epoch FROM clock_timestamp())::bigint;

-- name: share_erasures
-- Held to the end of the transaction.
SELECT pg_advisory_xact_lock_shared(%(lock)s);

-- name: write_insights
INSERT INTO insight AS i (customer_id, kind, facts, computed_at)
SELECT customer_id, %(kind)s, facts, %(at)s FROM unnest(%(customers)s::text[], %(facts)s::jsonb[]) AS t (customer_id, facts)
 ORDER BY customer_id
    ON CONFLICT (customer_id, kind) DO UPDATE SET facts = excluded.facts, computed_at = excluded.computed_at
 WHERE i.computed_at <= excluded.computed_at;

-- name: remove_earlier_insights
DELETE FROM insight WHERE kind = %(kind)s AND computed_at < %(at)s;

-- name: count_insights
SELECT kind, count(*), max(computed_at) FROM insight GROUP BY kind ORDER BY kind;

-- name: last_transition
SELECT floor(extract(epoch FROM greatest(max(entered_at), max(exited_at))))::bigint FROM membership;

-- name: next_due
SELECT due_at FROM evaluated WHERE due_at IS NOT NULL AND (claimed_until IS NULL OR claimed_until <= now())
 ORDER BY due_at LIMIT 1;

-- name: find_roster
-- DO NOTHING would return no row when another worker makes the same roster at this moment.
INSERT INTO roster (versions) VALUES (%(versions)s)
    ON CONFLICT (md5(versions::text)) DO UPDATE SET versions = excluded.versions
RETURNING roster_id;

-- name: write_seen
INSERT INTO seen_event (customer_id, event_id)
SELECT * FROM unnest(%(customers)s::text[], %(ids)s::text[]) AS t (customer_id, event_id) ORDER BY 1, 2;

-- name: write_signals
INSERT INTO signal (customer_id, signals)
SELECT * FROM unnest(%(customers)s::text[], %(signals)s::jsonb[]) AS t (customer_id, signals) ORDER BY 1
    ON CONFLICT (customer_id) DO UPDATE SET signals = excluded.signals;

-- name: write_decisions
-- One statement: the contact and the messages of a decision are stored only when the decision is, so the first outcome
-- stands everywhere. A message without a decision is stored by its own id. `IN` inside a larger expression is a hashed
-- look-up under every join setting; a join would be a nested loop over every pair.
WITH stored AS (
    INSERT INTO decision (customer_id, decision_id, campaign, segment, occasion, outcome, reason, detail, event_id, as_of, facts, versions, net_value, inputs)
    SELECT * FROM unnest(%(customers)s::text[], %(ids)s::uuid[], %(campaigns)s::text[], %(segments)s::text[], %(occasions)s::text[],
                         %(outcomes)s::text[], %(reasons)s::text[], %(details)s::text[], %(events)s::text[],
                         %(as_of)s::timestamptz[], %(facts)s::jsonb[], %(versions)s::jsonb[], %(net_values)s::double precision[], %(inputs)s::jsonb[])
        ON CONFLICT (customer_id, decision_id) DO NOTHING
    RETURNING decision_id
), contacted AS (
    INSERT INTO contact (customer_id, trigger_id, campaign, channel, variant, offer_id, status, decided_at, propensity,
                         campaign_variant, contact_cost, offer_cost)
    SELECT customer_id, trigger_id, campaign, channel, variant, offer_id, 'reserved', decided_at, propensity,
           campaign_variant, contact_cost, offer_cost
      FROM unnest(%(contact_customers)s::text[], %(contact_ids)s::uuid[], %(contact_campaigns)s::text[], %(channels)s::text[],
                  %(variants)s::text[], %(offers)s::integer[], %(contact_as_of)s::timestamptz[],
                  %(propensities)s::double precision[], %(campaign_variants)s::text[], %(contact_costs)s::double precision[],
                  %(offer_costs)s::double precision[])
           AS t (customer_id, trigger_id, campaign, channel, variant, offer_id, decided_at, propensity, campaign_variant,
                 contact_cost, offer_cost)
     WHERE (trigger_id IN (SELECT decision_id FROM stored)) IS TRUE
        ON CONFLICT (customer_id, trigger_id) DO NOTHING
    RETURNING campaign, decided_at
), counted AS (
    INSERT INTO campaign_hour AS h (campaign, hour, contacts)
    SELECT campaign, floor(extract(epoch FROM decided_at) / 3600)::integer, count(*)
      FROM contacted WHERE campaign = ANY (%(breaking)s::text[]) GROUP BY 1, 2 ORDER BY 1, 2
        ON CONFLICT (campaign, hour) DO UPDATE SET contacts = h.contacts + excluded.contacts
)
INSERT INTO outbox (customer_id, message_id, destination, partition, key, headers, value)
SELECT customer_id, message_id, destination, partition, key, headers, value
  FROM unnest(%(message_customers)s::text[], %(message_ids)s::text[], %(message_decisions)s::uuid[], %(destinations)s::text[],
              %(partitions)s::integer[], %(keys)s::bytea[], %(headers)s::bytea[], %(values)s::bytea[])
       WITH ORDINALITY AS t (customer_id, message_id, decision_id, destination, partition, key, headers, value, place)
 -- A dead letter outlives its row here: one that the ledger has was published, or still will be.
 WHERE (decision_id IS NULL OR decision_id IN (SELECT decision_id FROM stored))
   AND (destination <> 'dead_letters' OR NOT EXISTS (SELECT FROM dead_letter d WHERE d.letter_id = t.message_id))
 ORDER BY place
    ON CONFLICT (customer_id, message_id) DO NOTHING
RETURNING sequence, message_id;

-- name: write_stops
-- Of workers that stop a campaign at once, the first one does.
INSERT INTO campaign_stop (campaign, stopped_by, reason)
SELECT * FROM unnest(%(campaigns)s::text[], %(actors)s::text[], %(reasons)s::text[]) AS t (campaign, stopped_by, reason)
 ORDER BY 1
    ON CONFLICT (campaign) WHERE resumed_at IS NULL DO NOTHING
RETURNING campaign;

-- name: resume_campaign
-- What was counted so far counts no longer, or the next contact would stop the campaign again.
WITH resumed AS (
    UPDATE campaign_stop SET resumed_at = now(), resumed_by = %(by)s, resume_reason = %(reason)s
     WHERE campaign = %(campaign)s AND resumed_at IS NULL
    RETURNING campaign
), forgotten AS (
    UPDATE campaign_hour SET contacts = 0 WHERE campaign IN (SELECT campaign FROM resumed)
)
SELECT campaign FROM resumed;

-- name: stops
SELECT campaign, reason, stopped_by, stopped_at FROM campaign_stop WHERE resumed_at IS NULL ORDER BY campaign;

-- name: write_experiment_customers
INSERT INTO experiment_customer (customer_id, experiment, arm, first_at, champion_score, challenger_score, champion_answer, challenger_answer)
SELECT * FROM unnest(%(customers)s::text[], %(experiments)s::text[], %(arms)s::text[], %(first_at)s::timestamptz[],
                     %(champion_scores)s::double precision[], %(challenger_scores)s::double precision[],
                     %(champion_answers)s::text[], %(challenger_answers)s::text[]) AS t (customer_id, experiment)
 ORDER BY 1, 2
    ON CONFLICT (customer_id, experiment) DO NOTHING;

-- name: stop_experiment
-- Of workers that find it at once, the first one does.
INSERT INTO experiment_stop (experiment, reason) VALUES (%(experiment)s, %(reason)s)
    ON CONFLICT (experiment) DO NOTHING
RETURNING experiment;

-- name: experiment_stops
SELECT experiment, reason, stopped_at FROM experiment_stop WHERE experiment = ANY (%(experiments)s::text[]) ORDER BY experiment;

-- name: experiment_days
-- As exposure_days, with the customers of an experiment on a model: what came of all contacts since it reached them. The
-- challenger is the treatment.
WITH reached AS (
    SELECT customer_id, CASE arm WHEN 'challenger' THEN 'treatment' ELSE 'control' END AS variant, first_at, recorded_at
      FROM experiment_customer WHERE experiment = %(experiment)s
), contacted AS (
    SELECT c.customer_id, (c.first_at ->> 'converted')::timestamptz AS converted_at,
           CASE WHEN c.first_at ? 'converted' THEN coalesce(c.value, 0) ELSE 0 END AS revenue,
           CASE WHEN c.variant = 'treatment' AND o.failed_at IS NULL AND c.status <> 'failed'
                     AND (o.message_id IS NULL OR o.sent_at IS NOT NULL)
                THEN coalesce(c.contact_cost::numeric, 0) ELSE 0 END
           + CASE WHEN c.variant = 'treatment' AND c.first_at ? 'converted' THEN coalesce(c.offer_cost::numeric, 0) ELSE 0 END AS cost
      FROM reached JOIN contact c ON c.customer_id = reached.customer_id AND c.recorded_at >= reached.recorded_at
           LEFT JOIN outbox o ON o.customer_id = c.customer_id AND o.message_id = c.trigger_id::text
     WHERE %(until)s::timestamptz IS NULL OR c.recorded_at < %(until)s::timestamptz
), summed AS (
    SELECT customer_id, min(converted_at) AS converted_at, sum(revenue) AS revenue, sum(cost) AS cost
      FROM contacted GROUP BY customer_id
), happened AS (
    SELECT variant, first_at AS at, 1 AS reached, 0 AS converted, 0 AS revenue, coalesce(cost, 0) AS cost,
           coalesce(cost * (cost - 2 * revenue), 0) AS square
      FROM reached LEFT JOIN summed USING (customer_id)
     UNION ALL
    SELECT variant, greatest(first_at, converted_at), 0, 1, revenue, 0, 0
      FROM reached JOIN summed USING (customer_id) WHERE converted_at IS NOT NULL
)
SELECT %(experiment)s, variant, (at AT TIME ZONE 'UTC')::date, sum(reached), sum(converted), sum(revenue), sum(revenue * revenue),
       NULL, sum(cost), sum(square)
  FROM happened GROUP BY variant, 3 ORDER BY 3, variant;

-- name: experiment_agreement
SELECT count(*), corr(champion_score, challenger_score), avg(abs(champion_score - challenger_score)),
       count(*) FILTER (WHERE champion_answer IS DISTINCT FROM challenger_answer)
  FROM experiment_customer WHERE experiment = %(experiment)s AND challenger_score IS NOT NULL AND champion_score IS NOT NULL;

-- name: experiment_answers
SELECT champion_answer, challenger_answer, count(*) FROM experiment_customer
 WHERE experiment = %(experiment)s AND challenger_score IS NOT NULL AND champion_score IS NOT NULL
 GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2;

-- name: write_contact_states
UPDATE contact
   SET status = t.status, value = t.value, conversions = t.conversions, first_at = t.first_at
  FROM unnest(%(customers)s::text[], %(ids)s::uuid[], %(statuses)s::text[], %(values)s::numeric[], %(conversions)s::integer[],
              %(first_at)s::jsonb[])
       AS t (customer_id, trigger_id, status, value, conversions, first_at)
 WHERE contact.customer_id = t.customer_id AND contact.trigger_id = t.trigger_id;

-- name: write_consent_changes
INSERT INTO consent_change (customer_id, event_id, channel, granted, changed_at, source, trigger_id)
SELECT * FROM unnest(%(customers)s::text[], %(events)s::text[], %(channels)s::text[], %(granted)s::boolean[],
                     %(at)s::timestamptz[], %(sources)s::text[], %(triggers)s::uuid[])
    ON CONFLICT (customer_id, event_id) DO NOTHING;

-- name: write_feedback
INSERT INTO feedback (customer_id, event_id, kind, given_at, actor, why, until, model, value, withdraws)
SELECT * FROM unnest(%(customers)s::text[], %(events)s::text[], %(kinds)s::text[], %(at)s::timestamptz[], %(actors)s::text[],
                     %(whys)s::text[], %(untils)s::timestamptz[], %(models)s::text[], %(numbers)s::double precision[],
                     %(withdraws)s::text[])
    ON CONFLICT (customer_id, event_id) DO NOTHING;

-- name: read_leads
SELECT lead_id, customer_id, updated_at, features, score, tier, basis, version, probability, crossings, outcome, outcome_at
  FROM lead WHERE lead_id = ANY (%(customers)s::text[]);

-- name: write_leads
-- Not over a later update, which a producer's other partitioner may have brought to another worker.
INSERT INTO lead AS l (lead_id, customer_id, updated_at, features, score, tier, basis, version, probability, crossings, outcome,
                       outcome_at)
SELECT lead_id, customer_id, updated_at, features, score, tier, basis, version, probability, crossings, outcome, outcome_at
  FROM unnest(%(leads)s::text[], %(customers)s::text[], %(updated_at)s::timestamptz[], %(features)s::jsonb[],
              %(scores)s::double precision[], %(tiers)s::text[], %(bases)s::text[], %(versions)s::text[],
              %(probabilities)s::double precision[], %(crossings)s::integer[], %(outcomes)s::text[], %(outcome_at)s::timestamptz[])
       AS t (lead_id, customer_id, updated_at, features, score, tier, basis, version, probability, crossings, outcome, outcome_at)
 ORDER BY lead_id
    ON CONFLICT (lead_id) DO UPDATE
   SET customer_id = excluded.customer_id, updated_at = excluded.updated_at, features = excluded.features,
       score = excluded.score, tier = excluded.tier, basis = excluded.basis, version = excluded.version,
       probability = excluded.probability, crossings = excluded.crossings, outcome = excluded.outcome,
       outcome_at = excluded.outcome_at, changed_at = now()
 WHERE l.updated_at IS NULL OR excluded.updated_at >= l.updated_at;

-- name: write_lead_records
INSERT INTO lead_event (lead_id, event_id, customer_id, type, occurred_at, content)
SELECT * FROM unnest(%(leads)s::text[], %(events)s::text[], %(customers)s::text[], %(types)s::text[],
                     %(at)s::timestamptz[], %(contents)s::jsonb[]) AS t (lead_id, event_id, customer_id, type, occurred_at, content)
 ORDER BY lead_id, event_id
    ON CONFLICT (lead_id, event_id) DO NOTHING;

-- name: list_leads
SELECT lead_id, customer_id, updated_at, features, score, tier, basis, version, probability, crossings, outcome, outcome_at
  FROM lead
 WHERE (%(tier)s::text IS NULL OR tier = %(tier)s) AND (%(closed)s OR outcome IS NULL)
 ORDER BY score DESC NULLS LAST, lead_id LIMIT %(limit)s;

-- name: lead_events
SELECT lead_id, event_id, customer_id, type, occurred_at, content
  FROM lead_event WHERE lead_id = %(lead)s ORDER BY occurred_at, event_id;

-- name: leads_of
SELECT DISTINCT lead_id FROM lead WHERE customer_id = ANY (%(customers)s::text[]);

-- name: cache_generation
SELECT cache_generation FROM ledger_state;

-- name: digest_key
SELECT digest_key FROM ledger_state;

-- name: ledger_id
SELECT ledger_id FROM ledger_state;

-- name: last_sequence
SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM outbox_sequence_seq;

-- name: renew_ledger
UPDATE ledger_state SET ledger_id = left(gen_random_uuid()::text, 8) RETURNING ledger_id;

-- name: bump_cache_generation
UPDATE ledger_state SET cache_generation = cache_generation + 1 RETURNING cache_generation;

-- name: unsent
SELECT sequence, message_id, customer_id, destination, key, headers, value, partition, refused_by, failure
  FROM outbox WHERE partition = %(partition)s AND sent_at IS NULL ORDER BY sequence;

-- name: count_unsent
SELECT partition, count(*) FROM outbox WHERE partition = ANY (%(partitions)s::integer[]) AND sent_at IS NULL GROUP BY partition;

-- name: mark_sent
-- Not "AND sent_at IS NULL": the index on what is unsent would be read, and all that was unsent since its last vacuum.
UPDATE outbox SET sent_at = coalesce(sent_at, now()) WHERE sequence = ANY (%(sequences)s::bigint[]);

-- name: activate
INSERT INTO activation (kind, key, version, mode, activated_at, activated_by)
VALUES (%(kind)s, %(key)s, %(version)s, %(mode)s, %(at)s, %(by)s)
    ON CONFLICT (kind, key, version) DO NOTHING;

-- name: set_activation_mode
INSERT INTO activation (kind, key, version, mode, activated_at, activated_by)
VALUES ('segment', %(key)s, %(version)s, %(mode)s, %(at)s, %(by)s)
    ON CONFLICT (kind, key, version) DO UPDATE SET mode = excluded.mode, activated_by = excluded.activated_by;

-- name: segment_activations
SELECT key, version, mode, activated_at FROM activation WHERE kind = 'segment' AND (key, version) IN
       (SELECT * FROM unnest(%(keys)s::text[], %(versions)s::text[]) AS t (key, version));

-- name: lock_segment_activations
SELECT pg_advisory_xact_lock(%(lock)s);

-- name: note_segment_activations
-- Those whose version is not the latest one noted, or whose rules are not noted yet. Workers that start at once wait for
-- each other, so each change is noted once.
WITH latest AS (
    SELECT DISTINCT ON (segment) segment, version, rules FROM segment_activation
     WHERE segment = ANY (%(keys)s::text[]) ORDER BY segment, number DESC
)
INSERT INTO segment_activation (segment, version, mode, activated_at, actor, why, rules)
SELECT a.key, a.version, a.mode, %(at)s, %(by)s, '', t.rules
  FROM unnest(%(keys)s::text[], %(versions)s::text[], %(rules)s::jsonb[]) AS t (key, version, rules)
  JOIN activation a ON a.kind = 'segment' AND a.key = t.key AND a.version = t.version
  LEFT JOIN latest l ON l.segment = t.key
 WHERE l.version IS DISTINCT FROM t.version OR l.rules IS NULL
 ORDER BY a.key
RETURNING segment;

-- name: latest_segment_versions
SELECT DISTINCT ON (segment) segment, version FROM segment_activation
 WHERE segment = ANY (%(keys)s::text[]) ORDER BY segment, number DESC;

-- name: note_segment_mode
INSERT INTO segment_activation (segment, version, mode, activated_at, actor, why, rules)
VALUES (%(key)s, %(version)s, %(mode)s, %(at)s, %(by)s, %(why)s, %(rules)s::jsonb);

-- name: segment_rules
SELECT DISTINCT segment, version, rules FROM segment_activation
 WHERE segment = ANY (%(keys)s::text[]) AND rules IS NOT NULL;

-- name: segment_history
SELECT version, mode, activated_at, actor, why, rules FROM segment_activation WHERE segment = %(key)s ORDER BY number DESC;

-- name: segment_histories
SELECT segment, version, mode, activated_at, actor, why, rules FROM segment_activation
 WHERE segment = ANY (%(keys)s::text[]) ORDER BY segment, number DESC;

-- name: members
SELECT customer_id FROM membership WHERE segment = %(segment)s AND is_member ORDER BY customer_id;

-- name: list_members
SELECT customer_id, entered_at, definition_version, suppressed FROM membership
 WHERE segment = %(segment)s AND is_member AND customer_id > %(after)s ORDER BY customer_id LIMIT %(limit)s;

-- name: segment_sizes
SELECT segment, count(*) FROM membership WHERE is_member GROUP BY segment ORDER BY segment;

-- name: limit_count
SELECT set_config('statement_timeout', %(timeout)s, true), set_config('max_parallel_workers_per_gather', '0', true);

-- name: lock_segment_sizes
SELECT pg_try_advisory_xact_lock(%(lock)s);

-- name: write_segment_sizes
-- Those of this hour that are missing; the others are not counted.
INSERT INTO segment_size (segment, at, members)
SELECT s.segment, hour.begins, (SELECT count(*) FROM membership m WHERE m.segment = s.segment AND m.is_member)
  FROM unnest(%(segments)s::text[]) AS s (segment), date_trunc('hour', now(), 'UTC') AS hour (begins)
 WHERE NOT EXISTS (SELECT FROM segment_size z WHERE z.segment = s.segment AND z.at = hour.begins)
    ON CONFLICT (segment, at) DO NOTHING;

-- name: decisions_of
SELECT d.campaign, d.segment, d.occasion, d.outcome, d.reason, d.detail, d.as_of, d.facts, d.versions, d.event_id, o.failure,
       d.net_value, c.campaign_variant, c.channel, c.offer_id, c.propensity, d.inputs::text, o.value
  FROM decision d LEFT JOIN outbox o ON o.customer_id = d.customer_id AND o.message_id = d.decision_id::text
       LEFT JOIN contact c ON c.customer_id = d.customer_id AND c.trigger_id = d.decision_id
 WHERE d.customer_id = %(customer)s ORDER BY d.as_of, d.campaign;

-- name: memberships_of
SELECT segment, episode, is_member, entered_at, exited_at FROM membership WHERE customer_id = %(customer)s ORDER BY segment;

-- name: write_dead_letters
INSERT INTO dead_letter (letter_id, stage, reason, detail, topic, partition, "offset", key, headers, value, size, digest, truncated)
SELECT letter_id, stage, reason, detail, topic, partition, "offset", key, headers, value, size, digest, truncated
  FROM unnest(%(ids)s::text[], %(stages)s::text[], %(reasons)s::text[], %(details)s::text[], %(topics)s::text[],
              %(partitions)s::integer[], %(offsets)s::bigint[], %(keys)s::bytea[], %(headers)s::bytea[], %(values)s::bytea[],
              %(sizes)s::bigint[], %(digests)s::text[], %(truncated)s::text[])
       WITH ORDINALITY AS t (letter_id, stage, reason, detail, topic, partition, "offset", key, headers, value, size, digest, truncated, place)
 ORDER BY place
    ON CONFLICT (letter_id) DO NOTHING;

-- name: mark_failed
UPDATE outbox SET failed_at = now(), refused_by = f.topic, failure = f.reason
  FROM unnest(%(sequences)s::bigint[], %(topics)s::text[], %(reasons)s::text[]) AS f (sequence, topic, reason)
 WHERE outbox.sequence = f.sequence AND outbox.failed_at IS NULL;
-- name: consent_changes_of
SELECT event_id, channel, granted, changed_at, source, trigger_id::text
  FROM consent_change WHERE customer_id = %(customer)s ORDER BY changed_at, granted DESC, event_id;

-- name: feedback_of
SELECT customer_id, event_id, kind, given_at, actor, why, until, model, value, withdraws
  FROM feedback WHERE customer_id = %(customer)s ORDER BY given_at, event_id COLLATE "C";

-- name: all_feedback
SELECT customer_id, event_id, kind, given_at, actor, why, until, model, value, withdraws
  FROM feedback ORDER BY given_at, customer_id COLLATE "C", event_id COLLATE "C";

-- name: dead_letters
SELECT letter_id, number, created_at, stage, reason, detail, topic, partition, "offset", key, headers, size, digest, truncated,
       resolution, resolved_at, actor, why
  FROM dead_letter
 WHERE (%(ids)s::text[] IS NULL OR letter_id = ANY (%(ids)s::text[]))
   AND (%(resolution)s::text IS NULL OR resolution = %(resolution)s::text)
   AND (%(reason)s::text IS NULL OR reason = %(reason)s::text)
   AND (%(topic)s::text IS NULL OR topic = %(topic)s::text)
   AND (%(key)s::bytea IS NULL OR key = %(key)s::bytea)
   AND (%(since)s::timestamptz IS NULL OR created_at >= %(since)s::timestamptz)
   AND number > %(after)s
   AND number < %(before)s
 ORDER BY number
 LIMIT %(limit)s;

-- name: count_dead_letters
SELECT reason, count(*)
  FROM dead_letter
 WHERE (%(ids)s::text[] IS NULL OR letter_id = ANY (%(ids)s::text[]))
   AND (%(resolution)s::text IS NULL OR resolution = %(resolution)s::text)
   AND (%(reason)s::text IS NULL OR reason = %(reason)s::text)
   AND (%(topic)s::text IS NULL OR topic = %(topic)s::text)
   AND (%(key)s::bytea IS NULL OR key = %(key)s::bytea)
   AND (%(since)s::timestamptz IS NULL OR created_at >= %(since)s::timestamptz)
 GROUP BY reason ORDER BY count(*) DESC, reason;

-- name: dead_letter_values
SELECT letter_id, value FROM dead_letter WHERE letter_id = ANY (%(ids)s::text[]);

-- name: dead_letter_last_run
SELECT COALESCE(max(run), 0) FROM dead_letter;

-- name: claim_dead_letters
UPDATE dead_letter SET resolution = 'requeueing', resolved_at = now(), actor = %(by)s, why = NULL, run = %(run)s
 WHERE letter_id = ANY (%(ids)s::text[]) AND resolution = 'open'
RETURNING letter_id;

-- name: finish_dead_letters
UPDATE dead_letter SET resolution = 'requeued', resolved_at = now() WHERE resolution = 'requeueing' AND run <= %(run)s;

-- name: reopen_dead_letters
UPDATE dead_letter SET resolution = 'open', resolved_at = NULL, actor = NULL, run = NULL WHERE resolution = 'requeueing';

-- name: discard_dead_letters
UPDATE dead_letter SET resolution = 'discarded', resolved_at = now(), actor = %(by)s, why = %(why)s
 WHERE letter_id = ANY (%(ids)s::text[]) AND resolution = 'open'
RETURNING letter_id;

-- name: find_launch
SELECT launch_id, campaign, as_of, actor, started_at, last_customer_id, members, done_at
  FROM campaign_launch WHERE launch_id = %(launch_id)s;

-- name: last_launch
SELECT launch_id, campaign, as_of, actor, started_at, last_customer_id, members, done_at
  FROM campaign_launch WHERE campaign = %(campaign)s ORDER BY done_at IS NULL DESC, started_at DESC LIMIT 1;

-- name: begin_launch
INSERT INTO campaign_launch (launch_id, campaign, as_of, actor) VALUES (%(launch_id)s, %(campaign)s, %(as_of)s, %(by)s)
    ON CONFLICT (launch_id) DO NOTHING
RETURNING launch_id, campaign, as_of, actor, started_at, last_customer_id, members, done_at;

-- name: advance_launch
UPDATE campaign_launch SET last_customer_id = %(last)s, members = members + %(members)s WHERE launch_id = %(launch_id)s;

-- name: finish_launch
UPDATE campaign_launch SET done_at = now() WHERE launch_id = %(launch_id)s;

-- name: count_launch_decisions
-- By time first: that index is small, and no other one has the occasion.
SELECT outcome, reason, count(*) FROM decision
 WHERE as_of BETWEEN %(as_of)s - interval '1 second' AND %(as_of)s + interval '1 second'
   AND campaign = %(campaign)s AND occasion = %(occasion)s
 GROUP BY outcome, reason ORDER BY count(*) DESC, outcome, reason;

-- name: count_members
SELECT count(*) FROM membership
 WHERE segment = %(segment)s AND is_member AND customer_id > %(after)s::text;

-- name: members_after
SELECT customer_id FROM membership
 WHERE segment = %(segment)s AND is_member AND customer_id > %(after)s::text
 ORDER BY customer_id LIMIT %(limit)s;

-- name: count_contacts
-- The message of a trigger may be deleted from the outbox after it is sent: one that is gone was published.
SELECT variant, count(*),
       count(*) FILTER (WHERE failed_at IS NULL AND (message_id IS NULL OR sent_at IS NOT NULL)),
       count(failed_at),
       count(*) FILTER (WHERE failed_at IS NULL AND message_id IS NOT NULL AND sent_at IS NULL),
       count(first_at -> 'failed'), count(first_at -> 'delivered'), count(first_at -> 'bounced'), count(first_at -> 'opened'),
       count(first_at -> 'clicked'), count(first_at -> 'converted'), sum(conversions), coalesce(sum(c.value), 0),
       coalesce(sum(contact_cost::numeric) FILTER (WHERE variant = 'treatment' AND failed_at IS NULL
                                                     AND c.status <> 'failed' AND (message_id IS NULL OR sent_at IS NOT NULL)), 0),
       coalesce(sum(offer_cost::numeric) FILTER (WHERE variant = 'treatment' AND first_at ? 'converted'), 0)
  FROM contact c LEFT JOIN outbox o ON o.customer_id = c.customer_id AND o.message_id = c.trigger_id::text
 WHERE c.campaign = ANY (%(campaigns)s::text[])
 GROUP BY variant;

-- name: exposure_days
-- Each customer once, in the arm and under the version of the first exposure; of a group of campaigns, that of the first
-- campaign, whose key precedes its version. Conversions, revenue and cost of all contacts.
WITH exposed AS (
    SELECT DISTINCT ON (c.customer_id) c.customer_id,
           CASE WHEN cardinality(%(campaigns)s::text[]) > 1 THEN c.campaign || ' ' ELSE '' END
           || (d.versions ->> 'campaign') AS version, c.variant, c.campaign_variant,
           c.decided_at
      FROM contact c LEFT JOIN decision d ON d.customer_id = c.customer_id AND d.decision_id = c.trigger_id
     WHERE c.campaign = ANY (%(campaigns)s::text[])
     ORDER BY c.customer_id, c.decided_at, c.trigger_id
), answered AS (
    SELECT customer_id, min((first_at ->> 'converted')::timestamptz) AS converted_at, coalesce(sum(value), 0) AS revenue
      FROM contact WHERE campaign = ANY (%(campaigns)s::text[]) AND first_at ? 'converted' GROUP BY customer_id
), spent AS (
    SELECT c.customer_id, sum(CASE WHEN failed_at IS NULL AND c.status <> 'failed' AND (message_id IS NULL OR sent_at IS NOT NULL)
                                   THEN contact_cost::numeric ELSE 0 END
                              + CASE WHEN first_at ? 'converted' THEN offer_cost::numeric ELSE 0 END) AS cost
      FROM contact c LEFT JOIN outbox o ON o.customer_id = c.customer_id AND o.message_id = c.trigger_id::text
     WHERE c.campaign = ANY (%(campaigns)s::text[]) AND c.variant = 'treatment' AND (contact_cost > 0 OR offer_cost > 0)
     GROUP BY c.customer_id
), happened AS (
    SELECT version, variant, campaign_variant, decided_at AS at, 1 AS exposed, 0 AS converted, 0 AS revenue,
           coalesce(cost, 0) AS cost, coalesce(cost * (cost - 2 * coalesce(answered.revenue, 0)), 0) AS square
      FROM exposed LEFT JOIN answered USING (customer_id) LEFT JOIN spent USING (customer_id)
     UNION ALL
    SELECT version, variant, campaign_variant, greatest(decided_at, converted_at), 0, 1, revenue, 0, 0
      FROM exposed JOIN answered USING (customer_id)
)
SELECT version, variant, (at AT TIME ZONE 'UTC')::date, sum(exposed), sum(converted), sum(revenue), sum(revenue * revenue),
       campaign_variant, sum(cost), sum(square)
  FROM happened GROUP BY version, variant, 3, campaign_variant ORDER BY 3, version, variant, campaign_variant;

-- name: count_in_both_arms
SELECT count(*) FROM (SELECT FROM contact WHERE campaign = ANY (%(campaigns)s::text[])
                       GROUP BY customer_id HAVING count(DISTINCT variant) > 1) moved;

-- name: unfinished_reevaluation
SELECT reevaluation_id, fingerprint, as_of, actor, started_at, last_customer_id, customers, done_at
  FROM reevaluation WHERE fingerprint = %(fingerprint)s AND done_at IS NULL ORDER BY started_at DESC LIMIT 1;

-- name: begin_reevaluation
INSERT INTO reevaluation (reevaluation_id, fingerprint, as_of, actor)
VALUES (%(reevaluation_id)s, %(fingerprint)s, %(as_of)s, %(by)s)
RETURNING reevaluation_id, fingerprint, as_of, actor, started_at, last_customer_id, customers, done_at;

-- name: advance_reevaluation
UPDATE reevaluation SET last_customer_id = %(last)s, customers = customers + %(customers)s
 WHERE reevaluation_id = %(reevaluation_id)s;

-- name: finish_reevaluation
UPDATE reevaluation SET done_at = now() WHERE reevaluation_id = %(reevaluation_id)s;

-- name: evaluated_under
SELECT customer_id FROM evaluated
 WHERE customer_id = ANY (%(customers)s::text[])
   AND roster_id = (SELECT roster_id FROM roster WHERE md5(versions::text) = md5(%(versions)s::jsonb::text));

-- name: count_evaluated_under
-- Whatever the changeovers of models, which follow the version of the rules.
SELECT count(*) FILTER (WHERE roster_id IN (SELECT roster_id FROM roster WHERE split_part(versions ->> %(key)s, ' ', 1) = %(version)s)), count(*)
  FROM evaluated;

-- name: name_session
SELECT set_config('application_name', %(name)s, false);

-- name: worker_sessions
SELECT pg_backend_pid(), current_setting('application_name'),
       coalesce(array_agg(substr(application_name, length(%(prefix)s::text) + 1)), '{}')
  FROM pg_stat_activity
 WHERE datname = current_database() AND starts_with(application_name, %(prefix)s::text);

-- name: lock_definitions
SELECT pg_advisory_xact_lock(%(lock)s);

-- name: definitions_mark
-- What workers note themselves has no reason.
SELECT coalesce((SELECT max(revision) FROM definition_version), 0),
       coalesce((SELECT max(number) FROM segment_activation WHERE why <> ''), 0);

-- name: latest_definitions
SELECT DISTINCT ON (kind, key) kind, key, number, content, digest, author, reason, at, revision FROM definition_version
 WHERE %(revision)s::bigint IS NULL OR revision <= %(revision)s
 ORDER BY kind, key, number DESC;

-- name: latest_revisions
SELECT kind, key, number, content, digest, author, reason, at, revision FROM definition_version
 ORDER BY revision DESC LIMIT %(limit)s;

-- name: definition_history
SELECT kind, key, number, content, digest, author, reason, at, revision FROM definition_version
 WHERE kind = %(kind)s AND key = %(key)s ORDER BY number DESC;

-- name: add_definition_version
INSERT INTO definition_version (revision, kind, key, number, content, digest, author, reason)
SELECT (SELECT coalesce(max(revision), 0) + 1 FROM definition_version), %(kind)s, %(key)s, %(number)s, %(content)s::json,
       %(digest)s, %(by)s, %(why)s
RETURNING kind, key, number, content, digest, author, reason, at, revision;
