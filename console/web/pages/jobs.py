"""The pages of long work: forms that start it, how far each job is, and what came of it."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from campaigns.definition_versions import DefinitionKind
from console.jobs.job import Kind, LaunchRequest, ReevaluationRequest, ReplayRequest, State
from console.use_cases.definition_edits import list_revisions
from console.use_cases.models_status import find_models
from console.web.authentication import Backtester, CustomerViewer, Operator, Stopper
from console.web.context import Context, WebContext
from console.web.errors import InvalidRequestError
from console.web.inputs import Name
from console.web.job_desk import (
    REPLAY_ID,
    JobId,
    begin_reevaluation,
    begin_replay,
    find_permission,
    resume_job,
    stop_job,
)
from console.web.new_replays import UNSET, NewReplay
from console.web.rendering import render
from streams.definitions import read_definitions

router = APIRouter()
SHOWN = 50
TONES = {State.DONE: "good", State.FAILED: "bad", State.STOPPED: "plain", State.RUNNING: "", State.WAITING: "plain"}
UNITS = {Kind.REPLAY: "records", Kind.BACKTEST: "records", Kind.REEVALUATION: "customers", Kind.LAUNCH: "members"}
EDITORS = {DefinitionKind.SEGMENT: "/segments", DefinitionKind.CAMPAIGN: "/campaigns"}
"""Where drafts are edited."""
Filled = Annotated[Name, Form()]
MODEL = "model-"
"""How the names of fields begin that name a version."""


class PeriodForm(BaseModel):
    """A form that starts a replay or a backtest; its other fields name versions of models."""

    model_config = ConfigDict(extra="allow")

    kind: Literal[Kind.REPLAY, Kind.BACKTEST]
    begin: Name = ""
    end: Name = ""
    customers: str = Field(default="", max_length=1_000_000)
    keep: bool = False
    resume: str = Field(default="", pattern=f"{REPLAY_ID}|^$")
    definitions_revision: str = Field(default="", pattern=r"^[0-9]{0,9}$")


@router.get("/operations/jobs")
def show_jobs(request: Request, context: Context, _: Operator) -> Response:
    """Show the forms that start a job, and the jobs."""
    shown = _find_jobs(context) | {
        "models": find_models(context.settings),
        "segments": read_definitions(context.settings).segments,
        "revisions": list_revisions(context.settings, limit=SHOWN),
    }
    return render(request, "jobs.html", shown)


@router.get("/operations/parts/jobs")
def show_list(request: Request, context: Context, _: Operator) -> Response:
    """Return the list of jobs, for the page to replace."""
    return render(request, "job_list.html", _find_jobs(context))


@router.post("/operations/jobs/period")
def start_period(form: Annotated[PeriodForm, Form()], context: Context, principal: Operator) -> Response:
    """Start a replay or a backtest."""
    models = {
        name.removeprefix(MODEL): str(version).strip()
        for name, version in (form.model_extra or {}).items()
        if name.startswith(MODEL) and str(version).strip()
    }
    ids = [each.strip() for each in form.customers.replace(",", "\n").splitlines() if each.strip()]
    given = {
        "begin": form.begin or None,
        "end": form.end or None,
        "models": models,
        "keep": form.keep,
        "customers": ids or None,
        "resume": form.resume or None,
        "definitions_revision": form.definitions_revision or None,
    }
    try:
        new = NewReplay.model_validate(given)
    except ValidationError as error:
        raise InvalidRequestError(_describe(error)) from error
    asked = ReplayRequest(new.as_plan(), new.keep, new.resume)
    job = begin_replay(context, principal, form.kind, asked, revision=new.definitions_revision)
    return RedirectResponse(f"/jobs/{job.job_id}", 303)


@router.post("/operations/jobs/re-evaluation")
def start_reevaluation(segment: Filled, context: Context, principal: Operator) -> Response:
    """Start the re-evaluation of every customer."""
    return RedirectResponse(f"/jobs/{begin_reevaluation(context, principal, segment).job_id}", 303)


@router.get("/jobs/{job_id}")
def show_job(request: Request, job_id: JobId, context: Context, _: CustomerViewer) -> Response:
    """Show a job, how far it is, and what came of it."""
    return render(request, "job.html", _find_job(context, job_id))


@router.get("/jobs/{job_id}/parts/state")
def show_state(request: Request, job_id: JobId, context: Context, _: CustomerViewer) -> Response:
    """Return the part of a job's page that changes, for the page to replace."""
    return render(request, "job_state.html", _find_job(context, job_id))


@router.post("/jobs/{job_id}/stop")
def stop(job_id: JobId, context: Context, principal: Stopper) -> Response:
    """Stop a job."""
    stop_job(context, principal, job_id)
    return RedirectResponse(f"/jobs/{job_id}", 303)


@router.post("/jobs/{job_id}/resume")
def resume(job_id: JobId, context: Context, principal: Backtester) -> Response:
    """Let a replay or a backtest go on."""
    return RedirectResponse(f"/jobs/{resume_job(context, principal, job_id).job_id}", 303)


def _find_jobs(context: WebContext) -> dict[str, object]:
    return {"jobs": context.jobs.list_jobs(limit=SHOWN), "TONES": TONES, "UNITS": UNITS}


def _find_job(context: WebContext, job_id: str) -> dict[str, object]:
    job = context.jobs.find(job_id)
    asked = job.parameters
    replay = asked if isinstance(asked, ReplayRequest) else None
    return {
        "job": job,
        "campaign": asked.campaign if isinstance(asked, LaunchRequest) else None,
        "segment": asked.segment if isinstance(asked, ReevaluationRequest) else None,
        "replay": replay,
        "plan": replay.plan if replay and replay.plan.begin != UNSET else None,
        "chosen": replay.definitions if replay else None,
        "needed": find_permission(job.kind),
        "TONES": TONES,
        "UNITS": UNITS,
        "EDITORS": EDITORS,
    }


def _describe(error: ValidationError) -> str:
    problems = ((".".join(map(str, each["loc"])), each["msg"].removeprefix("Value error, ")) for each in error.errors())
    return "; ".join(f"{place}: {problem}" if place else problem for place, problem in problems)
