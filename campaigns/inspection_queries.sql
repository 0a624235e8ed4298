-- name: unsent_age
SELECT count(*), min(created_at) FROM outbox WHERE sent_at IS NULL;

-- name: count_triggers
SELECT count(*) FROM outbox WHERE sequence > %(after)s AND destination = 'campaign_triggers';

-- name: segments_in_force
SELECT DISTINCT ON (segment) segment, version, activated_at FROM segment_activation ORDER BY segment, number DESC;

-- name: campaigns_known
SELECT key, version, activated_at FROM activation WHERE kind = 'campaign';

-- name: count_by_versions
SELECT versions::text, customers
  FROM (SELECT roster_id, count(*) AS customers FROM evaluated GROUP BY roster_id) e JOIN roster USING (roster_id);

-- name: unfinished_reevaluations
SELECT reevaluation_id, started_at, customers FROM reevaluation WHERE done_at IS NULL ORDER BY started_at DESC;

-- name: was_reevaluated
SELECT EXISTS (SELECT FROM reevaluation WHERE fingerprint = %(fingerprint)s AND done_at IS NOT NULL);

-- name: connections
SELECT current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer,
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')::integer;

-- name: applied_steps
SELECT migration_id FROM _yoyo_migration;

-- name: rights_held
-- A table that is missing is a migration that is missing: that is found elsewhere.
SELECT CASE WHEN to_regclass(t.name) IS NULL THEN true
            WHEN t.col IS NULL THEN has_table_privilege(t.name, t.prv)
            WHEN NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass(t.name) AND attname = t.col) THEN true
            ELSE has_column_privilege(t.name, t.col, t.prv) END
  FROM unnest(%(tables)s::text[], %(rights)s::text[], %(columns)s::text[]) WITH ORDINALITY AS t (name, prv, col, place)
 ORDER BY place;

-- name: excessive_rights
WITH own AS (SELECT oid, rolsuper FROM pg_roles WHERE rolname = current_user),
     tables AS (SELECT oid, relname, relowner FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p'))
SELECT 'is a superuser' FROM own WHERE rolsuper
 UNION ALL
SELECT 'owns ' || count(*) || ' of its tables' FROM tables, own WHERE relowner = own.oid AND NOT rolsuper HAVING count(*) > 0
 UNION ALL
SELECT 'may delete from ' || string_agg(relname, ', ' ORDER BY relname) FROM tables, own
 WHERE relowner <> own.oid AND NOT rolsuper AND has_table_privilege(tables.oid, 'DELETE, TRUNCATE') HAVING count(*) > 0;
