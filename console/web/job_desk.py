"""Starts and stops jobs for the pages and the API, and writes both to the audit log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import Path
from pydantic import StringConstraints

from console.access.roles import Permission
from console.jobs.job import Kind, LaunchRequest, ReevaluationRequest, ReplayRequest
from console.use_cases.launches import check_launch
from console.use_cases.segment_choice import find_segment
from console.web.errors import ForbiddenError
from streams.definitions import read_definitions

if TYPE_CHECKING:
    from console.access.roles import Principal
    from console.jobs.job import Job, Parameters
    from console.web.context import WebContext

JobId = Annotated[str, Path(pattern="^[0-9a-f]{12}$", examples=["5c1f3a90c2d4"])]
ModelName = Annotated[str, StringConstraints(pattern="^[a-z][a-z0-9_-]{0,63}$")]
ModelVersion = Annotated[str, StringConstraints(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
REPLAY_ID = "^[0-9a-f]{8}$"
MOST_CUSTOMERS = 10_000


def begin_replay(context: WebContext, principal: Principal, kind: Kind, asked: ReplayRequest) -> Job:
    """Let a replay or a backtest wait for its turn."""
    if asked.resume:
        subject = f"replay {asked.resume}"
    else:
        subject = f"{asked.plan.begin:%Y-%m-%d %H:%M} to {asked.plan.end:%Y-%m-%d %H:%M} UTC"
    return _begin(context, principal, kind, asked, subject)


def begin_reevaluation(context: WebContext, principal: Principal, segment: str) -> Job:
    """Let the re-evaluation of every customer wait for its turn.

    Raises:
        UnknownSegmentError: there is no such segment.
    """
    find_segment(read_definitions(context.settings).segments, segment)
    return _begin(context, principal, Kind.REEVALUATION, ReevaluationRequest(segment), segment)


def begin_launch(
    context: WebContext, principal: Principal, campaign: str, launch_id: str | None, *, again: bool = False
) -> Job:
    """Let a launch wait for its turn.

    Raises:
        CampaignDefinitionError, LaunchError, LedgerUnavailableError: see check_launch.
    """
    check_launch(context.settings, campaign, launch_id, again=again)
    return _begin(context, principal, Kind.LAUNCH, LaunchRequest(campaign, launch_id, again), campaign)


def stop_job(context: WebContext, principal: Principal, job_id: str) -> Job:
    """Let a job that waits not run, and one that runs stop soon.

    Raises:
        UnknownJobError, JobError: there is none of that id, or it is over.
        ForbiddenError: it is no launch, and the role may not operate.
    """
    job = context.jobs.find(job_id)
    if job.kind is not Kind.LAUNCH and not principal.may(Permission.OPERATE):
        raise ForbiddenError(f"the role {principal.role} may stop launches only; ask an operator")
    stopped = context.jobs.stop(job_id, by=principal.name)
    context.supervisor.wake()
    context.accounts.record(principal.name, f"stop {job.kind}", job_id)
    return stopped


def _begin(context: WebContext, principal: Principal, kind: Kind, parameters: Parameters, subject: str) -> Job:
    job = context.jobs.add(kind, parameters, by=principal.name)
    action = "launch campaign" if kind is Kind.LAUNCH else f"start {kind}"
    context.accounts.record(principal.name, action, subject, detail={"job": job.job_id})
    context.supervisor.wake()
    return job
