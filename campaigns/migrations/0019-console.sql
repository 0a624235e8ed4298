-- The console: who may sign in, what they did, and what they looked at.

CREATE TABLE console_account (
    name text PRIMARY KEY CHECK (name ~ '^[a-z0-9][a-z0-9._@+-]{0,99}$'),
    role text NOT NULL CHECK (role IN ('viewer', 'care', 'marketer', 'operator', 'admin')),
    password_hash text,
    subject text UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL,
    disabled_at timestamptz
);
COMMENT ON TABLE console_account IS 'People and programs that use the console or its API.';
COMMENT ON COLUMN console_account.subject IS 'Issuer and id at the OpenID provider; null where the account does not sign in there.';
COMMENT ON COLUMN console_account.password_hash IS 'Argon2id; null where the account has only keys.';

CREATE TABLE console_session (
    digest bytea PRIMARY KEY,
    account text NOT NULL REFERENCES console_account ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX console_session_account ON console_session (account);
COMMENT ON TABLE console_session IS 'Sessions of people who are signed in.';
COMMENT ON COLUMN console_session.digest IS 'SHA-256 of the token in the cookie.';

CREATE TABLE console_device (
    digest bytea PRIMARY KEY,
    account text NOT NULL REFERENCES console_account ON DELETE CASCADE,
    expires_at timestamptz NOT NULL
);
CREATE INDEX console_device_account ON console_device (account);
COMMENT ON TABLE console_device IS 'Browsers in which an account has signed in: nobody else''s failures close the account to them.';
COMMENT ON COLUMN console_device.digest IS 'SHA-256 of the token in the cookie.';

CREATE TABLE console_try (
    digest bytea PRIMARY KEY,
    tries integer NOT NULL,
    ends_at timestamptz NOT NULL
);
CREATE INDEX console_try_ends ON console_try (ends_at);
COMMENT ON TABLE console_try IS 'How many sign-ins have failed, by account, address and browser; for an hour at most.';
COMMENT ON COLUMN console_try.digest IS 'SHA-256 of what is counted.';

CREATE TABLE console_key (
    key_id text PRIMARY KEY,
    digest bytea NOT NULL UNIQUE,
    account text NOT NULL REFERENCES console_account ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz
);
COMMENT ON TABLE console_key IS 'API keys of accounts.';
COMMENT ON COLUMN console_key.digest IS 'SHA-256 of the key.';

CREATE TABLE audit_entry (
    entry_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    actor text NOT NULL,
    action text NOT NULL,
    subject text NOT NULL,
    customer_id text,
    detail jsonb NOT NULL DEFAULT '{}',
    address text
);
CREATE INDEX audit_entry_customer ON audit_entry (customer_id) WHERE customer_id IS NOT NULL;
CREATE INDEX audit_entry_at ON audit_entry (at);
COMMENT ON TABLE audit_entry IS 'Every change, and every view of a customer, made through the console or its API.';
COMMENT ON COLUMN audit_entry.customer_id IS 'The customer looked at or acted for; removed when they are erased.';

CREATE TABLE console_action (
    account text NOT NULL,
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    begun_at timestamptz NOT NULL DEFAULT now(),
    status integer,
    headers jsonb,
    body bytea,
    PRIMARY KEY (account, key)
);
CREATE INDEX console_action_begun ON console_action (begun_at);
COMMENT ON TABLE console_action IS 'Answers to requests with an Idempotency-Key, so that a repetition gets the same answer.';
COMMENT ON COLUMN console_action.fingerprint IS 'SHA-256 of method, path and body: a key stands for one request.';

CREATE TABLE console_job (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id text NOT NULL UNIQUE,
    kind text NOT NULL CHECK (kind IN ('replay', 'backtest', 're-evaluation', 'launch')),
    parameters jsonb NOT NULL,
    actor text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'done', 'failed', 'stopped')),
    stop_requested_by text,
    runner text,
    started_at timestamptz,
    heartbeat_at timestamptz,
    ended_at timestamptz,
    done bigint NOT NULL DEFAULT 0,
    total bigint,
    subject text,
    result jsonb,
    error text
);
CREATE INDEX console_job_open ON console_job (state) WHERE state IN ('waiting', 'running');
COMMENT ON TABLE console_job IS 'Long work that people start from the console; a process of its own runs each.';
COMMENT ON COLUMN console_job.runner IS 'The run of the job: only that may write its progress and its result.';
COMMENT ON COLUMN console_job.subject IS 'Id of the replay, the re-evaluation or the launch.';
