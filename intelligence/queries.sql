-- name: positions
SELECT topic, partition, next_offset FROM intelligence.reading_position;

-- name: write_position
INSERT INTO intelligence.reading_position (topic, partition, next_offset)
VALUES (%(topic)s, %(partition)s, %(next_offset)s)
    ON CONFLICT (topic, partition) DO UPDATE SET next_offset = excluded.next_offset;

-- name: lock_writes
SELECT pg_advisory_xact_lock(%(lock)s);

-- name: write_message
-- A message that is delivered again is the same one.
INSERT INTO intelligence.message (customer_id, message_id, occurred_at, role, text, language, sentiment, satisfaction,
    concerns, urgency, wants_to_cancel, vector, vector_version)
VALUES (%(customer_id)s, %(message_id)s, %(occurred_at)s, %(role)s, %(text)s, %(language)s, %(sentiment)s,
    %(satisfaction)s, %(concerns)s, %(urgency)s, %(wants_to_cancel)s, %(vector)s::halfvec, %(vector_version)s)
    ON CONFLICT (customer_id, message_id) DO NOTHING;

-- name: has_tables
SELECT to_regclass('intelligence.message') IS NOT NULL;

-- name: erase_messages
DELETE FROM intelligence.message WHERE customer_id = ANY (%(customers)s::text[]);

-- name: customer_tables
SELECT c.relname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE a.attname = 'customer_id' AND NOT a.attisdropped AND c.relkind = 'r' AND n.nspname = 'intelligence' ORDER BY 1;

-- name: count_older
SELECT count(*) FROM intelligence.message WHERE occurred_at < %(cutoff)s;

-- name: delete_older
DELETE FROM intelligence.message
 WHERE ctid = ANY (ARRAY(SELECT ctid FROM intelligence.message WHERE occurred_at < %(cutoff)s LIMIT %(most)s));

-- name: reading_state
SELECT version, customer_id, message_id FROM intelligence.reading_state;

-- name: delete_reading_state
DELETE FROM intelligence.reading_state;

-- name: write_reading_state
INSERT INTO intelligence.reading_state (version, customer_id, message_id)
VALUES (%(version)s, %(customer_id)s, %(message_id)s);

-- name: texts_after
SELECT customer_id, message_id, text FROM intelligence.message
 WHERE (customer_id, message_id) > (%(customer_id)s, %(message_id)s) ORDER BY customer_id, message_id LIMIT %(most)s;

-- name: update_reading
-- Only where it differs: an update gives a row new entries in every index.
UPDATE intelligence.message SET language = %(language)s, sentiment = %(sentiment)s, satisfaction = %(satisfaction)s,
    concerns = %(concerns)s::text[], urgency = %(urgency)s, wants_to_cancel = %(wants_to_cancel)s
 WHERE customer_id = %(customer_id)s AND message_id = %(message_id)s
   AND (language, sentiment, satisfaction, concerns, urgency, wants_to_cancel) IS DISTINCT FROM
       (%(language)s::text, %(sentiment)s::real, %(satisfaction)s::real, %(concerns)s::text[], %(urgency)s::text,
        %(wants_to_cancel)s);

-- name: count_messages
SELECT count(*) FROM intelligence.message;

-- name: newest_vectors
SELECT version, content, messages, complete FROM intelligence.text_vectors ORDER BY trained_at DESC LIMIT 1;

-- name: newest_vectors_state
SELECT version, messages, complete FROM intelligence.text_vectors ORDER BY trained_at DESC LIMIT 1;

-- name: sample_texts
-- The same messages give the same sample.
SELECT text FROM intelligence.message ORDER BY hashtextextended(customer_id || ' ' || message_id, 0) LIMIT %(most)s;

-- name: write_vectors
INSERT INTO intelligence.text_vectors (version, content, messages) VALUES (%(version)s, %(content)s, %(messages)s)
    ON CONFLICT (version) DO UPDATE SET trained_at = clock_timestamp(), messages = excluded.messages, complete = false;

-- name: delete_former_vectors
DELETE FROM intelligence.text_vectors WHERE version <> %(version)s;

-- name: messages_after
SELECT customer_id, message_id, text FROM intelligence.message
 WHERE (customer_id, message_id) > (%(customer_id)s, %(message_id)s) AND vector_version IS DISTINCT FROM %(version)s
 ORDER BY customer_id, message_id LIMIT %(most)s;

-- name: write_vector
UPDATE intelligence.message SET vector = %(vector)s::halfvec, vector_version = %(version)s
 WHERE customer_id = %(customer_id)s AND message_id = %(message_id)s;

-- name: mark_complete
UPDATE intelligence.text_vectors SET complete = true WHERE version = %(version)s;

-- name: has_vector_index
SELECT to_regclass('intelligence.message_vector') IS NOT NULL;

-- name: read_messages
SELECT customer_id, message_id, occurred_at, role, text, concerns, sentiment
  FROM intelligence.message JOIN unnest(%(customers)s::text[], %(messages)s::text[]) AS wanted (customer_id, message_id)
 USING (customer_id, message_id);

-- name: read_spoken
-- What each customer's own messages add up to.
SELECT customer_id, count(*), avg(sentiment), count(*) FILTER (WHERE wants_to_cancel)
  FROM intelligence.message WHERE role = 'customer' GROUP BY customer_id;

-- name: read_concerns
SELECT customer_id, concern, count(*) FROM intelligence.message, unnest(concerns) AS named (concern)
 WHERE role = 'customer' GROUP BY customer_id, concern;

-- name: read_clusters
SELECT customer_id, cluster FROM intelligence.customer;

-- name: newest_run
SELECT result FROM intelligence.cluster_run ORDER BY run_id DESC LIMIT 1;

-- name: write_run
INSERT INTO intelligence.cluster_run (at, result) VALUES (%(at)s, %(result)s::jsonb);

-- name: create_next_customers
DROP TABLE IF EXISTS intelligence.customer_next;
-- Without its indexes: that of the vectors is made when all rows are there.
CREATE TABLE intelligence.customer_next (LIKE intelligence.customer INCLUDING COMMENTS INCLUDING DEFAULTS,
    PRIMARY KEY (customer_id));

-- name: replace_customers
DROP TABLE intelligence.customer;
ALTER TABLE intelligence.customer_next RENAME TO customer;

-- name: delete_products
DELETE FROM intelligence.product;

-- name: product_names
SELECT product_id, name FROM intelligence.product WHERE product_id = ANY (%(products)s::text[]);

-- name: read_vector
SELECT vector::text, products FROM intelligence.customer WHERE customer_id = %(customer)s;

-- name: nearest_customers
SELECT customer_id, cluster, vector::text, vector <-> %(vector)s::halfvec AS distance, products, strengths FROM intelligence.customer
 WHERE customer_id <> %(customer)s ORDER BY vector <-> %(vector)s::halfvec LIMIT %(most)s;
