"""Long work: replays, backtests, re-evaluations and launches, which go on after the request."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, Field

from console.jobs.job import Kind, ReplayRequest, State
from console.web.authentication import Backtester, CustomerViewer, Operator, Stopper
from console.web.context import Context
from console.web.cursors import read_cursor, write_cursor
from console.web.inputs import Cursor, PageSize
from console.web.job_desk import (
    JobId,
    begin_reevaluation,
    begin_replay,
    stop_job,
)
from console.web.new_replays import NewBacktest, NewReplay

if TYPE_CHECKING:
    from console.access.roles import Principal
    from console.jobs.job import Job as StoredJob
    from console.jobs.job import Parameters
    from console.web.context import WebContext

router = APIRouter(tags=["operations"])
SegmentKey = Annotated[str, Path(max_length=64)]


class Job(BaseModel):
    """Long work, how far it is, and what came of it."""

    id: str
    kind: Kind
    state: State
    by: str
    parameters: dict[str, Any] = Field(description="What is asked for; in lists without drafts of definitions.")
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    done: int = Field(description="Records, customers or members so far.")
    total: int | None = Field(description="Of how many; null while it is not known.")
    subject: str | None = Field(description="The id of the replay, the re-evaluation or the launch, when it has begun.")
    stop_requested_by: str | None
    error: str | None = Field(description="Why it failed, and what to do.")
    headline: str | None = Field(description="What came of it, in words.")
    result: dict[str, Any] | None = Field(description="What came of it, as the command prints it; null in lists.")


class JobPage(BaseModel):
    """Jobs, the latest first."""

    jobs: list[Job]
    next_cursor: str | None


@router.post("/replays", status_code=HTTPStatus.ACCEPTED)
def start_replay(new: NewReplay, response: Response, context: Context, principal: Operator) -> Job:
    """Decide a past period again, and compare it with what was sent."""
    asked = ReplayRequest(new.as_plan(), new.keep, new.resume)
    return answer_begun(_begin(context, principal, Kind.REPLAY, asked, new), response)


@router.post("/backtests", status_code=HTTPStatus.ACCEPTED)
def start_backtest(new: NewBacktest, response: Response, context: Context, principal: Backtester) -> Job:
    """Estimate from the record what definitions or models would have sent, cost and brought."""
    asked = ReplayRequest(new.as_plan(), resume=new.resume)
    return answer_begun(_begin(context, principal, Kind.BACKTEST, asked, new), response)


@router.post("/segments/{key}/re-evaluations", status_code=HTTPStatus.ACCEPTED)
def start_reevaluation(key: SegmentKey, response: Response, context: Context, principal: Operator) -> Job:
    """Let the workers evaluate every customer who was not evaluated under the present rules of all segments."""
    return answer_begun(begin_reevaluation(context, principal, key), response)


@router.get("/jobs")
def list_jobs(context: Context, _: CustomerViewer, limit: PageSize = 100, cursor: Cursor = None) -> JobPage:
    """Return jobs, the latest first."""
    found = context.jobs.list_jobs(before=read_cursor(cursor), limit=limit)
    following = write_cursor(found[-1].number if len(found) == limit else None)
    return JobPage(jobs=list(map(describe, found)), next_cursor=following)


@router.get("/jobs/{job_id}")
def read_job(job_id: JobId, context: Context, _: CustomerViewer) -> Job:
    """Return a job, how far it is, and what came of it."""
    return describe(context.jobs.find(job_id))


@router.post("/jobs/{job_id}/stop")
def request_stop(job_id: JobId, context: Context, principal: Stopper) -> Job:
    """Let a job that waits not run, and one that runs stop soon. A replay can be resumed."""
    return describe(stop_job(context, principal, job_id))


def answer_begun(job: StoredJob, response: Response) -> Job:
    """Return a job that was begun, with its address."""
    response.headers["Location"] = f"/api/v1/jobs/{job.job_id}"
    return describe(job)


def describe(job: StoredJob) -> Job:
    """Return a job as the API shows it."""
    return Job(
        id=job.job_id,
        kind=job.kind,
        state=job.state,
        by=job.actor,
        parameters=_describe_parameters(job.parameters),
        created_at=job.created_at,
        started_at=job.started_at,
        ended_at=job.ended_at,
        done=job.done,
        total=job.total,
        subject=job.subject,
        stop_requested_by=job.stop_requested_by,
        error=job.error,
        headline=job.result.headline if job.result else None,
        result=dict(job.result.figures) if job.result else None,
    )


def _begin(context: WebContext, principal: Principal, kind: Kind, asked: ReplayRequest, new: NewBacktest) -> StoredJob:
    return begin_replay(context, principal, kind, asked, edits=new.edits, revision=new.definitions_revision)


def _describe_parameters(parameters: Parameters) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(parameters)
    if isinstance(parameters, ReplayRequest) and parameters.definitions:
        for draft, stored in zip(shown["definitions"]["drafts"], parameters.definitions.drafts, strict=True):
            draft["content"] = stored.read()
    return shown
