-- The key under which logs name customers: a digest in place of the id.
ALTER TABLE ledger_state ADD COLUMN digest_key text NOT NULL
    DEFAULT replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '');
COMMENT ON COLUMN ledger_state.digest_key IS 'Key of the digests of customer ids in logs; see `holdfast customers digest`. Secret, or ids can be guessed from logs.';
