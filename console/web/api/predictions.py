"""Predictions of churn, next best offer, lifetime value and RFM: of one customer, some, or a segment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from console.access.postgres_accounts import View
from console.use_cases.customer_search import find_members
from console.web.api.customers import NO_NUL, Cursor, CustomerId
from console.web.authentication import CustomerViewer
from console.web.context import Context
from console.web.cursors import read_place, write_place
from console.web.customer_views import mask_prediction
from console.web.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from console.access.roles import Principal
    from console.use_cases.predictions import Answers
    from console.web.context import WebContext

router = APIRouter(prefix="/predictions", tags=["predictions"])
Kind = Literal["churn", "nbo", "ltv", "rfm"]
MOST = 1_000


class PredictionRequest(BaseModel):
    """Customers to predict for."""

    customer_ids: list[Annotated[str, Field(min_length=1, max_length=200, pattern=NO_NUL)]] = Field(
        min_length=1, max_length=MOST, examples=[["14911", "12748"]]
    )


class Problem(BaseModel):
    """Why a customer has no prediction."""

    customer_id: str
    problem: str


class Predictions(BaseModel):
    """Predictions, in the order of the ids asked for; each of the shape of its kind in docs/predictions.md."""

    kind: Kind
    predictions: list[dict[str, Any]]
    problems: list[Problem]
    notes: list[str] = Field(description="What the predictions lack: a model, reasons, confidence.")
    next_cursor: str | None = None


@router.get("/{kind}/customers/{customer_id:path}")
async def predict_customer(
    kind: Kind, customer_id: CustomerId, context: Context, principal: CustomerViewer
) -> dict[str, Any]:
    """Return the prediction of one customer."""
    return await predict_one(context, principal, kind, customer_id)


@router.post("/{kind}")
async def predict_customers(
    kind: Kind, asked: PredictionRequest, context: Context, principal: CustomerViewer
) -> Predictions:
    """Return the predictions of up to 1,000 customers."""
    return _as_list(kind, await answer(context, principal, kind, asked.customer_ids), context, principal)


@router.get("/{kind}")
async def predict_segment(
    kind: Kind,
    segment: Annotated[str, Query(min_length=1, max_length=200, pattern=NO_NUL, description="The key of a segment.")],
    context: Context,
    principal: CustomerViewer,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 100,
    cursor: Cursor = None,
) -> Predictions:
    """Return the predictions of the members of a segment, in the order of their ids."""
    members = await run_in_threadpool(find_members, context.settings, segment, limit=limit, after=read_place(cursor))
    found = _as_list(kind, await answer(context, principal, kind, members), context, principal)
    found.next_cursor = write_place(members[-1]) if len(members) == limit else None
    return found


async def predict_one(context: WebContext, principal: Principal, kind: str, customer_id: str) -> dict[str, Any]:
    """Return the prediction of one customer.

    Raises:
        NotFoundError: the warehouse has not one row of the customer.
    """
    found = await answer(context, principal, kind, [customer_id])
    if not found.predictions:
        raise NotFoundError(found.problems[customer_id])
    return mask_prediction(found.predictions[0], principal, context.settings.personal_columns)


async def answer(context: WebContext, principal: Principal, kind: str, customer_ids: Sequence[str]) -> Answers:
    """Return predictions, and record who looked at whom."""
    found = await context.predictions.ask(kind, customer_ids)
    viewed = [each["customer_id"] for each in found.predictions]
    if viewed:
        await context.views.ask(View(principal.name, f"view {kind} prediction", viewed))
    return found


def _as_list(kind: Kind, found: Answers, context: WebContext, principal: Principal) -> Predictions:
    personal = context.settings.personal_columns
    return Predictions(
        kind=kind,
        predictions=[mask_prediction(each, principal, personal) for each in found.predictions],
        problems=[Problem(customer_id=who, problem=why) for who, why in found.problems.items()],
        notes=list(found.notes),
    )
