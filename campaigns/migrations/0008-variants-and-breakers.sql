-- Which variant of its campaign a contact is of, what it costs, and what stops a campaign that contacts too many.
ALTER TABLE contact ADD COLUMN campaign_variant text, ADD COLUMN contact_cost double precision, ADD COLUMN offer_cost double precision;
COMMENT ON COLUMN contact.variant IS 'The arm: treatment, or control for a customer who is held out.';
COMMENT ON COLUMN contact.campaign_variant IS 'The key of the campaign''s variant, null where it had none; a control exposure has one, too.';
COMMENT ON COLUMN contact.contact_cost IS 'Cost of a contact by its channel when it was decided; null where it was not recorded.';
COMMENT ON COLUMN contact.offer_cost IS 'Cost of its offer, if accepted, when it was decided; null where it was not recorded.';
