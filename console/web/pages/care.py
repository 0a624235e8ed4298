"""What customer care does for a customer: what-if, do not contact and other feedback, forget."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse

from campaigns.feedback import FeedbackKind
from console.erasure_views import describe_receipt
from console.explanation_views import describe_value
from console.fact_groups import describe_name
from console.use_cases.customer_digests import find_digest
from console.use_cases.customer_feedback import give_feedback, withdraw_feedback
from console.use_cases.erasure import erase_customers
from console.use_cases.what_if import find_what_if
from console.web.authentication import CareWorker, CustomerViewer
from console.web.context import Context
from console.web.customer_views import mask_what_if, note_view
from console.web.errors import InvalidRequestError
from console.web.links import customer_address
from console.web.rendering import render
from console.what_if_views import WOULD, describe_move

router = APIRouter(prefix="/care")
FACT = "fact."
"""Before the name of a fact in a form: facts have any name."""
CustomerId = Annotated[str, Form(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
Why = Annotated[str, Form(min_length=1, max_length=1_000)]


@router.get("/what-if")
def show_what_if(
    request: Request,
    context: Context,
    principal: CustomerViewer,
    customer_id: Annotated[str, Query(min_length=1, max_length=200, pattern=r"^[^\x00]*$")],
) -> Response:
    """Show what an update of a customer would do if some facts were others; nothing is stored or sent."""
    given = {
        name.removeprefix(FACT): text.strip() for name, text in request.query_params.items() if name.startswith(FACT)
    }
    values = {name: text for name, text in given.items() if text}
    found = find_what_if(context.settings, customer_id, values=values, nulls=())
    note_view(context, principal, customer_id, "what-if")
    shown = {
        "found": mask_what_if(found, principal, context.settings.personal_columns),
        "would": WOULD,
        "describe_move": describe_move,
        "describe_name": describe_name,
        "describe_value": describe_value,
    }
    return render(request, "what_if_result.html" if "HX-Request" in request.headers else "what_if.html", shown)


@router.post("/feedback")
def add_feedback(
    context: Context,
    principal: CareWorker,
    customer_id: CustomerId,
    kind: Annotated[FeedbackKind, Form()],
    why: Why,
    until: Annotated[str, Form(max_length=10)] = "",
) -> Response:
    """Say that a customer is not to be contacted, or always VIP."""
    if kind not in {FeedbackKind.DO_NOT_CONTACT, FeedbackKind.ALWAYS_VIP}:
        raise InvalidRequestError(f"{kind} is given by the API or `holdfast customers feedback`")
    given = give_feedback(context.settings, customer_id, kind, by=principal.name, why=why, until=_read_end(until))
    context.accounts.record(
        principal.name, f"give feedback {kind}", given.event_id, customer_id=customer_id, detail={"why": why}
    )
    return _back(customer_id, "feedback")


@router.post("/withdraw")
def withdraw(
    context: Context,
    principal: CareWorker,
    customer_id: CustomerId,
    feedback_id: Annotated[str, Form(max_length=200)],
    why: Why,
) -> Response:
    """Withdraw feedback."""
    withdraw_feedback(context.settings, customer_id, feedback_id, by=principal.name, why=why)
    context.accounts.record(
        principal.name, "withdraw feedback", feedback_id, customer_id=customer_id, detail={"why": why}
    )
    return _back(customer_id, "withdrawn")


@router.post("/forget")
def forget(
    request: Request,
    context: Context,
    principal: CareWorker,
    customer_id: CustomerId,
    confirm: Annotated[str, Form(max_length=200)],
    why: Why,
) -> Response:
    """Erase a customer, and show the receipt."""
    if confirm.strip() != customer_id:
        raise InvalidRequestError("What you typed is not the customer's id. Nothing was erased.")
    digest = find_digest(context.settings, customer_id)
    receipt = erase_customers(context.settings, [customer_id], by=principal.name, why=why)
    # The id must not be kept: the digest is what logs have of the customer.
    context.accounts.record(principal.name, "forget customer", digest, detail={"why": why})
    return render(request, "forgotten.html", {"lines": list(describe_receipt(receipt, context.settings.cache_ttl_s))})


def _back(customer_id: str, done: str) -> RedirectResponse:
    return RedirectResponse(f"{customer_address(customer_id)}?{urlencode({'done': done})}", 303)


def _read_end(day: str) -> datetime | None:
    """Return the end of a day, None for an empty text."""
    if not day.strip():
        return None
    try:
        return datetime.combine(date.fromisoformat(day.strip()) + timedelta(days=1), time(), UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidRequestError(f"{day!r} is no day; write it as 2026-12-31") from error
