-- name: add_account
INSERT INTO console_account (name, role, password_hash, created_by) VALUES (%(name)s, %(role)s, %(password_hash)s, %(by)s)
ON CONFLICT DO NOTHING
RETURNING name;

-- name: list_accounts
SELECT name, role, password_hash, subject, created_at, created_by, disabled_at FROM console_account ORDER BY name;

-- name: find_account
SELECT name, role, password_hash, subject, created_at, created_by, disabled_at FROM console_account WHERE name = %(name)s;

-- name: set_password
WITH ended AS (DELETE FROM console_session WHERE account = %(name)s)
UPDATE console_account SET password_hash = %(password_hash)s WHERE name = %(name)s RETURNING name;

-- name: set_role
UPDATE console_account SET role = %(role)s WHERE name = %(name)s RETURNING name;

-- name: disable_account
WITH ended AS (DELETE FROM console_session WHERE account = %(name)s)
UPDATE console_account SET disabled_at = coalesce(disabled_at, now()) WHERE name = %(name)s RETURNING name;

-- name: admit
INSERT INTO console_account (name, role, subject, created_by) VALUES (%(name)s, %(role)s, %(subject)s, 'OpenID provider')
ON CONFLICT (subject) DO UPDATE SET role = excluded.role WHERE console_account.disabled_at IS NULL
RETURNING name;

-- name: begin_session
WITH expired AS (DELETE FROM console_session WHERE expires_at < now())
INSERT INTO console_session (digest, account, expires_at) VALUES (%(digest)s, %(name)s, now() + %(life)s)
RETURNING account;

-- name: end_session
DELETE FROM console_session WHERE digest = %(digest)s RETURNING account;

-- name: find_session
SELECT name, role FROM console_session JOIN console_account ON name = account
WHERE digest = %(digest)s AND expires_at > now() AND disabled_at IS NULL;

-- name: add_key
INSERT INTO console_key (key_id, digest, account, created_by, expires_at)
SELECT %(key_id)s, %(digest)s, name, %(by)s, %(expires_at)s FROM console_account
WHERE name = %(name)s AND disabled_at IS NULL
RETURNING key_id;

-- name: find_keys
SELECT digest, name, role FROM console_key JOIN console_account ON name = account
WHERE digest = ANY(%(digests)s::bytea[]) AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now()) AND disabled_at IS NULL;

-- name: list_keys
SELECT key_id, account, created_at, created_by, expires_at, revoked_at FROM console_key ORDER BY created_at DESC, key_id;

-- name: revoke_key
UPDATE console_key SET revoked_at = now() WHERE key_id = %(key_id)s AND revoked_at IS NULL RETURNING key_id;

-- name: record
INSERT INTO audit_entry (actor, action, subject, customer_id, detail, address)
VALUES (%(actor)s, %(action)s, %(subject)s, %(customer_id)s, %(detail)s, %(address)s)
RETURNING entry_id;

-- name: record_views
INSERT INTO audit_entry (actor, action, subject, customer_id)
SELECT actor, action, customer_id, customer_id
FROM unnest(%(actors)s::text[], %(actions)s::text[], %(customers)s::text[]) AS t (actor, action, customer_id)
RETURNING entry_id;

-- name: list_audit
SELECT entry_id, at, actor, action, subject, customer_id, detail, address FROM audit_entry
WHERE (%(before)s::bigint IS NULL OR entry_id < %(before)s)
    AND (%(actor)s::text IS NULL OR actor = %(actor)s)
    AND (%(customer_id)s::text IS NULL OR customer_id = %(customer_id)s)
ORDER BY entry_id DESC
LIMIT %(limit)s;

-- name: forget_actions
DELETE FROM console_action WHERE begun_at < now() - %(life)s RETURNING key;

-- name: begin_action
INSERT INTO console_action (account, key, fingerprint) VALUES (%(account)s, %(key)s, %(fingerprint)s)
ON CONFLICT DO NOTHING
RETURNING key;

-- name: find_action
SELECT fingerprint, begun_at, status, headers, body FROM console_action WHERE account = %(account)s AND key = %(key)s;

-- name: end_action
UPDATE console_action SET status = %(status)s, headers = %(headers)s, body = %(body)s
WHERE account = %(account)s AND key = %(key)s
RETURNING key;

-- name: release_action
DELETE FROM console_action WHERE account = %(account)s AND key = %(key)s RETURNING key;
