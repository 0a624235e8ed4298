"""The addresses of the loyalty platform's guide, with its shapes: predictions of one customer, and columns."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from console.use_cases.warehouse_columns import list_columns
from console.web.api.customers import NO_NUL
from console.web.api.predictions import predict_one
from console.web.authentication import CustomerViewer, Reader
from console.web.context import Context

router = APIRouter(prefix="/api/loyalty/v1/dwh", tags=["loyalty platform"])


class CustomerRequest(BaseModel):
    """A customer."""

    customer_id: Annotated[str, Field(min_length=1, max_length=200, pattern=NO_NUL, examples=["14911"])]


class OfferScore(BaseModel):
    """The score of an offer."""

    offer_id: int
    score: float | None


class NextBestOffer(BaseModel):
    """The offer that a customer is most likely to take."""

    model_config = ConfigDict(extra="allow")

    customer_id: str
    recommended_offer: int | None
    confidence: Literal["low", "medium", "high"] | None
    all_offers: list[OfferScore]


class Churn(BaseModel):
    """How likely a customer is to leave, and what to do."""

    model_config = ConfigDict(extra="allow")

    customer_id: str
    churn_probability: float | None
    churn_risk: Literal["low", "medium", "high", "critical"] | None
    recommendations: list[str]


class Rfm(BaseModel):
    """Recency, frequency and monetary value from 1 to 5, and the segment they make."""

    customer_id: str
    recency: int | None
    frequency: int | None
    monetary: int | None
    segment: str | None = Field(examples=["Champions"])


class Column(BaseModel):
    """A column of the customers' view, which rules and messages can read."""

    name: str
    type: str = Field(examples=["number", "boolean", "text"])


class Columns(BaseModel):
    """The columns of the customers' view."""

    table: str
    columns: list[Column]


@router.post("/ml/nbo/")
async def predict_offer(asked: CustomerRequest, context: Context, principal: CustomerViewer) -> NextBestOffer:
    """Return the next best offer of a customer."""
    return NextBestOffer(**await predict_one(context, principal, "nbo", asked.customer_id))


@router.post("/ml/churn/")
async def predict_churn(asked: CustomerRequest, context: Context, principal: CustomerViewer) -> Churn:
    """Return the churn prediction of a customer."""
    return Churn(**await predict_one(context, principal, "churn", asked.customer_id))


@router.post("/ml/rfm/")
async def predict_rfm(asked: CustomerRequest, context: Context, principal: CustomerViewer) -> Rfm:
    """Return the RFM scores of a customer."""
    return Rfm(**await predict_one(context, principal, "rfm", asked.customer_id))


@router.get("/columns/")
def read_columns(context: Context, _: Reader) -> Columns:
    """Return the columns of the customers' view."""
    table, columns = list_columns(context.settings)
    return Columns(table=table, columns=[Column(name=name, type=kind) for name, kind in columns.items()])
