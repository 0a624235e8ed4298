-- Statements of delivery/postgres_deliveries.py.

-- name: hold_erasures
-- Until the transaction ends: an erasure deletes what is committed before, and is seen by what begins later.
SELECT pg_advisory_xact_lock_shared(%(lock)s);

-- name: find_tombstones
SELECT digest FROM tombstone WHERE digest = ANY (%(digests)s::bigint[]);

-- name: erasure_key
SELECT erasure_key FROM ledger_state;

-- name: accept
INSERT INTO delivery (trigger_id, customer_id, campaign, channel, body, due_at, expires_at)
SELECT trigger_id, customer_id, campaign, channel, body, %(now)s, expires_at
  FROM unnest(%(ids)s::uuid[], %(customers)s::text[], %(campaigns)s::text[], %(channels)s::text[], %(bodies)s::bytea[],
              %(expire_at)s::timestamptz[]) AS t (trigger_id, customer_id, campaign, channel, body, expires_at)
 WHERE customer_id <> ALL (%(erased)s::text[])
    ON CONFLICT (trigger_id) DO NOTHING;

-- name: claim
WITH due AS (
    SELECT trigger_id FROM delivery
     WHERE channel = %(channel)s AND settled_at IS NULL AND due_at <= %(now)s
       AND (claimed_until IS NULL OR claimed_until <= %(now)s)
     ORDER BY due_at
     LIMIT %(limit)s
       FOR UPDATE SKIP LOCKED
)
UPDATE delivery SET claimed_until = %(until)s, attempts = attempts + 1
  FROM due WHERE delivery.trigger_id = due.trigger_id
RETURNING body, attempts;

-- name: postpone
UPDATE delivery SET due_at = %(at)s, claimed_until = NULL, attempts = attempts - 1
 WHERE trigger_id = %(id)s AND attempts = %(attempts)s AND settled_at IS NULL;

-- name: retry
UPDATE delivery SET due_at = %(at)s, claimed_until = NULL, last_problem = %(reason)s
 WHERE trigger_id = %(id)s AND attempts = %(attempts)s AND settled_at IS NULL;

-- name: settle
UPDATE delivery SET outcome = %(outcome)s, reason = %(reason)s, settled_at = %(at)s, mail_domain = %(domain)s, body = NULL,
       claimed_until = NULL
 WHERE trigger_id = %(id)s AND settled_at IS NULL
RETURNING trigger_id;

-- name: opt_out
INSERT INTO opt_out (event_id, customer_id, channel, trigger_id, requested_at)
SELECT %(event)s, %(customer)s, %(channel)s, %(trigger)s::uuid, %(at)s::timestamptz
 WHERE %(customer)s::text <> ALL (%(erased)s::text[])
    ON CONFLICT (event_id) DO NOTHING;

-- name: consent
SELECT customer_id, channel, granted, max(changed_at)
  FROM (SELECT customer_id, channel, granted, changed_at FROM consent_change WHERE customer_id = ANY (%(customers)s::text[])
         UNION ALL
        SELECT customer_id, channel, false, requested_at FROM opt_out WHERE customer_id = ANY (%(customers)s::text[])) AS change
 GROUP BY customer_id, channel, granted;

-- name: unreported
SELECT trigger_id::text, customer_id, channel, outcome, reason, settled_at
  FROM delivery WHERE settled_at IS NOT NULL AND reported_at IS NULL ORDER BY settled_at LIMIT %(limit)s;

-- name: unreported_opt_outs
SELECT event_id, customer_id, channel, trigger_id::text, requested_at
  FROM opt_out WHERE reported_at IS NULL ORDER BY requested_at LIMIT %(limit)s;

-- name: mark_reported
UPDATE delivery SET reported_at = %(at)s WHERE trigger_id = ANY (%(ids)s::uuid[]);

-- name: mark_opt_outs_reported
UPDATE opt_out SET reported_at = %(at)s WHERE event_id = ANY (%(ids)s::text[]);

-- name: count_domains
-- Opt-outs of the window count by the domain of their e-mail, whenever that was sent.
WITH settled AS (
    SELECT mail_domain, count(*) AS settled, count(*) FILTER (WHERE outcome = 'bounced') AS bounced
      FROM delivery WHERE mail_domain IS NOT NULL AND settled_at >= %(since)s AND outcome IN ('delivered', 'bounced')
     GROUP BY mail_domain
), left_by AS (
    SELECT mail_domain, count(DISTINCT customer_id) AS unsubscribed
      FROM (SELECT o.customer_id, d.mail_domain FROM opt_out o JOIN delivery d USING (trigger_id)
             WHERE o.requested_at >= %(since)s AND d.mail_domain IS NOT NULL) AS opted
     GROUP BY mail_domain
)
SELECT mail_domain, coalesce(settled, 0), coalesce(bounced, 0), coalesce(unsubscribed, 0)
  FROM settled FULL JOIN left_by USING (mail_domain);

-- name: count_waiting
SELECT channel, count(*) FROM delivery WHERE settled_at IS NULL GROUP BY channel;
