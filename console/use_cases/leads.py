"""Leads: which there are, why one has its score, and the scores of a file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from campaigns.errors import FeedbackError, UnknownLeadError
from campaigns.leads import WRONG_SCORE
from console.use_cases.ledger import ask_ledger, open_ledger
from models.lead_file import read_leads
from models.lead_model import load_lead_scorer
from streams.formats.codecs import LEADS
from streams.formats.feedback_checks import check_words
from streams.kafka.event_producer import EventProducer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from campaigns.leads import LeadRecord, LeadState
    from models.leads import Lead, LeadReason, LeadScore, LeadScorer
    from streams.settings import Settings


@dataclass(frozen=True, slots=True)
class LeadExplanation:
    """A lead, and why it has its score.

    Attributes:
        lead: as the ledger holds it.
        reasons: of its score by what serves now, the largest first; empty before the first update.
        scored_again: its score by what serves now, where that is another version than scored it; else None.
        events: in the order of event time.
    """

    lead: LeadState
    reasons: Sequence[LeadReason]
    scored_again: LeadScore | None
    events: Sequence[LeadRecord]


@dataclass(frozen=True, slots=True)
class ScoredLead:
    """A lead with its score, tier and reasons."""

    lead_id: str
    score: LeadScore
    tier: str
    reasons: Sequence[LeadReason]


@dataclass(frozen=True, slots=True)
class LeadScores:
    """The scores of leads, in the order given.

    Attributes:
        leads: scored.
        refused: why the model that is promoted does not score, None where it does or there is none.
    """

    leads: Sequence[ScoredLead]
    refused: str | None


async def list_leads(settings: Settings, *, tier: str | None, closed: bool, limit: int) -> Sequence[LeadState]:
    """Return leads, the highest score first.

    Args:
        settings: the ledger.
        tier: of this tier alone; None for all.
        closed: those that are converted or lost, too.
        limit: the most.
    """
    async with open_ledger(settings) as ledger:
        return await ledger.list_leads(tier, closed=closed, limit=limit)


async def explain_lead(settings: Settings, lead_id: str) -> LeadExplanation:
    """Return a lead with the reasons of its score.

    Raises:
        UnknownLeadError: the ledger has no such lead.
    """
    async with open_ledger(settings) as ledger:
        lead = await ledger.find_lead(lead_id)
        if lead is None:
            raise UnknownLeadError(f"the ledger has no lead {lead_id!r}; `holdfast leads list` shows those it has")
        events = await ledger.lead_events(lead_id)
    if lead.updated_at is None:
        return LeadExplanation(lead, (), None, events)
    scorer, _ = load(settings)
    (now,) = scorer.score([lead.features])
    return LeadExplanation(
        lead, scorer.explain(lead.features, now.basis), now if now.version != lead.version else None, events
    )


def score_file(settings: Settings, path: Path) -> LeadScores:
    """Return the scores of the leads of a CSV file.

    Raises:
        LeadFileError: the file or a line cannot be read.
    """
    return score_leads(settings, [(each.lead_id, each.features) for each in read_leads(path)])


def score_leads(settings: Settings, leads: Sequence[tuple[str, Lead]]) -> LeadScores:
    """Return the scores of leads, each its id and features."""
    scorer, refused = load(settings)
    scores = scorer.score([features for _, features in leads])
    scored = [
        ScoredLead(lead_id, score, scorer.tier(score.score), scorer.explain(features, score.basis))
        for (lead_id, features), score in zip(leads, scores, strict=True)
    ]
    return LeadScores(scored, refused)


def judge_score(settings: Settings, lead_id: str, value: float | None, *, by: str, why: str) -> str:
    """Publish that the score of a lead is wrong, and return the id of the event once Kafka has acknowledged it.

    Args:
        settings: where Kafka and the ledger are.
        lead_id: the lead.
        value: what its score should be; None where it is only wrong.
        by: who says so.
        why: the reason.

    Raises:
        UnknownLeadError: the ledger has no such lead.
        FeedbackError: a worker would not accept it.
        BrokerUnavailableError: Kafka has not acknowledged it in time.
    """
    if problem := check_words(by, why):
        raise FeedbackError(problem)
    if ask_ledger(settings, lambda ledger: ledger.find_lead(lead_id)) is None:
        raise UnknownLeadError(f"the ledger has no lead {lead_id!r}; `holdfast leads list` shows those it has")
    event_id, now = str(uuid4()), datetime.now(UTC).isoformat()
    said = {"by": by, "reason": why, **({} if value is None else {"value": value})}
    event = {"id": event_id, "type": WRONG_SCORE, "lead_id": lead_id, "occurred_at": now, **said}
    EventProducer(settings, LEADS, key="lead_id").publish([event])
    return event_id


def load(settings: Settings) -> tuple[LeadScorer, str | None]:
    """Return what scores leads, and why the model that is promoted does not."""
    scorer, refused = load_lead_scorer(settings.models_dir or Path(), settings.lead_thresholds)
    return scorer, next(iter(refused.values()), None)
