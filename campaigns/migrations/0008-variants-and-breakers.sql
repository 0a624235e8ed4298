-- Which variant of its campaign a contact is of, what it costs, and what stops a campaign that contacts too many.
ALTER TABLE contact ADD COLUMN campaign_variant text, ADD COLUMN contact_cost double precision, ADD COLUMN offer_cost double precision;
COMMENT ON COLUMN contact.variant IS 'The arm: treatment, or control for a customer who is held out.';
COMMENT ON COLUMN contact.campaign_variant IS 'The key of the campaign''s variant, null where it had none; a control exposure has one, too.';
COMMENT ON COLUMN contact.contact_cost IS 'Cost of a contact by its channel when it was decided; null where it was not recorded.';
COMMENT ON COLUMN contact.offer_cost IS 'Cost of its offer, if accepted, when it was decided; null where it was not recorded.';

CREATE TABLE campaign_hour (
    campaign text NOT NULL,
    hour integer NOT NULL,
    contacts bigint NOT NULL,
    PRIMARY KEY (campaign, hour)
);
COMMENT ON TABLE campaign_hour IS 'Contacts and control exposures of each campaign with a breaker, by hour of event time. 0 again when it is resumed.';
COMMENT ON COLUMN campaign_hour.hour IS 'Hours since 1970, UTC.';

CREATE TABLE campaign_stop (
    stop_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    campaign text NOT NULL,
    stopped_at timestamptz NOT NULL DEFAULT now(),
    stopped_by text NOT NULL,
    reason text NOT NULL,
    resumed_at timestamptz,
    resumed_by text,
    resume_reason text
);
CREATE UNIQUE INDEX campaign_stop_now ON campaign_stop (campaign) WHERE resumed_at IS NULL;
COMMENT ON TABLE campaign_stop IS 'Each time a campaign was stopped, by its breaker or an operator, and resumed: who, when and why.';
