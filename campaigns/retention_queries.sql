-- name: erasure_tables
-- Those of the ledger and of replays, whatever they are: a table that is added later is covered, too.
SELECT n.nspname, c.relname
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE a.attname = 'customer_id' AND NOT a.attisdropped AND c.relkind IN ('r', 'p') AND NOT c.relispartition
   AND (n.nspname = current_schema() OR n.nspname LIKE 'replay\_%%')
   AND c.relname <> 'audit_entry'
 ORDER BY 1, 2;

-- name: letters_that_may_mention
SELECT letter_id, number, key, value FROM dead_letter d
 WHERE number > %(after)s
   AND EXISTS (SELECT FROM unnest(%(ids)s::bytea[]) AS t (id) WHERE d.key = t.id OR position(t.id IN d.value) > 0);

-- name: last_dead_letter
SELECT coalesce(max(number), 0) FROM dead_letter;

-- name: erase_from_audit
-- What was done stays; with whom goes. An entry about a customer has their id in this column, whatever its subject is.
UPDATE audit_entry SET customer_id = NULL, detail = '{}',
       subject = CASE WHEN subject = ANY (%(customers)s::text[]) THEN '' ELSE subject END
 WHERE customer_id = ANY (%(customers)s::text[]);

-- name: erase_answers
-- Stored answers that may be about a customer; a short id is part of many, and they are kept for a day only.
DELETE FROM console_action
 WHERE EXISTS (SELECT FROM unnest(%(ids)s::bytea[]) AS t (id) WHERE position(t.id IN body) > 0);

-- name: erase_from_jobs
UPDATE console_job SET parameters = jsonb_set(parameters, '{plan,customers}', (
           SELECT coalesce(jsonb_agg(id), '[]') FROM jsonb_array_elements_text(parameters #> '{plan,customers}') AS t (id)
            WHERE id <> ALL (%(customers)s::text[])))
 WHERE jsonb_typeof(parameters #> '{plan,customers}') = 'array';

-- name: lock_partitions
-- Commits in flight end first; none begins until the transaction ends.
SELECT partition FROM partition_owner ORDER BY partition FOR UPDATE;

-- name: fence_partitions
UPDATE partition_owner SET epoch = epoch + 1;

-- name: lock_erasures
SELECT pg_advisory_xact_lock(%(lock)s);

-- name: delete_dead_letters
DELETE FROM dead_letter WHERE letter_id = ANY (%(ids)s::text[]);

-- name: delete_dead_letter_messages
DELETE FROM outbox WHERE customer_id = '' AND message_id = ANY (%(ids)s::text[]);

-- name: count_unsent_of
SELECT count(*) FROM outbox WHERE customer_id = ANY (%(customers)s::text[]) AND sent_at IS NULL;

-- name: erase_launch_cursors
-- A launch that is resumed begins again: what was decided is not decided twice.
UPDATE campaign_launch SET last_customer_id = NULL WHERE last_customer_id = ANY (%(customers)s::text[]);

-- name: erase_reevaluation_cursors
UPDATE reevaluation SET last_customer_id = NULL WHERE last_customer_id = ANY (%(customers)s::text[]);

-- name: erasure_key
SELECT erasure_key FROM ledger_state;

-- name: write_tombstones
INSERT INTO tombstone (digest, bucket, actor, why)
SELECT digest, bucket, %(by)s, %(why)s FROM unnest(%(digests)s::bigint[], %(buckets)s::integer[]) AS t (digest, bucket)
    ON CONFLICT (digest) DO NOTHING;

-- name: lift_tombstones
DELETE FROM tombstone WHERE digest = ANY (%(digests)s::bigint[]);

-- name: note_tombstones
UPDATE ledger_state SET tombstones = tombstones + 1;

-- name: find_tombstone
SELECT erased_at, actor, why FROM tombstone WHERE digest = %(digest)s;

-- name: announce_pruning
UPDATE ledger_state SET pruned_before = greatest(pruned_before, %(horizon)s);

-- name: count_pages
SELECT pg_relation_size(to_regclass(%(table)s)) / current_setting('block_size')::bigint;

-- name: replay_schemas
-- Without those that ended before they had a ledger.
SELECT n.nspname FROM pg_namespace n JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = 'replay'
 WHERE n.nspname ~ '^replay_[0-9a-f]{8}$' ORDER BY 1;

-- name: erase_replay_plan
UPDATE replay SET plan = jsonb_set(plan, '{plan,customers}', (
           SELECT coalesce(jsonb_agg(id), '[]') FROM jsonb_array_elements_text(plan #> '{plan,customers}') AS t (id)
            WHERE id <> ALL (%(customers)s::text[])))
 WHERE jsonb_typeof(plan #> '{plan,customers}') = 'array';
