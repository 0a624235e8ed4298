"""What customer care does for a customer: what-if, feedback, do not contact, forget."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, Field

from campaigns.feedback import FeedbackKind
from console.erasure_views import describe_receipt
from console.feedback_views import feedback_object
from console.use_cases.customer_digests import find_digest
from console.use_cases.customer_feedback import give_feedback, list_feedback, withdraw_feedback
from console.use_cases.erasure import erase_customers
from console.use_cases.what_if import find_what_if
from console.web.api.customers import NO_NUL, CustomerId
from console.web.authentication import CareWorker, CustomerViewer
from console.web.context import Context
from console.web.customer_views import mask_what_if, note_view
from console.web.errors import InvalidRequestError
from console.what_if_views import as_object

router = APIRouter(prefix="/customers", tags=["customers"])
Text = Annotated[str, Field(min_length=1, max_length=1_000, pattern=NO_NUL)]
Scalar = float | bool | str | None


class WhatIfRequest(BaseModel):
    """Facts with other values."""

    values: dict[
        Annotated[str, Field(max_length=200)], Annotated[Scalar, Field(description="null makes the fact null")]
    ] = Field(default_factory=dict, max_length=100, examples=[{"days_since_last_transaction": 90}])
    at: AwareDatetime | None = Field(None, description="Time of the update; now by default.")


class WhatIfAnswer(BaseModel):
    """What would be decided with the changed facts, and with today's."""

    customer_id: str
    as_of: datetime
    changes: list[dict[str, Any]]
    memberships: list[dict[str, Any]]
    scores: list[dict[str, Any]]
    decisions: list[dict[str, Any]]
    decisions_with_todays_facts: list[dict[str, Any]]
    notes: list[str]


class FeedbackEntry(BaseModel):
    """What staff said of a customer."""

    feedback_id: str
    state: Literal["in force", "expired", "withdrawn"]
    kind: str
    given_at: datetime
    until: datetime | None
    model: str | None
    value: float | None
    by: str
    why: str
    withdrawn_by: str | None
    withdrawn_at: datetime | None


class FeedbackList(BaseModel):
    """What staff said of a customer, in the order of time."""

    customer_id: str
    feedback: list[FeedbackEntry]


class FeedbackRequest(BaseModel):
    """What is said of a customer."""

    kind: Literal["do_not_contact", "always_vip", "wrong_score"]
    why: Text
    until: AwareDatetime | None = Field(None, description="From when on it no longer counts.")
    model: Annotated[str, Field(max_length=40, pattern=NO_NUL)] = Field("", description="Of wrong_score.")
    value: float | None = Field(None, allow_inf_nan=False, description="What the score should be.")


class FeedbackGiven(BaseModel):
    """Feedback that was published; it counts when a worker has read it."""

    feedback_id: str
    note: str | None


class ForgetRequest(BaseModel):
    """Erase a customer."""

    confirm: str = Field(max_length=200, description="The customer's id again.")
    why: Text


class Receipt(BaseModel):
    """What was erased, and what others must erase."""

    rows: dict[str, int]
    unsent: int
    cache_erased: bool
    lines: list[str]


@router.post("/{customer_id:path}/what-if")
def show_what_if(
    customer_id: CustomerId, asked: WhatIfRequest, context: Context, principal: CustomerViewer
) -> WhatIfAnswer:
    """Return what an update of a customer would do if some facts were others; nothing is stored or sent."""
    values = {name: _as_text(cell) for name, cell in asked.values.items() if cell is not None}
    nulls = [name for name, cell in asked.values.items() if cell is None]
    found = find_what_if(context.settings, customer_id, values=values, nulls=nulls, at=asked.at)
    note_view(context, principal, customer_id, "what-if")
    return WhatIfAnswer(**as_object(mask_what_if(found, principal, context.settings.personal_columns)))


@router.get("/{customer_id:path}/feedback")
def read_feedback(customer_id: CustomerId, context: Context, principal: CustomerViewer) -> FeedbackList:
    """Return what staff said of a customer, and whether it counts now."""
    found = list_feedback(context.settings, customer_id)
    note_view(context, principal, customer_id, "feedback")
    return FeedbackList(customer_id=customer_id, feedback=[FeedbackEntry(**feedback_object(each)) for each in found])


@router.post("/{customer_id:path}/feedback", status_code=202)
def add_feedback(
    customer_id: CustomerId, said: FeedbackRequest, context: Context, principal: CareWorker
) -> FeedbackGiven:
    """Say that a customer is not to be contacted or always VIP, or that a score is wrong."""
    given = give_feedback(
        context.settings,
        customer_id,
        FeedbackKind(said.kind),
        by=principal.name,
        why=said.why,
        until=said.until,
        model=said.model,
        value=said.value,
    )
    context.accounts.record(
        principal.name, f"give feedback {said.kind}", given.event_id, customer_id=customer_id, detail={"why": said.why}
    )
    return FeedbackGiven(feedback_id=given.event_id, note=given.unchecked)


@router.delete("/{customer_id:path}/feedback/{feedback_id}", status_code=202)
def withdraw(
    customer_id: CustomerId,
    feedback_id: Annotated[str, Field(max_length=200, pattern=NO_NUL)],
    why: Annotated[str, Query(min_length=1, max_length=1_000, pattern=NO_NUL)],
    context: Context,
    principal: CareWorker,
) -> FeedbackGiven:
    """Withdraw feedback; it no longer counts, and stays in the list."""
    given = withdraw_feedback(context.settings, customer_id, feedback_id, by=principal.name, why=why)
    context.accounts.record(
        principal.name, "withdraw feedback", feedback_id, customer_id=customer_id, detail={"why": why}
    )
    return FeedbackGiven(feedback_id=given.event_id, note=given.unchecked)


@router.post("/{customer_id:path}/forget")
def forget(customer_id: CustomerId, asked: ForgetRequest, context: Context, principal: CareWorker) -> Receipt:
    """Erase a customer from the ledger, the messages and the cache, and leave out their later events."""
    if asked.confirm != customer_id:
        raise InvalidRequestError("confirm is not the customer's id; nothing was erased")
    digest = find_digest(context.settings, customer_id)
    receipt = erase_customers(context.settings, [customer_id], by=principal.name, why=asked.why)
    # The id must not be kept: the digest is what logs have of the customer.
    context.accounts.record(principal.name, "forget customer", digest, detail={"why": asked.why})
    return Receipt(
        rows=dict(receipt.rows),
        unsent=receipt.unsent,
        cache_erased=receipt.cache_erased,
        lines=list(describe_receipt(receipt, context.settings.cache_ttl_s)),
    )


def _as_text(cell: float | bool | str) -> str:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return cell if isinstance(cell, str) else repr(cell)
