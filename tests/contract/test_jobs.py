"""Jobs of the console in a real ledger."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from campaigns.migrations import migrate
from campaigns.postgres_erasure import open_erasure
from console.errors import JobError, UnknownJobError
from console.jobs.job import Kind, LaunchRequest, ReplayRequest, Result, State, Table
from console.jobs.postgres_jobs import MOST_WAITING, PostgresJobs
from console.use_cases.replay import ReplayPlan
from tests.builders import AS_OF
from tests.contract.test_roles import as_role, grant, role

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["role"]
REPLAY = ReplayRequest(ReplayPlan(AS_OF, AS_OF + timedelta(days=1), customers=("ann", "bob"), models={"churn": "1"}))
RESULT = Result("it is the same", [Table("counts", ["campaign"], [["win-back"]])], ["one"], {"same": 1})


@pytest.fixture
def url(ledger_url: str, role: str) -> str:
    """A migrated ledger as the console's role reaches it."""
    migrate(ledger_url)
    grant(ledger_url, role, "--set", "console=1")
    return as_role(ledger_url, role)


@pytest.fixture
def jobs(url: str) -> Iterator[PostgresJobs]:
    """The jobs, without any."""
    found = PostgresJobs(url)
    found.open()
    yield found
    found.close()


def test_a_job_is_run_once_in_the_order_of_its_lane(jobs: PostgresJobs) -> None:
    launch = jobs.add(Kind.LAUNCH, LaunchRequest("spring"), by="mia")
    first, second = (jobs.add(Kind.REPLAY, REPLAY, by="olga") for _ in range(2))
    lane = (Kind.REPLAY, Kind.BACKTEST)
    assert [jobs.claim(lane, runner) for runner in ("a", "b", "c")] == [first.job_id, second.job_id, None]
    assert jobs.beat(first.job_id, "a", done=3, total=9, subject="1f3a90c2")
    assert not jobs.beat(first.job_id, "b", done=9, total=9, subject=None)
    jobs.end(first.job_id, "b", State.FAILED, error="not its own")
    jobs.end(first.job_id, "a", State.DONE, result=RESULT)
    done = jobs.find(first.job_id)
    assert (done.state, done.done, done.total, done.subject) == (State.DONE, 3, 9, "1f3a90c2")
    assert (done.parameters, done.result, done.resumes) == (REPLAY, RESULT, None)
    assert [each.job_id for each in jobs.list_jobs(limit=2)] == [second.job_id, first.job_id]
    assert [each.job_id for each in jobs.list_jobs(before=first.number, limit=2)] == [launch.job_id]


def test_a_job_that_waits_stops_at_once_and_one_that_runs_soon(jobs: PostgresJobs) -> None:
    runs, waits = (jobs.add(Kind.REPLAY, REPLAY, by="olga") for _ in range(2))
    jobs.claim([Kind.REPLAY], "a")
    assert [jobs.stop(each.job_id, by="sam").state for each in (runs, waits)] == [State.RUNNING, State.STOPPED]
    assert not jobs.beat(runs.job_id, "a", done=1, total=None, subject="1f3a90c2")
    jobs.end(runs.job_id, "a", State.STOPPED)
    stopped = jobs.find(runs.job_id)
    assert (stopped.stop_requested_by, stopped.resumes) == ("sam", "1f3a90c2")
    with pytest.raises(JobError, match="is over: it is stopped"):
        jobs.stop(waits.job_id, by="sam")
    with pytest.raises(UnknownJobError):
        jobs.stop("none", by="sam")


def test_no_more_jobs_wait_than_somebody_looks_through(jobs: PostgresJobs) -> None:
    for _ in range(MOST_WAITING):
        jobs.add(Kind.REPLAY, REPLAY, by="olga")
    with pytest.raises(JobError, match="wait already"):
        jobs.add(Kind.REPLAY, REPLAY, by="olga")


def test_a_job_forgets_customers_who_are_erased(ledger_url: str, jobs: PostgresJobs) -> None:
    job = jobs.add(Kind.REPLAY, REPLAY, by="olga")
    with open_erasure(ledger_url) as erasure:
        erasure.erase(["ann"], by="olga", why="asked")
    asked = jobs.find(job.job_id).parameters
    assert isinstance(asked, ReplayRequest)
    assert asked.plan.customers == ("bob",)
