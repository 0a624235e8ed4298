-- The example warehouse. Orders and countries are real (UCI Online Retail); what is synthetic says so in a comment.

CREATE TABLE customers (
    customer_id       text PRIMARY KEY,
    country           text NOT NULL,
    customer_since    timestamptz NOT NULL,
    email_tier        text NOT NULL,
    preferred_channel text NOT NULL,
    email_consent     boolean NOT NULL,
    sms_consent       boolean NOT NULL,
    push_consent      boolean NOT NULL
);
COMMENT ON TABLE customers IS 'One row per customer who has ordered by the business date.';
COMMENT ON COLUMN customers.country IS 'Real: the country of the first invoice.';
COMMENT ON COLUMN customers.customer_since IS 'Real: the time of the first invoice.';
COMMENT ON COLUMN customers.email_tier IS 'Synthetic: how the customer responds to e-mail (engaged, occasional, dormant).';
COMMENT ON COLUMN customers.preferred_channel IS 'Synthetic: email, sms or push.';
COMMENT ON COLUMN customers.email_consent IS 'Synthetic: may be contacted by e-mail.';
COMMENT ON COLUMN customers.sms_consent IS 'Synthetic: may be contacted by text message.';
COMMENT ON COLUMN customers.push_consent IS 'Synthetic: may be contacted by push notification.';

CREATE TABLE orders (
    order_id    text PRIMARY KEY,
    customer_id text NOT NULL REFERENCES customers,
    ordered_at  timestamptz NOT NULL,
    amount      double precision NOT NULL,
    items       integer NOT NULL,
    lines       integer NOT NULL,
    cancelled   boolean NOT NULL
);
COMMENT ON TABLE orders IS 'Real: one row per invoice; a cancellation is a row of its own with a negative amount in pounds sterling.';
CREATE INDEX orders_by_customer ON orders (customer_id, ordered_at) INCLUDE (amount, items, cancelled);

CREATE TABLE business_date (
    today  date NOT NULL,
    single boolean PRIMARY KEY DEFAULT true CHECK (single)
);
COMMENT ON TABLE business_date IS 'One row: the last day whose orders the warehouse holds.';

CREATE TABLE customer_conversations (
    id          text PRIMARY KEY,
    customer_id text NOT NULL REFERENCES customers,
    channel     text NOT NULL,
    role        text NOT NULL,
    text        text NOT NULL,
    occurred_at timestamptz NOT NULL,
    synthetic   boolean NOT NULL DEFAULT true
);
COMMENT ON TABLE customer_conversations IS 'Synthetic: messages written by a seeded generator.';
CREATE INDEX conversations_by_customer ON customer_conversations (customer_id, occurred_at);

