-- name: add_job
INSERT INTO console_job (job_id, kind, parameters, actor)
VALUES (%(job_id)s, %(kind)s, %(parameters)s, %(actor)s) RETURNING number;

-- name: find_job
SELECT number, job_id, kind, parameters, actor, created_at, state, stop_requested_by, started_at, heartbeat_at, ended_at,
       done, total, subject, result, error
  FROM console_job WHERE job_id = %(job_id)s;

-- name: list_jobs
-- Neither results nor drafts of definitions, which may be large.
SELECT number, job_id, kind, parameters #- '{definitions,drafts}', actor, created_at, state, stop_requested_by,
       started_at, heartbeat_at, ended_at, done, total, subject, NULL, error
  FROM console_job WHERE %(before)s::bigint IS NULL OR number < %(before)s ORDER BY number DESC LIMIT %(limit)s;

-- name: find_begun
SELECT number, job_id, kind, parameters, actor, created_at, state, stop_requested_by, started_at, heartbeat_at, ended_at,
       done, total, subject, NULL, error
  FROM console_job WHERE subject = %(replay_id)s AND kind IN ('replay', 'backtest') ORDER BY number LIMIT 1;

-- name: count_waiting
SELECT count(*) FROM console_job WHERE state = 'waiting';

-- name: claim_job
-- The lock on the row decides between two consoles.
UPDATE console_job SET state = 'running', runner = %(runner)s, started_at = now(), heartbeat_at = now()
 WHERE number = (SELECT number FROM console_job WHERE state = 'waiting' AND kind = ANY (%(kinds)s::text[])
                  ORDER BY number LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING job_id;

-- name: beat
UPDATE console_job SET heartbeat_at = now(), done = %(done)s, total = %(total)s, subject = %(subject)s
 WHERE job_id = %(job_id)s AND runner = %(runner)s AND state = 'running'
RETURNING stop_requested_by;

-- name: end_job
UPDATE console_job SET state = %(state)s, ended_at = now(), result = %(result)s, error = %(error)s
 WHERE job_id = %(job_id)s AND runner = %(runner)s AND state = 'running'
RETURNING job_id;

-- name: stop_job
UPDATE console_job SET stop_requested_by = coalesce(stop_requested_by, %(by)s),
       ended_at = CASE WHEN state = 'waiting' THEN now() END,
       state = CASE WHEN state = 'waiting' THEN 'stopped' ELSE state END
 WHERE job_id = %(job_id)s AND state IN ('waiting', 'running')
RETURNING job_id;

-- name: end_lost_jobs
UPDATE console_job SET state = 'failed', ended_at = now(), error = %(error)s
 WHERE state = 'running' AND heartbeat_at < now() - %(life)s
RETURNING job_id;
