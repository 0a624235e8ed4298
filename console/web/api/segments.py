"""Segments: who is in them, their rules, and what an edit would change."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from campaigns.definition_versions import name_segment
from console.access.roles import Permission
from console.use_cases.definition_edits import (
    check_definition,
    find_definition,
    read_versions,
    save_segment,
)
from console.use_cases.segment_check import check_segments
from console.use_cases.segment_columns import list_fact_columns
from console.use_cases.segment_diff import compare_segment
from console.use_cases.segment_preview import preview_segment
from console.use_cases.segment_sizes import DAY, EARLIEST, RECENT_DAYS, read_sizes
from console.use_cases.segments import activate_segment, list_members, measure_segments, read_history
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
from console.web.authentication import CustomerViewer, Editor, Reader
from console.web.context import Context
from console.web.cursors import read_place, write_place
from console.web.customer_views import mask
from console.web.errors import InvalidRequestError
from console.web.inputs import in_utc
from segments.definition import build_segment
from segments.engine import Mode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from console.access.roles import Principal
    from console.use_cases.segment_diff import Movement
    from console.use_cases.segment_preview import Example
    from console.web.context import WebContext
    from segments.definition import Segment

router = APIRouter(tags=["segments"])
From = Annotated[
    datetime | None,
    Query(alias="from", description="30 days before `to` where left out.", examples=["2026-11-01T00:00:00Z"]),
]
To = Annotated[
    datetime | None,
    Query(description="Now where left out; without a zone it is UTC.", examples=["2026-11-28T00:00:00Z"]),
]
Limit = Annotated[int, Field(ge=0, le=100, description="The most examples.")]
_EXAMPLE = {"key": "vips", "name": "VIPs", "rule": {">": [{"var": "total_revenue"}, 5000]}}
Definition = Annotated[dict[str, Any], Field(description="As a definition file has it.", examples=[_EXAMPLE])]


class SegmentSize(BaseModel):
    """A segment with its size."""

    key: str
    name: str
    description: str
    version: str = Field(description="Of its rules, as decisions name it.")
    members: int = Field(description="Now.")
    members_7_days_ago: int | None = Field(description="As recorded then; null where it was not.")


class Segments(BaseModel):
    """Every segment."""

    items: list[SegmentSize]
    editable: bool = Field(description="Whether segments can be edited here: not where definitions are files.")


class NewSegment(BaseModel):
    """A segment to store, and why."""

    definition: Definition
    why: Why
    mode: Mode = Field(
        default="silent",
        description="What the first evaluation of a customer under the new rules may fire: nothing, what the rules "
        "before would have fired, too, or everything.",
    )


class Draft(BaseModel):
    """A segment that is not stored."""

    definition: Definition
    limit: Limit = 10


class Checked(BaseModel):
    """Whether the rules of a segment fit the warehouse."""

    problems: list[str] = Field(description="Why workers would not use it, or what it compares in vain.")
    notes: list[str] = Field(description="What may be meant: customers without a value whom a rule admits.")


class ExampleCustomer(BaseModel):
    """A customer with the facts that the rules read."""

    customer_id: str
    facts: dict[str, Any]


class Preview(BaseModel):
    """For how many customers a rule holds."""

    matching: int
    customers: int
    share: float
    examples: list[ExampleCustomer] = Field(description="None for a role that may not see customers.")
    scored_by: dict[str, str]


class Movements(BaseModel):
    """The customers who would enter, or leave."""

    customers: int
    silent: int = Field(description="Of those who enter: how many would fire no campaign.")
    examples: list[ExampleCustomer] = Field(description="None for a role that may not see customers.")


class Difference(BaseModel):
    """What an evaluation of every customer would change."""

    customers: int
    members: int
    kept_by_exit_rule: int
    not_in_view: int
    entering: Movements
    leaving: Movements


class Activated(BaseModel):
    """What first evaluations under a version may fire."""

    segment: str
    version: str
    mode: Mode


class NewMode(BaseModel):
    """What first evaluations may fire from now on, and why."""

    mode: Mode
    why: Why


class Activation(BaseModel):
    """A version was put into force, or its mode was set."""

    version: str
    mode: Mode
    at: datetime
    by: str
    why: str


class History(BaseModel):
    """What has been in force."""

    versions: list[Version] = Field(description="The latest first; none where definitions are files.")
    activations: list[Activation] = Field(description="The latest first.")
    evaluated: int = Field(description="Customers evaluated under the present rules.")
    known: int = Field(description="Customers evaluated under any rules.")


class Member(BaseModel):
    """A member of a segment."""

    customer_id: str
    entered_at: datetime
    version: str
    silent: bool = Field(description="Whether the entry fired no campaign.")


class Members(BaseModel):
    """A page of members, in the order of their ids."""

    count: int
    items: list[Member]
    next_cursor: str | None


class Size(BaseModel):
    """How many members a segment had."""

    at: datetime = Field(description="Begin of the hour in which they were counted.")
    members: int


class Sizes(BaseModel):
    """The sizes of a segment over time."""

    step: Literal["hour", "day"] = Field(description="A day's size is the last one of the day (UTC).")
    items: list[Size] = Field(
        description="In order; hours and days without a recorded size are missing.",
        examples=[[{"at": "2026-11-28T09:00:00Z", "members": 1204}]],
    )


class FactColumn(BaseModel):
    """A fact that rules can read."""

    name: str
    type: str
    group: str
    coverage: float | None
    values: list[Any]


class FactColumns(BaseModel):
    """The facts that rules can read."""

    sampled: int
    items: list[FactColumn]
    unsampled: str | None


@router.get("/segments")
def list_segments(context: Context, _: Reader) -> Segments:
    """List every segment with its size."""
    found = measure_segments(context.settings)
    items = [
        SegmentSize(
            key=each.segment.key,
            name=each.segment.name,
            description=each.segment.description,
            version=each.segment.version,
            members=each.members,
            members_7_days_ago=each.week_ago,
        )
        for each in found
    ]
    return Segments(items=items, editable=context.settings.definitions == "ledger")


@router.get("/segment-facts")
def list_facts(context: Context, _: Reader) -> FactColumns:
    """List the facts that rules can read, with their types and some values."""
    found = list_fact_columns(context.settings)
    personal = context.settings.personal_columns
    items = [
        FactColumn(
            name=each.name,
            type=each.type,
            group=each.group,
            coverage=each.coverage,
            values=[] if each.name in personal else as_json(each.values),
        )
        for each in found.facts
    ]
    return FactColumns(sampled=found.sampled, items=items, unsampled=found.unsampled)


@router.post("/segments", status_code=HTTPStatus.CREATED)
def create(new: NewSegment, response: Response, context: Context, principal: Editor) -> Saved:
    """Store a new segment."""
    saved = save_segment(
        context.settings, new.definition, base_version=None, by=principal.name, why=new.why, mode=new.mode
    )
    context.accounts.record(principal.name, "create segment", saved.name.key, detail={"why": new.why, "mode": new.mode})
    response.headers["Location"] = f"/api/v1/segments/{saved.name.key}"
    return answer(saved, response)


@router.post("/segments/check")
def check(draft: Draft, context: Context, _: Reader) -> Checked:
    """Check a segment against the other definitions and the warehouse; nothing is stored."""
    segment = _build(draft.definition)
    (verdict,) = check_segments(context.settings, segment)
    if not verdict.problems:
        check_definition(context.settings, name_segment(segment.key), draft.definition)
    return Checked(problems=list(verdict.problems), notes=list(verdict.notes))


@router.post("/segments/preview")
def preview(draft: Draft, context: Context, principal: Reader) -> Preview:
    """Count the customers for whom a rule holds now; nothing is stored."""
    segment = _build(draft.definition)
    found = preview_segment(context.settings, segment, limit=_limit(draft, principal))
    return Preview(
        matching=found.matching,
        customers=found.customers,
        share=found.share,
        examples=_show(found.examples, segment, context, principal),
        scored_by=dict(found.scored_by),
    )


@router.post("/segments/diff")
def compare(draft: Draft, context: Context, principal: Reader) -> Difference:
    """Count who would enter and who would leave; nothing is stored.

    The members are those of the segment of the same key.
    """
    segment = _build(draft.definition)
    found = compare_segment(context.settings, segment, limit=_limit(draft, principal))

    def describe(movement: Movement) -> Movements:
        examples = _show(movement.examples, segment, context, principal)
        return Movements(customers=movement.customers, silent=movement.silent, examples=examples)

    return Difference(
        customers=found.customers,
        members=found.members,
        kept_by_exit_rule=found.kept,
        not_in_view=found.absent,
        entering=describe(found.entering),
        leaving=describe(found.leaving),
    )


@router.get("/segments/{key}")
def read(key: Key, response: Response, context: Context, _: Reader) -> Saved:
    """Return a segment's definition; its ETag is what an edit names."""
    return answer(find_definition(context.settings, name_segment(key)), response)


