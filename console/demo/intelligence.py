"""What the demo shows of intelligence: a concern that emerges, recommendations in messages, a lead that becomes hot.

Messages and leads are synthetic. The recommendations were computed from the retailer's real sales before the launch;
see examples/online_retail/make_recommendations.py.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import psycopg

from campaigns.postgres_insights import write_insights
from console.synthetic import Message
from console.use_cases.messages import copy_messages
from console.use_cases.recommendations import as_facts
from console.use_cases.voice import TREND_WEEKS, follow_trends
from features.insights import RECOMMENDATIONS
from intelligence.concern_trends import FALSE_ALERTS
from intelligence.migrations import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from console.warehouse import Day
    from intelligence.concern_trends import ConcernTrend
    from streams.settings import Settings

LAUNCHED = "vip-offers"
"""The campaign whose messages recommend a product."""
OUTAGE = date(2011, 11, 21)
"""Monday of the week in which the website keeps failing."""
WEEK = timedelta(days=7)
COMPLAINTS = (
    "The website crashed at checkout again, and my basket is empty.",
    "I cannot log in to your website since yesterday, it refuses my password.",
    "Your app crashes when I open the basket. Please call me, I want to order today.",
)
COMPLAINTS_A_DAY = 6
LEAD_ON = date(2011, 11, 2)
LEAD = "tea-room-42"
_FIRST = {"urgency_score": 0.4, "days_since_contact": 12, "response_rate": 0.5, "contact_completeness": 0.6}
_THEN = {**_FIRST, "urgency_score": 0.95, "days_since_contact": 0, "response_rate": 0.9, "budget_specified": True}
SUGGESTION = "{% if recommendations %} You may like: {{ recommendations[0].name }}.{% endif %}"
"""What the demo adds to the message of the launched campaign."""


def add_complaints(day: Day) -> Day:
    """Return a day with what some of its customers say while the website fails."""
    if not OUTAGE <= day.date < OUTAGE + WEEK:
        return day
    said = [
        Message(
            id=f"outage-{invoice.order_id}",
            customer_id=invoice.customer_id,
            channel="chat",
            role="customer",
            text=COMPLAINTS[number % len(COMPLAINTS)],
            occurred_at=invoice.ordered_at,
        )
        for number, invoice in enumerate(day.invoices[:COMPLAINTS_A_DAY])
    ]
    return replace(day, conversations=sorted([*day.conversations, *said], key=lambda each: each.occurred_at))


def lead_events(day: date) -> Iterator[dict[str, Any]]:
    """Yield the events of leads of a day: one lead is lukewarm in the morning, and urgent at noon."""
    if day == LEAD_ON:
        for hour, features in ((9, _FIRST), (12, _THEN)):
            at = datetime.combine(day, time(hour), UTC)
            yield {"id": f"{LEAD}-{hour}", "type": "lead.updated", "lead_id": LEAD, "occurred_at": at, **features}


def load_recommendations(settings: Settings, folder: Path, at: datetime) -> int:
    """Store the shipped recommendations as facts, and return how many customers have some."""
    found = json.loads(gzip.decompress((folder / "recommendations.json.gz").read_bytes()))
    defaults = {"category": None, "score": None, "bought_before": False}
    rows = ((customer, as_facts([{**defaults, **each} for each in some], at)) for customer, some in found.items())
    return write_insights(settings.ledger_url, RECOMMENDATIONS, rows, at=at)


@dataclass(frozen=True, slots=True)
class Learned:
    """What there is to show after the play.

    Attributes:
        concerns: whose rate left its expected band in the week of the outage; empty if that week was not played.
        message: a launched message with a recommendation, with its customer and the reason of the recommendation.
        hot_leads: the alerts.
    """

    concerns: list[ConcernTrend]
    message: tuple[str, str, str] | None
    hot_leads: list[dict[str, Any]]


def learn(settings: Settings, until: date) -> Learned:
    """Copy the messages to the store, and find what there is to show.

    Args:
        settings: of the demo.
        until: first day that was not played.
    """
    concerns = []
    if until >= OUTAGE + WEEK:
        migrate(settings.store_url)
        copy_messages(settings, lambda *_: None, index=False)
        now = datetime.combine(until, time(), UTC)
        concerns = follow_trends(settings, OUTAGE, now, shown=TREND_WEEKS, false_alerts=FALSE_ALERTS).alerts
    with psycopg.connect(settings.ledger_url) as ledger:
        alerts = ledger.execute("SELECT value FROM outbox WHERE destination = 'lead_alerts' ORDER BY sequence")
        hot_leads = [msgspec.json.decode(value) for (value,) in alerts]
        return Learned(concerns, _find_suggestion(ledger), hot_leads)


def _find_suggestion(ledger: psycopg.Connection[Any]) -> tuple[str, str, str] | None:
    found = ledger.execute(
        """SELECT o.customer_id, o.value, i.facts -> 'recommendations' -> 0 ->> 'reason'
             FROM decision d JOIN outbox o ON o.customer_id = d.customer_id AND o.message_id = d.decision_id::text
                  JOIN insight i ON i.customer_id = d.customer_id AND i.kind = %s
            WHERE d.campaign = %s AND d.outcome = 'fired' ORDER BY o.customer_id LIMIT 1""",
        [RECOMMENDATIONS, LAUNCHED],
    ).fetchone()
    return None if found is None else (found[0], msgspec.json.decode(found[1])["message"], found[2])


def describe(learned: Learned) -> Iterator[str]:
    """Yield what is shown, line by line."""
    for each in learned.concerns:
        week = each.latest
        expected = "" if week.band is None else f", expected {week.band.low:.0%} to {week.band.high:.0%}"
        yield (
            f"concern {each.concern}: in {week.rate or 0:.0%} of {week.total} conversations of the week from "
            f"{week.week}{expected}"
        )
    if learned.message is not None:
        customer, message, reason = learned.message
        yield f"customer {customer}: “{message}”"
        yield f"  {reason}"
    for alert in learned.hot_leads:
        reasons = ", ".join(f"{each['text']}" for each in alert["reasons"][:3])
        yield f"lead {alert['lead_id']} became hot with a score of {alert['score']:.0f}: {reasons}"
