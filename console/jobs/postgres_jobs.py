"""Jobs in the ledger."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from psycopg.types.json import Jsonb

from campaigns.postgres_connections import ThreadedPool
from campaigns.queries import load_queries
from console.errors import JobError, UnknownJobError
from console.jobs.job import HOW_IT_GOES_ON, PARAMETERS, Job, Kind, Result, State

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from console.jobs.job import Parameters

QUERIES = load_queries("console.jobs")
HEARTBEAT_LIFE = timedelta(seconds=60)
"""A job whose process has said nothing for so long has lost it."""
MOST_WAITING = 50
LOST = f"its process said nothing for a minute: the console or its machine was stopped while it ran; {HOW_IT_GOES_ON}"


class PostgresJobs:
    """Jobs, on a pool of connections; safe for threads.

    Args:
        ledger_url: libpq connection string.
        size: the most connections.
    """

    def __init__(self, ledger_url: str, *, size: int = 2) -> None:
        self._pool = ThreadedPool(ledger_url, size=size)

    def open(self) -> None:
        """Open the pool; connections are made when they are needed."""
        self._pool.open()

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()

    def add(self, kind: Kind, parameters: Parameters, *, by: str) -> Job:
        """Let a job wait for its turn.

        Raises:
            JobError: too many wait.
        """
        ((waiting,),) = self._ask("count_waiting")
        if waiting >= MOST_WAITING:
            raise JobError(f"{waiting} jobs wait already; stop some of them, or wait until they have run")
        job_id, encoded = secrets.token_hex(6), Jsonb(msgspec.to_builtins(parameters))
        self._ask("add_job", job_id=job_id, kind=kind, parameters=encoded, actor=by)
        return self.find(job_id)

    def find(self, job_id: str) -> Job:
        """Return a job.

        Raises:
            UnknownJobError: there is none of that id.
        """
        rows = self._ask("find_job", job_id=job_id)
        if not rows:
            raise UnknownJobError(f"there is no job {job_id!r}")
        return _job(rows[0])

    def find_begun(self, replay_id: str) -> Job | None:
        """Return the job that began a replay, without its result; None where none did."""
        rows = self._ask("find_begun", replay_id=replay_id)
        return _job(rows[0]) if rows else None

    def list_jobs(self, *, before: int | None = None, limit: int) -> Sequence[Job]:
        """Return jobs without results and drafts, the latest first; only those with a smaller number than `before`."""
        return [_job(row) for row in self._ask("list_jobs", before=before, limit=limit)]

    def stop(self, job_id: str, *, by: str) -> Job:
        """Let a job that waits not run, and one that runs stop soon.

        Raises:
            UnknownJobError: there is none of that id.
            JobError: it is over.
        """
        if not self._ask("stop_job", job_id=job_id, by=by):
            raise JobError(f"job {job_id} is over: it is {self.find(job_id).state}")
        return self.find(job_id)

    def claim(self, kinds: Sequence[Kind], runner: str) -> str | None:
        """Return the id of the first job that waits, which `runner` is to run; None where none waits."""
        rows = self._ask("claim_job", kinds=list(kinds), runner=runner)
        return str(rows[0][0]) if rows else None

    def beat(self, job_id: str, runner: str, *, done: int, total: int | None, subject: str | None) -> bool:
        """Say that a job is running and how far it is, and return whether it may go on."""
        rows = self._ask("beat", job_id=job_id, runner=runner, done=done, total=total, subject=subject)
        return bool(rows) and rows[0][0] is None

    def end(
        self, job_id: str, runner: str, state: State, *, result: Result | None = None, error: str | None = None
    ) -> None:
        """Store what came of a job; nothing where it is over already."""
        encoded = None if result is None else Jsonb(msgspec.to_builtins(result))
        self._ask("end_job", job_id=job_id, runner=runner, state=state, result=encoded, error=error)

    def end_lost(self) -> Sequence[str]:
        """Mark jobs whose processes are gone as failed, and return their ids."""
        return [str(row[0]) for row in self._ask("end_lost_jobs", life=HEARTBEAT_LIFE, error=LOST)]

    def _ask(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        return self._pool.ask(QUERIES[query], values)


def _job(row: tuple[Any, ...]) -> Job:
    number, job_id, kind, parameters, actor, created_at, state, *middle, result, error = row
    stop_requested_by, started_at, heartbeat_at, ended_at, done, total, subject = middle
    return Job(
        number,
        job_id,
        Kind(kind),
        _read_parameters(Kind(kind), parameters),
        actor,
        created_at,
        State(state),
        stop_requested_by,
        started_at,
        heartbeat_at,
        ended_at,
        done,
        total,
        subject,
        None if result is None else msgspec.convert(result, Result),
        error,
    )


def _read_parameters(kind: Kind, parameters: Mapping[str, Any]) -> Parameters:
    return msgspec.convert(parameters, PARAMETERS[kind])
