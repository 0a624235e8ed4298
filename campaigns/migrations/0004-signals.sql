-- Results under segment versions that are no longer in force, so that a restored version is not a first evaluation.
-- Nothing is known of versions that were replaced before this step: they are evaluated as new ones.
ALTER TABLE evaluated ADD COLUMN earlier integer[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN evaluated.earlier IS 'Rosters of earlier evaluations under other versions, latest first; bounded.';

ALTER TABLE membership ADD COLUMN suppressed boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN membership.suppressed IS 'Whether the entry of this episode was suppressed: it has made no decision but a withheld one.';
ALTER TABLE membership ADD COLUMN member_under text[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN membership.member_under IS 'Versions not in force under whose last evaluation the customer was a member, latest first; bounded.';
