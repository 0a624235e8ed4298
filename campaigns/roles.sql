-- The role that workers use on the ledger: it owns nothing, and can neither remove a row nor change a message.
-- Run by the ledger's owner after `holdfast ledger migrate`, once and again after every new version:
--
--   CREATE ROLE holdfast_worker LOGIN PASSWORD '...';
--   psql "$OWNER_URL" --set role=holdfast_worker --file campaigns/roles.sql

GRANT USAGE ON SCHEMA public TO :"role";

-- So that a worker can tell that the schema is the newest.
GRANT SELECT ON _yoyo_migration, _yoyo_version TO :"role";

GRANT SELECT, INSERT ON roster, evaluated, membership, signal, seen_event, contact, consent_change, feedback, decision, outbox,
    dead_letter, partition_owner, activation, segment_activation, campaign_hour, campaign_stop, experiment_customer,
    experiment_stop, lead, lead_event, segment_size TO :"role";
GRANT SELECT ON insight, definition_version, ledger_state, tombstone, campaign_launch, reevaluation, outbox_sequence_seq TO :"role";

GRANT UPDATE (versions) ON roster TO :"role";
GRANT UPDATE (roster_id, earlier, due_at, claimed_until, revision) ON evaluated TO :"role";
GRANT UPDATE (episode, is_member, entered_at, exited_at, definition_version, suppressed, member_under) ON membership TO :"role";
GRANT UPDATE (signals) ON signal TO :"role";
GRANT UPDATE (status, value, conversions, first_at) ON contact TO :"role";
GRANT UPDATE (sent_at, failed_at, refused_by, failure) ON outbox TO :"role";
GRANT UPDATE (epoch) ON partition_owner TO :"role";
GRANT UPDATE (contacts) ON campaign_hour TO :"role";
GRANT UPDATE (customer_id, updated_at, features, score, tier, basis, version, probability, crossings, outcome, outcome_at, changed_at)
    ON lead TO :"role";
GRANT UPDATE (cache_generation) ON ledger_state TO :"role";

-- Run with `--set operator=1` for people, too: `holdfast segments activate` and `reevaluate`, `campaigns launch` and
-- `resume`, `definitions import`, `replay`, `dead-letters` and `timeline`.
\if :{?operator}
GRANT UPDATE (mode, activated_by) ON activation TO :"role";
GRANT UPDATE (resolution, resolved_at, actor, why, run) ON dead_letter TO :"role";
GRANT UPDATE (resumed_at, resumed_by, resume_reason) ON campaign_stop TO :"role";
GRANT INSERT ON definition_version TO :"role";
GRANT INSERT, UPDATE (last_customer_id, members, done_at) ON campaign_launch TO :"role";
GRANT INSERT, UPDATE (last_customer_id, customers, done_at) ON reevaluation TO :"role";
GRANT SELECT (trigger_id, campaign, channel, attempts, outcome, reason, last_problem, due_at, settled_at, received_at)
    ON delivery TO :"role";
GRANT SELECT, INSERT, UPDATE (triggers, done_at) ON replay_send TO :"role";
-- The scratch ledger of `holdfast replay` is a schema of its own, which the role that replays owns.
GRANT CREATE ON DATABASE :"DBNAME" TO :"role";
\endif

-- Run with `--set insights=1` for the role of the batch jobs that write insights: `holdfast clusters` and `recommend`.
\if :{?insights}
GRANT SELECT, INSERT, UPDATE, DELETE ON insight TO :"role";
\endif

-- Run with `--set deliver=1` for the role of `holdfast deliver`, too.
\if :{?deliver}
GRANT SELECT, INSERT ON delivery, opt_out TO :"role";
GRANT UPDATE (due_at, attempts, claimed_until, last_problem, mail_domain, body, outcome, reason, settled_at, reported_at)
    ON delivery TO :"role";
GRANT UPDATE (reported_at) ON opt_out TO :"role";
\endif

-- Run with `--set forget=1` for the role of `holdfast forget`: it deletes a customer's rows from every table.
\if :{?forget}
GRANT SELECT, DELETE ON evaluated, membership, signal, seen_event, contact, consent_change, feedback, decision, outbox,
    dead_letter, delivery, opt_out, experiment_customer, lead, lead_event, insight TO :"role";
GRANT SELECT, INSERT, DELETE ON tombstone TO :"role";
GRANT UPDATE (tombstones) ON ledger_state TO :"role";
GRANT SELECT, UPDATE (last_customer_id) ON campaign_launch, reevaluation TO :"role";
GRANT SELECT, UPDATE (customer_id, subject, detail) ON audit_entry TO :"role";
GRANT SELECT, DELETE ON console_action TO :"role";
GRANT SELECT, UPDATE (parameters) ON console_job TO :"role";
\endif

-- Run with `--set prune=1` for the role of `holdfast prune`: it deletes old rows.
\if :{?prune}
GRANT SELECT, DELETE ON outbox, decision, seen_event, contact, dead_letter, delivery, opt_out, campaign_hour,
    experiment_customer, lead, lead_event, segment_size, audit_entry, console_session, console_device, console_try, console_action,
    console_job TO :"role";
GRANT UPDATE (pruned_before) ON ledger_state TO :"role";
\endif

-- Run with `--set console=1` for the role of `holdfast console`. What people do there needs the rights of the command
-- that does it, too: `--set operator=1`, and `--set forget=1` where care may erase customers.
\if :{?console}
GRANT SELECT, INSERT ON console_account, console_session, console_device, console_try, console_key, audit_entry,
    console_action, console_job TO :"role";
GRANT UPDATE (state, stop_requested_by, runner, started_at, heartbeat_at, ended_at, done, total, subject, result, error)
    ON console_job TO :"role";
GRANT UPDATE (role, password_hash, disabled_at) ON console_account TO :"role";
GRANT UPDATE (revoked_at) ON console_key TO :"role";
GRANT UPDATE (status, headers, body) ON console_action TO :"role";
GRANT UPDATE (tries, ends_at) ON console_try TO :"role";
GRANT DELETE ON console_session, console_device, console_try, console_action TO :"role";
\endif

-- The message store, where it is in this database. Run with `--set search=1` for people who search and read reports:
-- `holdfast search`, `similar`, `clusters list` and `show`, `voice conversations`, `trends` and `report`. `messages sync` and `index`,
-- `clusters run` and `voice discover` make tables and indexes: they need the role that ran `holdfast messages migrate`.
SELECT to_regclass('intelligence.message') IS NOT NULL AS has_store \gset
\if :has_store
\if :{?search}
GRANT USAGE ON SCHEMA intelligence TO :"role";
GRANT SELECT ON ALL TABLES IN SCHEMA intelligence TO :"role";
-- Each run of `holdfast clusters` makes a new table.
ALTER DEFAULT PRIVILEGES IN SCHEMA intelligence GRANT SELECT ON TABLES TO :"role";
\endif
\if :{?forget}
GRANT USAGE ON SCHEMA intelligence TO :"role";
GRANT SELECT, DELETE ON ALL TABLES IN SCHEMA intelligence TO :"role";
ALTER DEFAULT PRIVILEGES IN SCHEMA intelligence GRANT SELECT, DELETE ON TABLES TO :"role";
\endif
\if :{?prune}
GRANT USAGE ON SCHEMA intelligence TO :"role";
GRANT SELECT, DELETE ON intelligence.message TO :"role";
\endif
\endif
