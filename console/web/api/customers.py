"""Single customers: what is known, what was decided and why."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from console.explanation_views import describe_decision, describe_rule
from console.feedback_views import describe_feedback
from console.timeline_views import describe_entry
from console.use_cases.customer_search import find_customers
from console.use_cases.explanations import explain_customer
from console.use_cases.timelines import find_timeline
from console.web.authentication import CustomerViewer
from console.web.context import Context
from console.web.cursors import read_cursor, read_place, write_cursor, write_place
from console.web.customer_views import mask, mask_explanation, mask_timeline, note_view
from console.web.errors import InvalidRequestError

router = APIRouter(prefix="/customers", tags=["customers"])
MOST_ENTRIES = 100_000
NO_NUL = r"^[^\x00]*$"
CustomerId = Annotated[str, Path(min_length=1, max_length=200, pattern=NO_NUL, examples=["14911"])]
Limit = Annotated[int, Query(ge=1, le=1_000, description="The most entries of the answer.")]
Cursor = Annotated[str | None, Query(max_length=1_000, description="`next_cursor` of the answer before.")]


class CustomerList(BaseModel):
    """Ids of customers, in order."""

    customer_ids: list[str]
    next_cursor: str | None


class Facts(BaseModel):
    """What is known of a customer now."""

    customer_id: str
    facts: dict[str, Any] = Field(description="The facts that the next event would be decided with.")
    substitutions: list[str] = Field(description="A sentence for each model that a rule replaces.")


class Membership(BaseModel):
    """The latest episode of a customer in a segment."""

    segment: str
    is_member: bool
    entered_at: datetime
    exited_at: datetime | None


class Decision(BaseModel):
    """A decision about a campaign, also one not to contact."""

    campaign: str
    segment: str
    outcome: str = Field(examples=["fired", "withheld", "control"])
    as_of: datetime
    detail: str
    explanation: str
    versions: dict[str, str]


class Rule(BaseModel):
    """A segment's rule on the present facts."""

    segment: str
    met: bool
    explanation: str


class Explanation(BaseModel):
    """Everything about a customer."""

    customer_id: str
    facts: dict[str, Any]
    memberships: list[Membership]
    decisions: list[Decision]
    rules: list[Rule]
    feedback: list[str]
    substitutions: list[str]


class TimelineEntry(BaseModel):
    """Something that happened to a customer."""

    at: datetime
    kind: str = Field(examples=["decision", "contact", "entered", "feedback"])
    summary: str
    details: dict[str, Any]


class Timeline(BaseModel):
    """What happened to a customer, the latest first."""

    customer_id: str
    entries: list[TimelineEntry]
    next_cursor: str | None


@router.get("")
def list_customers(
    context: Context,
    _: CustomerViewer,
    starts_with: Annotated[str, Query(max_length=200, pattern=NO_NUL, description="The beginning of the id.")] = "",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> CustomerList:
    """Return ids of customers that a worker has evaluated, in order."""
    found = find_customers(context.settings, starts_with, limit=limit, after=read_place(cursor))
    return CustomerList(customer_ids=list(found), next_cursor=write_place(found[-1]) if len(found) == limit else None)


@router.get("/{customer_id:path}/facts")
def read_facts(customer_id: CustomerId, context: Context, principal: CustomerViewer) -> Facts:
    """Return the facts of a customer: of the warehouse, the models, messages and feedback."""
    found = explain_customer(context.settings, customer_id)
    note_view(context, principal, customer_id, "facts")
    facts = mask(found.facts, principal, context.settings.personal_columns)
    return Facts(customer_id=customer_id, facts=facts, substitutions=list(found.substitutions))


@router.get("/{customer_id:path}/timeline")
def read_timeline(
    customer_id: CustomerId, context: Context, principal: CustomerViewer, limit: Limit = 100, cursor: Cursor = None
) -> Timeline:
    """Return what happened to a customer, the latest first: events, segments, decisions, contacts, outcomes."""
    # Entries are added at the front only, so that none is left out.
    skipped = read_cursor(cursor) or 0
    if skipped > MOST_ENTRIES:
        raise InvalidRequestError("cursor is none that this API has given; leave it out to begin")
    found = mask_timeline(find_timeline(context.settings, customer_id, since=None, limit=skipped + limit), principal)
    note_view(context, principal, customer_id, "timeline")
    shown = [*reversed(found.entries)][skipped:]
    return Timeline(
        customer_id=customer_id,
        entries=[
            TimelineEntry(
                at=each.at, kind=each.kind, summary=describe_entry(each, found.offers), details=dict(each.details)
            )
            for each in shown
        ],
        next_cursor=write_cursor(skipped + limit if found.is_cut else None),
    )


@router.get("/{customer_id:path}/explanation")
def explain(customer_id: CustomerId, context: Context, principal: CustomerViewer) -> Explanation:
    """Return a customer's facts, memberships, decisions with their reasons, and each segment's rule on the facts."""
    found = mask_explanation(
        explain_customer(context.settings, customer_id), principal, context.settings.personal_columns
    )
    note_view(context, principal, customer_id, "customer")
    return Explanation(
        customer_id=customer_id,
        facts=dict(found.facts),
        memberships=[
            Membership(
                segment=each.segment, is_member=each.is_member, entered_at=each.entered_at, exited_at=each.exited_at
            )
            for each in found.memberships
        ],
        decisions=[
            Decision(
                campaign=each.record.campaign,
                segment=each.record.segment,
                outcome=each.record.outcome,
                as_of=each.record.as_of,
                detail=each.record.detail,
                explanation=describe_decision(each),
                versions=dict(each.record.versions),
            )
            for each in found.decisions
        ],
        rules=[
            Rule(segment=each.segment.key, met=each.explanation.met, explanation=describe_rule(each))
            for each in found.rules
        ],
        feedback=[describe_feedback(each) for each in found.feedback],
        substitutions=list(found.substitutions),
    )
