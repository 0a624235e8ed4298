"""Customer intelligence: leads, the voice of the customer, recommendations."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from console.use_cases.leads import score_leads
from console.use_cases.recommendations import read_stored
from console.voice_views import trends_object
from console.web.api.customers import NO_NUL, CustomerId
from console.web.authentication import CustomerViewer, Reader
from console.web.context import Context
from console.web.customer_views import note_view
from console.web.errors import InvalidRequestError
from console.web.voice_reports import read_voice
from models.leads import LeadFeatures

router = APIRouter(tags=["intelligence"])
Share = Annotated[float | None, Field(ge=0, le=1)]
Count = Annotated[int | None, Field(ge=0, le=100_000)]
Delta = Annotated[float | None, Field(ge=-1_000_000, le=1_000_000)]


class Lead(BaseModel):
    """A lead; what is left out is unknown. At least one feature is needed."""

    lead_id: Annotated[str, Field(min_length=1, max_length=200, pattern=NO_NUL)]
    urgency_score: Share = None
    days_since_contact: Annotated[float | None, Field(ge=0, le=100_000)] = None
    response_rate: Share = None
    budget_specified: bool | None = None
    contact_completeness: Share = None
    profile_delta: Delta = None
    skin_age: Delta = Field(None, description="Another name of profile_delta.")
    concern_count: Count = None
    previous_purchase_count: Count = None
    previous_treatment_count: Count = Field(None, description="Another name of previous_purchase_count.")


class LeadsRequest(BaseModel):
    """Leads to score."""

    leads: list[Lead] = Field(
        min_length=1,
        max_length=1_000,
        examples=[[{"lead_id": "tea-room-42", "urgency_score": 0.9, "days_since_contact": 1}]],
    )


class LeadReason(BaseModel):
    """What a feature contributes to a score."""

    feature: str
    value: float | None
    contribution: float
    text: str


class ScoredLead(BaseModel):
    """A lead with its score from 0 to 100, and why."""

    lead_id: str
    score: float
    tier: str = Field(examples=["cold", "warm", "hot"])
    probability: float | None
    basis: str
    version: str
    reasons: list[LeadReason]


class LeadScores(BaseModel):
    """Leads in the order asked for."""

    leads: list[ScoredLead]
    note: str | None = Field(description="Why the promoted model does not score.")


class WeekOfVoice(BaseModel):
    """The conversations of a week."""

    conversations: int
    moods: dict[str, int]
    satisfaction: float | None = Field(description="Mean, 0 to 10.")
    urgent: int
    cancelling: int
    languages: dict[str, int]


class Voice(BaseModel):
    """The voice of the customer in a week, with the trend of each concern."""

    week: str = Field(examples=["2026-W47"])
    conversations: int
    newest_message_at: str | None
    alerts: list[str]
    concerns: list[dict[str, Any]]
    summary: WeekOfVoice
    summary_before: WeekOfVoice


class Recommendation(BaseModel):
    """A product for a customer."""

    product_id: str
    name: str | None
    category: str | None
    price: float | None
    score: float
    bought_before: bool
    reason: str


class Recommendations(BaseModel):
    """Products for a customer, the best first."""

    customer_id: str
    recommendations: list[Recommendation]


@router.post("/leads/score")
def score(asked: LeadsRequest, context: Context, _: CustomerViewer) -> LeadScores:
    """Score leads from 0 to 100, with tier and reasons; nothing is stored."""
    leads = []
    for each in asked.leads:
        features = LeadFeatures(**each.model_dump(exclude={"lead_id"}))
        if problem := features.find_problem():
            raise InvalidRequestError(f"lead {each.lead_id!r}: {problem}")
        leads.append((each.lead_id, features.features))
    found = score_leads(context.settings, leads)
    return LeadScores(
        leads=[
            ScoredLead(
                lead_id=each.lead_id,
                score=each.score.score,
                tier=each.tier,
                probability=each.score.probability,
                basis=each.score.basis,
                version=each.score.version,
                reasons=[
                    LeadReason(feature=why.feature, value=why.value, contribution=why.contribution, text=why.text)
                    for why in each.reasons
                ],
            )
            for each in found.leads
        ],
        note=found.refused,
    )


@router.get("/analytics/voc")
def read_voice_of_customers(
    context: Context,
    _: Reader,
    week: Annotated[
        str | None, Query(max_length=10, pattern=NO_NUL, description="As 2026-W47; the last complete one by default.")
    ] = None,
) -> Voice:
    """Return what customers talked about in a week, and how each concern develops."""
    found = read_voice(context.settings, week)
    trends = trends_object(found.trends)
    return Voice(
        **{name: trends[name] for name in ("week", "conversations", "newest_message_at", "alerts", "concerns")},
        summary=_summarize(found.week),
        summary_before=_summarize(found.before),
    )


@router.get("/recommendations/{customer_id:path}")
def read_recommendations(customer_id: CustomerId, context: Context, principal: CustomerViewer) -> Recommendations:
    """Return the products that the latest run of `holdfast recommend` found for a customer, with reasons."""
    found = read_stored(context.settings, customer_id)
    note_view(context, principal, customer_id, "recommendations")
    return Recommendations(customer_id=customer_id, recommendations=[Recommendation(**each) for each in found])


def _summarize(week: Any) -> WeekOfVoice:
    return WeekOfVoice(
        conversations=week.conversations,
        moods=dict(week.moods),
        satisfaction=week.satisfaction,
        urgent=week.urgent,
        cancelling=week.cancelling,
        languages=dict(week.languages),
    )
