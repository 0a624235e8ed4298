-- name: evaluated_by_roster
SELECT (SELECT versions FROM roster r WHERE r.roster_id = e.roster_id), e.customers
  FROM (SELECT roster_id, count(*) AS customers FROM evaluated GROUP BY roster_id) e;

-- name: segment_sizes_over_time
-- The last size of each step; a step without one is left out. One look into the index for each segment and step.
SELECT s.segment, z.at, z.members
  FROM unnest(%(segments)s::text[]) AS s (segment)
 CROSS JOIN generate_series(0, %(steps)s - 1) AS n (step)
 CROSS JOIN LATERAL (
       SELECT at, members FROM segment_size z
        WHERE z.segment = s.segment AND z.at >= %(since)s::timestamptz + n.step * make_interval(secs => %(step_s)s)
          AND z.at < %(since)s::timestamptz + (n.step + 1) * make_interval(secs => %(step_s)s)
        ORDER BY z.at DESC LIMIT 1) z
 ORDER BY s.segment, z.at;

-- name: members_page
SELECT customer_id, entered_at, definition_version, suppressed FROM membership
 WHERE segment = %(segment)s AND is_member AND customer_id > %(after)s::text
 ORDER BY customer_id LIMIT %(limit)s;

-- name: count_decided
SELECT outcome, reason, count(*), count(DISTINCT customer_id), max(as_of) FROM decision
 WHERE campaign = %(campaign)s AND as_of >= %(since)s
 GROUP BY outcome, reason ORDER BY count(*) DESC, outcome, reason;

-- name: decided_page
-- The latest decision of each customer with this outcome and reason.
SELECT DISTINCT ON (customer_id) customer_id, as_of, detail FROM decision
 WHERE campaign = %(campaign)s AND outcome = %(outcome)s AND reason = %(reason)s AND as_of >= %(since)s
   AND customer_id > %(after)s::text
 ORDER BY customer_id, as_of DESC LIMIT %(limit)s;

-- name: contacts_by_campaign
SELECT campaign, count(*) FILTER (WHERE variant = 'treatment'), count(*) FILTER (WHERE variant = 'control'), max(decided_at)
  FROM contact GROUP BY campaign;
