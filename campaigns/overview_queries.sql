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

-- name: cooldown_use
SELECT count(*), count(m.customer_id), min(latest.at)
  FROM (SELECT customer_id, max(decided_at) AS at FROM contact
         WHERE campaign = %(campaign)s AND decided_at > %(after)s GROUP BY customer_id) latest
  LEFT JOIN membership m ON m.customer_id = latest.customer_id AND m.segment = %(segment)s AND m.is_member;

-- name: limit_use
-- Of customers with no counted contact after the moment: they are at the limit until the window after the contact that is
-- as many from the end as the limit permits.
SELECT count(*), count(m.customer_id), min(counted.times[%(contacts)s])
  FROM (SELECT customer_id, array_agg(decided_at ORDER BY decided_at DESC) AS times FROM contact
         WHERE decided_at > %(after)s AND channel <> ALL (%(staff_channels)s::text[])
           AND (%(campaign)s::text IS NULL OR campaign = %(campaign)s)
           AND (%(channel)s::text IS NULL OR channel = %(channel)s)
         GROUP BY customer_id
        HAVING count(*) >= %(contacts)s AND max(decided_at) <= %(at)s) counted
  LEFT JOIN membership m ON m.customer_id = counted.customer_id AND m.segment = %(segment)s AND m.is_member;

-- name: contacts_ahead
-- All contacts after a time, of customers with one after the moment: producers' clocks may be ahead.
SELECT c.customer_id, m.customer_id IS NOT NULL, json_agg(json_build_array(c.campaign, c.channel, c.decided_at))::text
  FROM contact c LEFT JOIN membership m ON m.customer_id = c.customer_id AND m.segment = %(segment)s AND m.is_member
 WHERE c.decided_at > %(after)s AND c.customer_id IN (SELECT customer_id FROM contact WHERE decided_at > %(at)s)
 GROUP BY 1, 2;
