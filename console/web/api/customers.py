"""Single customers: what is known, what was decided and why."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from console.explanation_views import describe_decision, describe_rule
from console.feedback_views import describe_feedback
from console.use_cases.explanations import explain_customer
from console.web.authentication import CustomerViewer
from console.web.context import Context
from console.web.customer_views import mask, note_view

router = APIRouter(prefix="/customers", tags=["customers"])
CustomerId = Annotated[str, Path(min_length=1, max_length=200, examples=["14911"])]


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


@router.get("/{customer_id}/explanation")
def explain(customer_id: CustomerId, context: Context, principal: CustomerViewer) -> Explanation:
    """Return a customer's facts, memberships, decisions with their reasons, and each segment's rule on the facts."""
    found = explain_customer(context.settings, customer_id)
    note_view(context, principal, customer_id, "customer")
    return Explanation(
        customer_id=customer_id,
        facts=mask(found.facts, principal, context.settings.personal_columns),
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