@router.put("/segments/{key}")
def edit(
    key: Key, new: NewSegment, response: Response, context: Context, principal: Editor, if_match: IfMatch = None
) -> Saved:
    """Store a version of a segment; If-Match must name the version that was edited."""
    base = find_base(context.settings, name_segment(key), if_match)
    refuse_other_key(new.definition, key)
    saved = save_segment(
        context.settings, new.definition, base_version=base, by=principal.name, why=new.why, mode=new.mode
    )
    context.accounts.record(principal.name, "edit segment", key, detail={"why": new.why, "mode": new.mode})
    return answer(saved, response)


@router.delete("/segments/{key}")
def retire(key: Key, why: WhyQuery, context: Context, principal: Editor, if_match: IfMatch = None) -> Version:
    """Let a segment be in force no longer; a campaign that names it keeps it."""
    return definition_edits.retire(context, principal, name_segment(key), if_match=if_match, why=why)


@router.post("/segments/{key}/activate")
def activate(key: Key, new: NewMode, context: Context, principal: Editor) -> Activated:
    """Set what first evaluations under the present rules may fire; what has been evaluated stays."""
    segment = activate_segment(context.settings, key, new.mode, by=principal.name, why=new.why)
    context.accounts.record(principal.name, "activate segment", key, detail={"why": new.why, "mode": new.mode})
    return Activated(segment=key, version=segment.version, mode=new.mode)


