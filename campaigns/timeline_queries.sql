-- name: timeline
-- The latest entries of each kind, one more than are wanted: each branch reads by the customer, and no more than it returns.
(SELECT as_of AS at, 'event' AS kind, jsonb_build_object('event_id', event_id) AS details
   FROM decision WHERE customer_id = %(customer)s AND (%(since)s::timestamptz IS NULL OR as_of >= %(since)s::timestamptz)
  GROUP BY as_of, event_id ORDER BY as_of DESC LIMIT %(limit)s)
 UNION ALL
(SELECT seen_at, 'processed', jsonb_build_object('event_id', event_id)
   FROM seen_event WHERE customer_id = %(customer)s AND (%(since)s::timestamptz IS NULL OR seen_at >= %(since)s::timestamptz)
  ORDER BY seen_at DESC LIMIT %(limit)s)
 UNION ALL
(SELECT given_at, 'feedback', jsonb_build_object('feedback_id', event_id, 'said', kind, 'by', actor, 'why', why, 'until', until,
                                                 'model', model, 'value', value, 'withdraws', withdraws)
   FROM feedback WHERE customer_id = %(customer)s AND (%(since)s::timestamptz IS NULL OR given_at >= %(since)s::timestamptz)
  ORDER BY given_at DESC LIMIT %(limit)s)
 UNION ALL
(SELECT changed_at, 'consent', jsonb_build_object('event_id', event_id, 'channel', channel, 'granted', granted, 'source', source,
                                                  'trigger_id', trigger_id)
   FROM consent_change WHERE customer_id = %(customer)s AND (%(since)s::timestamptz IS NULL OR changed_at >= %(since)s::timestamptz)
  ORDER BY changed_at DESC LIMIT %(limit)s)
 UNION ALL
(SELECT entered_at, 'entered', jsonb_build_object('segment', segment, 'episode', episode, 'suppressed', suppressed,
                                                  'version', definition_version)
   FROM membership WHERE customer_id = %(customer)s AND (%(since)s::timestamptz IS NULL OR entered_at >= %(since)s::timestamptz)
  ORDER BY entered_at DESC LIMIT %(limit)s)
 UNION ALL
(SELECT exited_at, 'left', jsonb_build_object('segment', segment, 'episode', episode, 'version', definition_version)
   FROM membership WHERE customer_id = %(customer)s AND NOT is_member AND exited_at IS NOT NULL
    AND (%(since)s::timestamptz IS NULL OR exited_at >= %(since)s::timestamptz)
  ORDER BY exited_at DESC LIMIT %(limit)s)
 UNION ALL
(SELECT as_of, 'decision', jsonb_build_object('decision_id', decision_id, 'campaign', campaign, 'segment', segment,
                                              'occasion', occasion, 'outcome', outcome, 'reason', reason, 'detail', detail,
                                              'event_id', event_id, 'net_value', net_value)
   FROM decision WHERE customer_id = %(customer)s AND (%(since)s::timestamptz IS NULL OR as_of >= %(since)s::timestamptz)
  ORDER BY as_of DESC LIMIT %(limit)s)
 UNION ALL
(SELECT decided_at, 'contact', jsonb_build_object('trigger_id', trigger_id, 'campaign', campaign, 'channel', channel,
                                                  'arm', variant, 'variant', campaign_variant, 'offer_id', offer_id,
                                                  'propensity', propensity, 'status', status)
   FROM contact WHERE customer_id = %(customer)s AND (%(since)s::timestamptz IS NULL OR decided_at >= %(since)s::timestamptz)
  ORDER BY decided_at DESC LIMIT %(limit)s)
 UNION ALL
(SELECT reached.at::timestamptz, 'outcome', jsonb_build_object('trigger_id', trigger_id, 'campaign', campaign, 'outcome', reached.outcome,
             'value', CASE WHEN reached.outcome = 'converted' THEN c.value END,
             'conversions', CASE WHEN reached.outcome = 'converted' THEN conversions END)
   FROM contact c, LATERAL jsonb_each_text(first_at) AS reached (outcome, at)
  WHERE customer_id = %(customer)s AND (%(since)s::timestamptz IS NULL OR reached.at::timestamptz >= %(since)s::timestamptz)
  ORDER BY 1 DESC LIMIT %(limit)s)
 UNION ALL
-- By the contacts of the customer: deliveries are found by trigger.
(SELECT coalesce(d.settled_at, d.received_at), 'delivery',
        jsonb_build_object('trigger_id', d.trigger_id, 'campaign', d.campaign, 'channel', d.channel, 'attempts', d.attempts,
                           'outcome', d.outcome, 'reason', coalesce(d.reason, d.last_problem), 'due_at', d.due_at)
   FROM contact c, LATERAL (SELECT trigger_id, campaign, channel, attempts, outcome, reason, last_problem, due_at, settled_at, received_at
                              FROM delivery WHERE delivery.trigger_id = c.trigger_id OFFSET 0) AS d
  WHERE c.customer_id = %(customer)s
    AND (%(since)s::timestamptz IS NULL OR coalesce(d.settled_at, d.received_at) >= %(since)s::timestamptz)
  ORDER BY 1 DESC LIMIT %(limit)s);

-- name: is_known_customer
SELECT EXISTS (SELECT FROM evaluated WHERE customer_id = %(customer)s) OR EXISTS (SELECT FROM decision WHERE customer_id = %(customer)s)
    OR EXISTS (SELECT FROM membership WHERE customer_id = %(customer)s) OR EXISTS (SELECT FROM contact WHERE customer_id = %(customer)s)
    OR EXISTS (SELECT FROM seen_event WHERE customer_id = %(customer)s) OR EXISTS (SELECT FROM feedback WHERE customer_id = %(customer)s)
    OR EXISTS (SELECT FROM consent_change WHERE customer_id = %(customer)s);

-- name: find_customers
SELECT customer_id FROM evaluated WHERE customer_id LIKE %(pattern)s AND customer_id > %(after)s ORDER BY customer_id LIMIT %(limit)s;

-- name: members_after
SELECT customer_id FROM membership WHERE segment = %(segment)s AND is_member AND customer_id > %(after)s
 ORDER BY customer_id LIMIT %(limit)s;

-- name: live_after
SELECT sequence, destination, created_at, value FROM outbox
 WHERE sequence > %(after)s AND destination IN ('decisions', 'lead_alerts') ORDER BY sequence LIMIT %(limit)s;

-- name: live_latest
SELECT sequence, destination, created_at, value FROM outbox
 WHERE destination IN ('decisions', 'lead_alerts') ORDER BY sequence DESC LIMIT %(limit)s;

-- name: latest_decision
SELECT max(as_of) FROM decision;

-- name: risk_weeks
SELECT date_trunc('week', as_of AT TIME ZONE 'UTC')::date AS week, facts ->> 'churn_risk' AS risk, count(DISTINCT customer_id)
  FROM decision WHERE as_of >= %(since)s AND facts ->> 'churn_risk' IS NOT NULL
 GROUP BY 1, 2 ORDER BY 1, 2;

-- name: risk_moves
SELECT began, ended, count(*) FROM (
    SELECT (array_agg(facts ->> 'churn_risk' ORDER BY as_of))[1] AS began,
           (array_agg(facts ->> 'churn_risk' ORDER BY as_of DESC))[1] AS ended
      FROM decision WHERE as_of >= %(since)s AND facts ->> 'churn_risk' IS NOT NULL
     GROUP BY customer_id
) AS t GROUP BY 1, 2 ORDER BY 1, 2;
