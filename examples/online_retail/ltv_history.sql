-- Point in time: features end the day before a cut-off, spend is what was ordered in the 90 days from it. Half a year
-- of history has no room for twelve months of spend, so window_days says 90.
INSERT INTO customer_ltv_history
SELECT f.*,
       coalesce((
           SELECT round(sum(amount)::numeric, 2) FROM orders
           WHERE orders.customer_id = f.customer_id AND NOT cancelled
             AND ordered_at >= cut_off::date::timestamp AT TIME ZONE 'UTC'
             AND ordered_at < (cut_off::date + 90)::timestamp AT TIME ZONE 'UTC'), 0)::double precision,
       90,
       cut_off::date
FROM (SELECT %(until)s::date - 90 AS last) AS cut_offs
CROSS JOIN LATERAL generate_series(last - 56, last, interval '14 days') AS cut_off
CROSS JOIN LATERAL customer_features(cut_off::date - 1) AS f
WHERE f.days_since_last_transaction < 180