@router.get("/segments/{key}/history")
def list_versions(key: Key, context: Context, _: Reader) -> History:
    """Return the versions of a segment, and when each was in force."""
    found = read_history(context.settings, key)
    activations = [
        Activation(version=each.version, mode=each.mode, at=each.activated_at, by=each.actor, why=each.why)
        for each in found.activations
    ]
    versions = [Version.of(each) for each in read_versions(context.settings, name_segment(key))]
    return History(versions=versions, activations=activations, evaluated=found.evaluated, known=found.known)


@router.get("/segments/{key}/sizes")
def list_sizes(key: Key, context: Context, _: Reader, since: From = None, to: To = None) -> Sizes:
    """Return how large a segment was: a size an hour up to 31 days, a size a day beyond."""
    until = in_utc(to or datetime.now(UTC))
    begin = in_utc(since) if since else max(until, EARLIEST + RECENT_DAYS * DAY) - RECENT_DAYS * DAY
    if begin >= until:
        raise InvalidRequestError(f"from {begin.isoformat()} is not before to {until.isoformat()}; exchange them")
    found = read_sizes(context.settings, key, since=begin, until=until)
    items = [Size(at=each.at, members=each.members) for each in found.sizes]
    return Sizes(step="day" if found.step == DAY else "hour", items=items)


@router.get("/segments/{key}/members")
def list_segment_members(
    key: Key,
    context: Context,
    principal: CustomerViewer,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[str | None, Query(max_length=1000)] = None,
) -> Members:
    """List the members of a segment, page by page."""
    found = list_members(context.settings, key, limit=limit, after=read_place(cursor))
    context.accounts.record(principal.name, "view members", key, detail={"shown": len(found.members)})
    items = [
        Member(customer_id=each.customer_id, entered_at=each.entered_at, version=each.version, silent=each.suppressed)
        for each in found.members
    ]
    is_full = len(items) == limit
    return Members(count=found.count, items=items, next_cursor=write_place(items[-1].customer_id) if is_full else None)


def _build(definition: dict[str, Any]) -> Segment:
    return build_segment(definition, where="segment")


def _limit(draft: Draft, principal: Principal) -> int:
    return draft.limit if principal.may(Permission.VIEW_CUSTOMERS) else 0


def _show(
    examples: Sequence[Example], segment: Segment, context: WebContext, principal: Principal
) -> list[ExampleCustomer]:
    if examples:
        shown = {"customers": [each.customer_id for each in examples]}
        context.accounts.record(principal.name, "view examples", segment.key, detail=shown)
    personal = context.settings.personal_columns
    return [
        ExampleCustomer(customer_id=each.customer_id, facts=as_json(mask(each.facts, principal, personal)))
        for each in examples
    ]
