-- What a contact was expected to bring, by which one campaign was chosen before the others, and how likely its offer was.
ALTER TABLE decision ADD COLUMN net_value double precision;
COMMENT ON COLUMN decision.net_value IS 'Probability x (value - cost of the offer) - cost of the contact; null where no contact was possible.';

ALTER TABLE contact ADD COLUMN propensity double precision;
COMMENT ON COLUMN contact.propensity IS 'The probability with which its offer was to be made; null where it was not recorded.';
