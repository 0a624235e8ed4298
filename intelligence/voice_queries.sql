-- What the voice of the customer reads of the message store. A conversation is a run of messages of one customer with
-- gaps shorter than %(gap)s. It belongs to the week in which it began.

-- name: voice_messages_of_customer
SELECT customer_id, message_id, occurred_at, role, text, language, sentiment, satisfaction, concerns, urgency,
    wants_to_cancel
FROM intelligence.message
WHERE customer_id = %(customer_id)s
ORDER BY occurred_at, message_id;

-- name: voice_messages_between
SELECT customer_id, message_id, occurred_at, role, text, language, sentiment, satisfaction, concerns, urgency,
    wants_to_cancel
FROM intelligence.message
WHERE occurred_at >= %(since)s AND occurred_at < %(before)s
ORDER BY customer_id, occurred_at, message_id;

-- name: voice_heard
WITH marked AS (
    SELECT customer_id, message_id, occurred_at, role, text, language, concerns, sentiment,
        (occurred_at - lag(occurred_at) OVER own < %(gap)s) IS NOT TRUE AS begins
    FROM intelligence.message
    WHERE occurred_at >= %(since)s AND occurred_at < %(before)s
    WINDOW own AS (PARTITION BY customer_id ORDER BY occurred_at, message_id)
), numbered AS (
    SELECT *, count(*) FILTER (WHERE begins)
        OVER (PARTITION BY customer_id ORDER BY occurred_at, message_id) AS conversation
    FROM marked
)
SELECT customer_id, message_id, conversation, occurred_at, text, cardinality(concerns) > 0, sentiment
FROM numbered
WHERE role = 'customer' AND (language IS NULL OR language = ANY(%(languages)s))
ORDER BY customer_id, occurred_at, message_id;

-- name: voice_weeks
-- One row for each week and concern, and one with an empty concern for all conversations of the week.
WITH marked AS (
    SELECT customer_id, message_id, occurred_at, role, language, concerns, words,
        (occurred_at - lag(occurred_at) OVER own < %(gap)s) IS NOT TRUE AS begins
    FROM intelligence.message
    WHERE occurred_at >= %(since)s AND occurred_at < %(before)s
    WINDOW own AS (PARTITION BY customer_id ORDER BY occurred_at, message_id)
), numbered AS (
    SELECT *, count(*) FILTER (WHERE begins)
        OVER (PARTITION BY customer_id ORDER BY occurred_at, message_id) AS conversation
    FROM marked
), begun AS (
    SELECT *, min(occurred_at) OVER (PARTITION BY customer_id, conversation) AS began FROM numbered
), heard AS (
    SELECT *, date_trunc('week', began AT TIME ZONE 'UTC')::date AS week FROM begun
    WHERE role = 'customer' AND (language IS NULL OR language = ANY(%(languages)s))
), named AS (
    SELECT week, customer_id, conversation, unnest(concerns) AS concern FROM heard
    UNION ALL
    SELECT week, customer_id, conversation, concern_id
    FROM heard JOIN intelligence.discovered_concern AS d ON heard.words @@ d.query
    WHERE heard.concerns = '{}'
    UNION ALL
    SELECT week, customer_id, conversation, '' FROM heard
)
SELECT week, concern, count(DISTINCT (customer_id, conversation)) FROM named
WHERE week >= %(first_week)s
GROUP BY week, concern ORDER BY week, concern;

-- name: voice_newest
SELECT max(occurred_at) FROM intelligence.message;

-- name: discovered_concerns
SELECT concern_id, words, emerging, first_found_at FROM intelligence.discovered_concern ORDER BY concern_id;

-- name: drop_discovered_concerns
DELETE FROM intelligence.discovered_concern WHERE NOT concern_id = ANY(%(kept)s::text[]);

-- name: keep_discovered_concern
INSERT INTO intelligence.discovered_concern (concern_id, words, query, emerging, first_found_at, found_at)
VALUES (%(concern_id)s, %(words)s,
    (SELECT string_agg(phraseto_tsquery('simple', word)::text, ' | ')::tsquery FROM unnest(%(words)s::text[]) AS word),
    %(emerging)s, %(at)s, %(at)s)
ON CONFLICT (concern_id) DO UPDATE SET words = excluded.words, query = excluded.query, emerging = excluded.emerging,
    found_at = excluded.found_at;
