"""Starts and stops jobs for the pages and the API, and writes both to the audit log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from fastapi import Path, Query
from pydantic import StringConstraints

from console.access.roles import Permission
from console.errors import JobError
from console.jobs.job import Kind, LaunchRequest, ReevaluationRequest, ReplayRequest
from console.use_cases.definition_drafts import choose_definitions
from console.use_cases.launches import check_launch
from console.use_cases.segment_choice import find_segment
from console.web.errors import ForbiddenError, NotFoundError
from streams.definitions import read_definitions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from campaigns.definition_versions import DefinitionKey
    from console.access.roles import Principal
    from console.jobs.job import Job, Parameters
    from console.use_cases.definition_drafts import DraftDefinition
    from console.web.context import WebContext

JobId = Annotated[str, Path(pattern="^[0-9a-f]{12}$", examples=["5c1f3a90c2d4"])]
DraftOf = Annotated[str | None, Query(pattern="^[0-9a-f]{12}$", description="The job whose draft is shown.")]
ModelName = Annotated[str, StringConstraints(pattern="^[a-z][a-z0-9_-]{0,63}$")]
ModelVersion = Annotated[str, StringConstraints(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
REPLAY_ID = "^[0-9a-f]{8}$"
MOST_CUSTOMERS = 10_000


def begin_replay(
    context: WebContext,
    principal: Principal,
    kind: Kind,
    asked: ReplayRequest,
    *,
    edits: Mapping[DefinitionKey, Any] | None = None,
    revision: int | None = None,
) -> Job:
    """Let a replay or a backtest wait for its turn.

    Args:
        context: of the console.
        principal: who asks.
        kind: which of both.
        asked: what to decide again.
        edits: the contents of definitions that take the place of those in force.
        revision: of the definitions to decide with; None is the latest.

    Raises:
        ReplayError, DefinitionError, RuleError, WarehouseError, LedgerUnavailableError: see choose_definitions.
        ForbiddenError: it is a replay that goes on, and the role may not operate.
    """
    if asked.resume:
        return _go_on(context, principal, kind, asked, asked.resume)
    if edits or revision is not None:
        chosen = choose_definitions(context.settings, edits or {}, revision=revision)
        asked = msgspec.structs.replace(asked, definitions=chosen)
    subject = f"{asked.plan.begin:%Y-%m-%d %H:%M} to {asked.plan.end:%Y-%m-%d %H:%M} UTC"
    return _begin(context, principal, kind, asked, subject, _describe_chosen(asked))


def resume_job(context: WebContext, principal: Principal, job_id: str) -> Job:
    """Let a replay or a backtest that failed or was stopped go on where it was, as a job of its own.

    Raises:
        UnknownJobError, JobError: there is none of that id, or it cannot go on.
        ForbiddenError: it is a replay, and the role may not operate.
    """
    job = context.jobs.find(job_id)
    if job.resumes is None or not isinstance(job.parameters, ReplayRequest):
        raise JobError(f"job {job_id} cannot go on: it is a {job.kind} that is {job.state}")
    return _go_on(context, principal, job.kind, job.parameters, job.resumes)


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
        ForbiddenError: the role may not stop one of this kind.
    """
    job = context.jobs.find(job_id)
    if not principal.may(find_permission(job.kind)):
        raise ForbiddenError(f"the role {principal.role} may stop no {job.kind}; ask an operator")
    stopped = context.jobs.stop(job_id, by=principal.name)
    context.supervisor.wake()
    context.accounts.record(principal.name, f"stop {job.kind}", job_id)
    return stopped


def find_permission(kind: Kind) -> Permission:
    """Return what someone needs to stop a job, or to let it go on."""
    return {Kind.LAUNCH: Permission.STOP_CAMPAIGNS, Kind.BACKTEST: Permission.BACKTEST}.get(kind, Permission.OPERATE)


def find_draft(context: WebContext, job_id: str, name: DefinitionKey) -> DraftDefinition:
    """Return the draft of a definition that a job decides with.

    Raises:
        UnknownJobError, NotFoundError: there is no such job, or it has no draft of that name.
    """
    asked = context.jobs.find(job_id).parameters
    chosen = asked.definitions if isinstance(asked, ReplayRequest) else None
    if chosen is None or (found := chosen.find(name)) is None:
        raise NotFoundError(f"job {job_id} has no draft of {name}")
    return found


def _go_on(context: WebContext, principal: Principal, kind: Kind, asked: ReplayRequest, replay_id: str) -> Job:
    """Let a replay go on, with what it began with; to go on as a backtest drops it when it is done."""
    earlier = context.jobs.find_begun(replay_id)
    needed = find_permission(earlier.kind) if earlier else Permission.OPERATE
    if not principal.may(needed):
        raise ForbiddenError(f"the role {principal.role} may let no replay go on; ask an operator")
    begun = earlier.parameters if earlier and isinstance(earlier.parameters, ReplayRequest) else asked
    asked = msgspec.structs.replace(begun, keep=asked.keep, resume=replay_id)
    return _begin(context, principal, kind, asked, f"replay {replay_id}", _describe_chosen(asked))


def _describe_chosen(asked: ReplayRequest) -> dict[str, Any]:
    """Return which definitions a replay decides with, for the audit log."""
    if asked.definitions is None:
        return {}
    drafts = [str(each.name) for each in asked.definitions.drafts]
    return {"revision": asked.definitions.revision, "drafts": drafts}


def _begin(
    context: WebContext,
    principal: Principal,
    kind: Kind,
    parameters: Parameters,
    subject: str,
    detail: Mapping[str, Any] | None = None,
) -> Job:
    job = context.jobs.add(kind, parameters, by=principal.name)
    action = "launch campaign" if kind is Kind.LAUNCH else f"start {kind}"
    context.accounts.record(principal.name, action, subject, detail={"job": job.job_id, **(detail or {})})
    context.supervisor.wake()
    return job
