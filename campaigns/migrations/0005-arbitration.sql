-- What a contact was expected to bring, by which one campaign was chosen before the others.
ALTER TABLE decision ADD COLUMN net_value double precision;
COMMENT ON COLUMN decision.net_value IS 'Probability x (value - cost of the offer) - cost of the contact; null where no contact was possible.';
