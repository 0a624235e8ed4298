-- Point in time: features end the day before a cut-off, the label covers the 90 days from it. The last cut-off's
-- label ends before `until`, so nothing from `until` on has any influence.
INSERT INTO customer_churn_history
SELECT f.*,
       (NOT EXISTS (
           SELECT FROM orders
           WHERE orders.customer_id = f.customer_id AND NOT cancelled
             AND ordered_at >= cut_off::date::timestamp AT TIME ZONE 'UTC'
             AND ordered_at < (cut_off::date + 90)::timestamp AT TIME ZONE 'UTC'))::integer,
       cut_off::date
FROM (SELECT %(until)s::date - 90 AS last) AS cut_offs
CROSS JOIN LATERAL generate_series(last - 56, last, interval '14 days') AS cut_off
CROSS JOIN LATERAL customer_features(cut_off::date - 1) AS f
WHERE f.days_since_last_transaction < 180
