-- Which reader has read the messages: after a promotion of a model of sentiment, or another file of concerns, they are read again.
CREATE TABLE intelligence.reading_state (
    version     text NOT NULL,
    customer_id text,
    message_id  text
);
COMMENT ON TABLE intelligence.reading_state IS 'One row: the newest reader, and the last message that it has read again; NULL when it has read all.';
COMMENT ON COLUMN intelligence.reading_state.customer_id IS 'An erasure removes the row with the customer; messages are then read again from the first one.';
