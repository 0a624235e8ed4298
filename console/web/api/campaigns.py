"""Campaigns: whom they contact and how, their effect, launches and stops."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, Field

from campaigns.definition_versions import name_campaign
from console.performance_views import as_object, headline
from console.use_cases.campaign_overview import measure_caps
from console.use_cases.campaign_stops import find_stops, resume_campaign, stop_campaign
from console.use_cases.definition_edits import (
    check_definition,
    find_definition,
    read_versions,
    save_campaign,
)
from console.use_cases.launches import MAX_LAUNCH_ID, count_launch, find_result
from console.use_cases.performance import measure_campaign
from console.web.api import definition_edits
from console.web.api.definition_edits import (
    IfMatch,
    Key,
    Saved,
    Version,
    Why,
    WhyQuery,
    answer,
    as_json,
    find_base,
    refuse_other_key,
)
from console.web.authentication import Editor, Reader, Stopper
from console.web.context import Context
from console.web.errors import InvalidRequestError
from console.web.job_desk import begin_launch
from streams.definitions import read_definitions

if TYPE_CHECKING:
    from campaigns.records import StopRecord

router = APIRouter(tags=["campaigns"])
_LAUNCH_ID = {"min_length": 1, "max_length": MAX_LAUNCH_ID, "pattern": "^[A-Za-z0-9._:-]+$"}
LaunchId = Annotated[str, Path(**_LAUNCH_ID, examples=["2026-spring"])]
_EXAMPLE = {
    "key": "spring",
    "name": "Spring",
    "segment": "vip-customers",
    "launch": "by_operator",
    "offers": [1],
    "channels": ["email"],
    "message": "Spring is here: {{ offer.name }}.",
}
Definition = Annotated[dict[str, Any], Field(description="As a definition file has it.", examples=[_EXAMPLE])]


class Stop(BaseModel):
    """Why a campaign is stopped."""

    at: datetime
    by: str = Field(examples=["breaker"])
    why: str


class Campaign(BaseModel):
    """A campaign."""

    key: str
    name: str
    description: str
    segment: str
    launch: str = Field(examples=["on_enter"])
    channels: list[str]
    holdout_percent: float
    cooldown_days: int
    version: str = Field(description="Of all that decides, as decisions name it.")
    stopped: Stop | None


class Campaigns(BaseModel):
    """Every campaign."""

    items: list[Campaign]
    editable: bool = Field(description="Whether campaigns can be edited here: not where definitions are files.")


class NewCampaign(BaseModel):
    """A campaign to store, and why."""

    definition: Definition
    why: Why


class Draft(BaseModel):
    """A campaign that is not stored."""

    definition: Definition


class Checked(BaseModel):
    """A campaign that could be stored."""

    version: str = Field(description="What its version would be.")


class History(BaseModel):
    """The versions of a campaign."""

    versions: list[Version] = Field(description="The latest first; none where definitions are files.")


class Cap(BaseModel):
    """How many customers a cap keeps from being contacted now, held-out customers included."""

    limit: str | None = Field(description="Key of the limit on contacts; null for the cooldown.", examples=["weekly"])
    members: int = Field(description="Of the campaign's segment.")
    customers: int = Field(description="Members or not.")
    first_free: datetime | None = Field(description="When the first of them is free of it again.")


class Performance(BaseModel):
    """What a campaign has achieved."""

    headline: str
    figures: dict[str, Any] = Field(description="As `holdfast campaigns performance --json` prints them.")
    caps: list[Cap] = Field(description="The cooldown first, where there is one, then each limit that binds it.")


class Reason(BaseModel):
    """Why."""

    why: Why


class Changed(BaseModel):
    """Whether something changed: a campaign may have been stopped, or resumed, before."""

    campaign: str
    stopped: bool
    changed: bool


class NewLaunch(BaseModel):
    """A launch: without `dry_run: false` its members are only counted."""

    dry_run: bool = True
    launch_id: Annotated[str, Field(**_LAUNCH_ID)] | None = Field(
        default=None, description="Names the launch: a repetition under it resumes it and contacts no customer twice."
    )
    again: bool = Field(default=False, description="Launch a campaign that has been launched before.")


class Launch(BaseModel):
    """A launch, or the count of one."""

    campaign: str
    launch_id: str | None = Field(description="As it was asked for; the job has that of any launch, when it begins.")
    members: int = Field(description="Members of the segment now; consent, cooldown and holdout decide later.")
    job_id: str | None = Field(description="The job that launches, see /jobs/{job_id}; null where it is only counted.")


class Decided(BaseModel):
    """How many members had one outcome."""

    outcome: str
    reason: str
    customers: int


class LaunchResult(BaseModel):
    """What became of a launch so far."""

    launch_id: str
    campaign: str
    by: str
    begun_at: datetime
    done_at: datetime | None
    members: int
    undecided: int
    decided: list[Decided]


@router.get("/campaigns")
def list_campaigns(context: Context, _: Reader) -> Campaigns:
    """List every campaign, and which are stopped."""
    stops = find_stops(context.settings)
    items = [
        Campaign(
            key=each.key,
            name=each.name,
            description=each.description,
            segment=each.segment,
            launch=each.launch,
            channels=list(each.channels),
            holdout_percent=each.holdout_percent,
            cooldown_days=each.cooldown_days,
            version=each.version,
            stopped=_describe(stops.get(each.key)),
        )
        for each in read_definitions(context.settings).campaigns
    ]
    return Campaigns(items=items, editable=context.settings.definitions == "ledger")


@router.post("/campaigns", status_code=HTTPStatus.CREATED)
def create(new: NewCampaign, response: Response, context: Context, principal: Editor) -> Saved:
    """Store a new campaign."""
    saved = save_campaign(context.settings, new.definition, base_version=None, by=principal.name, why=new.why)
    context.accounts.record(principal.name, "create campaign", saved.name.key, detail={"why": new.why})
    response.headers["Location"] = f"/api/v1/campaigns/{saved.name.key}"
    return answer(saved, response)


@router.post("/campaigns/check")
def check(draft: Draft, context: Context, _: Reader) -> Checked:
    """Check a campaign against the other definitions and the warehouse; nothing is stored."""
    key = draft.definition.get("key")
    if not isinstance(key, str):
        raise InvalidRequestError("definition.key: is missing, or no text")
    built = check_definition(context.settings, name_campaign(key), draft.definition)
    return Checked(version=next(each.version for each in built.campaigns if each.key == key))


@router.get("/campaigns/{key}")
def read(key: Key, response: Response, context: Context, _: Reader) -> Saved:
    """Return a campaign's definition; its ETag is what an edit names."""
    return answer(find_definition(context.settings, name_campaign(key)), response)