-- What the warehouse knew of each customer at the end of a day. The view below and both training tables are computed
-- by this one function, so a model is served exactly what it was trained on.
CREATE FUNCTION customer_features(on_day date) RETURNS TABLE (
    customer_id text, total_revenue double precision, transaction_count integer,
    days_since_last_transaction integer, avg_transaction_value double precision, lifetime_value double precision,
    cancellations integer, tenure_days integer, revenue_90d double precision, transactions_90d integer,
    revenue_trend double precision, avg_days_between_orders double precision, items_total integer,
    country text, email_tier text, preferred_channel text,
    email_consent boolean, sms_consent boolean, push_consent boolean,
    customer_since timestamptz, updated_at timestamptz
) LANGUAGE sql STABLE AS $$
    SELECT c.customer_id,
           round(o.total_revenue::numeric, 2)::double precision,
           o.transaction_count::integer,
           on_day - o.last_day,
           round((o.total_revenue / nullif(o.transaction_count, 0))::numeric, 2)::double precision,
           round(o.lifetime_value::numeric, 2)::double precision,
           o.cancellations::integer,
           on_day - (c.customer_since AT TIME ZONE 'UTC')::date,
           round(o.revenue_90d::numeric, 2)::double precision,
           o.transactions_90d::integer,
           coalesce((o.revenue_90d - o.revenue_before) / nullif(o.revenue_90d + o.revenue_before, 0), 0),
           (o.last_day - o.first_day)::double precision / nullif(o.transaction_count - 1, 0),
           o.items_total::integer,
           c.country, c.email_tier, c.preferred_channel, c.email_consent, c.sms_consent, c.push_consent,
           c.customer_since,
           (on_day + time '23:59:59.999999') AT TIME ZONE 'UTC'
    FROM customers c
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(amount) FILTER (WHERE NOT cancelled), 0) AS total_revenue,
               coalesce(sum(amount), 0) AS lifetime_value,
               count(*) FILTER (WHERE NOT cancelled) AS transaction_count,
               count(*) FILTER (WHERE cancelled) AS cancellations,
               (min(ordered_at) FILTER (WHERE NOT cancelled) AT TIME ZONE 'UTC')::date AS first_day,
               (max(ordered_at) FILTER (WHERE NOT cancelled) AT TIME ZONE 'UTC')::date AS last_day,
               coalesce(sum(amount) FILTER (WHERE NOT cancelled AND ordered_at >= days.recent), 0) AS revenue_90d,
               count(*) FILTER (WHERE NOT cancelled AND ordered_at >= days.recent) AS transactions_90d,
               coalesce(sum(amount) FILTER (WHERE NOT cancelled AND ordered_at < days.recent
                                            AND ordered_at >= days.earlier), 0) AS revenue_before,
               coalesce(sum(items) FILTER (WHERE NOT cancelled), 0) AS items_total
        FROM orders,
             (SELECT (on_day + 1)::timestamp AT TIME ZONE 'UTC' AS ended,
                     (on_day - 89)::timestamp AT TIME ZONE 'UTC' AS recent,
                     (on_day - 179)::timestamp AT TIME ZONE 'UTC' AS earlier) AS days
        WHERE orders.customer_id = c.customer_id AND ordered_at < days.ended
    ) AS o
    WHERE c.customer_since < (on_day + 1)::timestamp AT TIME ZONE 'UTC'
$$;

CREATE VIEW customer_features_view AS
SELECT f.* FROM business_date CROSS JOIN LATERAL customer_features(business_date.today) AS f;
COMMENT ON VIEW customer_features_view IS 'One row per customer, as of the end of the business date.';
COMMENT ON COLUMN customer_features_view.total_revenue IS 'Pounds ordered to date; cancellations are not taken off.';
COMMENT ON COLUMN customer_features_view.lifetime_value IS 'Pounds ordered to date less cancellations: realised, not predicted.';
COMMENT ON COLUMN customer_features_view.days_since_last_transaction IS 'Null when the customer has only cancellations.';
COMMENT ON COLUMN customer_features_view.revenue_trend IS '(last 90 days - 90 days before) / their sum, from -1 to 1; 0 without orders in either.';
COMMENT ON COLUMN customer_features_view.avg_days_between_orders IS 'Null before the second order.';
COMMENT ON COLUMN customer_features_view.updated_at IS 'The end of the business date: every order up to then is in the row.';

-- The training tables hold the features under the names that the view has.
CREATE TABLE customer_churn_history AS
SELECT f.*, 0::smallint AS churned, current_date AS snapshot_date FROM customer_features_view AS f WITH NO DATA;
COMMENT ON TABLE customer_churn_history IS 'Real orders: features strictly before snapshot_date, churned = 1 without an order in the 90 days from it.';

CREATE TABLE customer_ltv_history AS
SELECT f.*, 0::double precision AS spend, 0::smallint AS window_days, current_date AS snapshot_date
FROM customer_features_view AS f WITH NO DATA;
COMMENT ON TABLE customer_ltv_history IS 'Real orders: features strictly before snapshot_date, spend = pounds ordered in the window_days from it.';

CREATE TABLE customer_offer_history AS
SELECT f.*, 0::smallint AS shown_offer_id, 0::double precision AS propensity, 0::smallint AS converted_offer_id,
       now() AS created_at, true AS synthetic
FROM customer_features_view AS f WITH NO DATA;
COMMENT ON TABLE customer_offer_history IS 'Real features, synthetic offers: which offer was shown, with what probability, and whether it converted.';
COMMENT ON COLUMN customer_offer_history.shown_offer_id IS 'Synthetic: the offer shown, 1 to 8.';
COMMENT ON COLUMN customer_offer_history.propensity IS 'Synthetic: the probability with which the policy of the day showed this offer.';
COMMENT ON COLUMN customer_offer_history.converted_offer_id IS 'Synthetic: the offer shown when it converted, null when it did not.';
