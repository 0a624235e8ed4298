"""Live events: what a message tells, and what is an alert."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from campaigns.postgres_live import LiveMessage
from campaigns.records import StopRecord
from console.use_cases.live import AlertFinder

NOW = datetime(2026, 11, 28, tzinfo=UTC)


def decision(sequence: int, risk: str, customer: str = "ann") -> LiveMessage:
    """Return a decision about a customer of that risk."""
    facts = {"churn_risk": risk, "churn_probability": 0.8, "email": "ann@example.org"}
    body: dict[str, Any] = {"customer_id": customer, "campaign": "win-back", "segment": "lapsing", "facts": facts}
    body |= {"outcome": "fired", "reason": "entered_segment", "detail": "entered_segment: lapsing; quiet hours"}
    return LiveMessage(sequence, "decisions", NOW, body)


def test_a_decision_is_told_without_other_facts() -> None:
    (event,) = AlertFinder().read(decision(1, "low"))
    assert (event.kind, event.body["campaign"]) == ("decision", "win-back")
    assert "facts" not in event.body


def test_a_contact_is_told_with_its_cause_in_words_and_any_other_decision_with_its_detail() -> None:
    (contact,) = AlertFinder().read(decision(1, "low"))
    message = decision(2, "low")
    (withheld,) = AlertFinder().read(
        replace(message, body={**message.body, "outcome": "withheld", "detail": "no consent"})
    )
    assert [each.body["why"] for each in (contact, withheld)] == ["entered lapsing; quiet hours", "no consent"]


def test_a_high_risk_is_warned_of_once_until_it_falls() -> None:
    finder = AlertFinder()
    risks = ["high", "high", "low", "high"]
    kinds = [[each.kind for each in finder.read(decision(place, risk))] for place, risk in enumerate(risks)]
    warned = ["decision", "churn_warning"]
    assert kinds == [warned, ["decision"], ["decision"], warned]


def test_a_hot_lead_is_an_alert() -> None:
    message = LiveMessage(1, "lead_alerts", NOW, {"lead_id": "tea-room", "score": 91.0})
    assert [(each.kind, each.body["score"]) for each in AlertFinder().read(message)] == [("hot_lead", 91.0)]


def test_a_stopped_campaign_is_told_once() -> None:
    finder = AlertFinder()
    stop = StopRecord("win-back", "too many contacts", "breaker", NOW)
    assert [each.body["campaign"] for each in finder.compare_stops([stop], 7)] == ["win-back"]
    assert list(finder.compare_stops([stop], 8)) == []