@router.put("/campaigns/{key}")
def edit(
    key: Key, new: NewCampaign, response: Response, context: Context, principal: Editor, if_match: IfMatch = None
) -> Saved:
    """Store a version of a campaign; If-Match must name the version that was edited."""
    base = find_base(context.settings, name_campaign(key), if_match)
    refuse_other_key(new.definition, key)
    saved = save_campaign(context.settings, new.definition, base_version=base, by=principal.name, why=new.why)
    context.accounts.record(principal.name, "edit campaign", key, detail={"why": new.why})
    return answer(saved, response)


@router.delete("/campaigns/{key}")
def retire(key: Key, why: WhyQuery, context: Context, principal: Editor, if_match: IfMatch = None) -> Version:
    """Let a campaign be in force no longer; its decisions stay."""
    return definition_edits.retire(context, principal, name_campaign(key), if_match=if_match, why=why)


@router.get("/campaigns/{key}/history")
def list_versions(key: Key, context: Context, _: Reader) -> History:
    """Return the versions of a campaign."""
    return History(versions=[Version.of(each) for each in read_versions(context.settings, name_campaign(key))])


@router.get("/campaigns/{key}/performance")
def measure(key: Key, context: Context, _: Reader) -> Performance:
    """Return what a campaign has achieved, its effect against the customers held out, and whom caps bind now."""
    found = measure_campaign(context.settings, key)
    caps = [
        Cap(
            limit=None if each.limit is None else each.limit.key,
            members=each.members,
            customers=each.customers,
            first_free=each.first_free,
        )
        for each in measure_caps(context.settings, key)
    ]
    return Performance(headline=headline(found), figures=as_json(as_object(found)), caps=caps)


@router.post("/campaigns/{key}/stop")
def stop(key: Key, reason: Reason, context: Context, principal: Stopper) -> Changed:
    """Let a campaign contact no customer until it is resumed."""
    already = stop_campaign(context.settings, key, reason=reason.why, actor=principal.name)
    context.accounts.record(principal.name, "stop campaign", key, detail={"why": reason.why})
    return Changed(campaign=key, stopped=True, changed=already is None)


@router.post("/campaigns/{key}/resume")
def resume(key: Key, reason: Reason, context: Context, principal: Stopper) -> Changed:
    """Let a stopped campaign contact customers again."""
    changed = resume_campaign(context.settings, key, reason=reason.why, actor=principal.name)
    context.accounts.record(principal.name, "resume campaign", key, detail={"why": reason.why})
    return Changed(campaign=key, stopped=False, changed=changed)


@router.post(
    "/campaigns/{key}/launch",
    responses={HTTPStatus.ACCEPTED: {"description": "The launch is a job.", "model": Launch}},
)
def launch(key: Key, new: NewLaunch, response: Response, context: Context, principal: Editor) -> Launch:
    """Count the members whom a launch asks for, or launch: a job asks for them, and the workers decide about each."""
    members = count_launch(context.settings, key)
    if new.dry_run:
        return Launch(campaign=key, launch_id=None, members=members, job_id=None)
    job = begin_launch(context, principal, key, new.launch_id, again=new.again)
    response.status_code = HTTPStatus.ACCEPTED
    response.headers["Location"] = f"/api/v1/jobs/{job.job_id}"
    return Launch(campaign=key, launch_id=new.launch_id, members=members, job_id=job.job_id)


@router.get("/launches/{launch_id}")
def read_launch(launch_id: LaunchId, context: Context, _: Reader) -> LaunchResult:
    """Return what became of a launch so far."""
    found = find_result(context.settings, launch_id)
    return LaunchResult(
        launch_id=launch_id,
        campaign=found.launch.campaign,
        by=found.launch.actor,
        begun_at=found.launch.started_at,
        done_at=found.launch.done_at,
        members=found.launch.members,
        undecided=found.undecided,
        decided=[
            Decided(outcome=outcome, reason=reason, customers=count)
            for (outcome, reason), count in found.decided.items()
        ],
    )


def _describe(stopped: StopRecord | None) -> Stop | None:
    return None if stopped is None else Stop(at=stopped.stopped_at, by=stopped.actor, why=stopped.reason)
