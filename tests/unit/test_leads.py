"""Leads: decoding, points, tiers, and the alert of a lead that becomes hot."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from models.errors import LeadWeightsError
from models.leads import LeadScorer, load_weights
from streams.errors import SettingsError
from streams.leads import FoldedLeads, fold_leads, lead_key
from streams.settings import load_settings
from tests.records import PREFIX, Arrived, decode

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from campaigns.leads import LeadState
    from streams.formats.leads import LeadEvent

SCORER = LeadScorer()
BEST = {
    "urgency_score": 1,
    "days_since_contact": 0,
    "response_rate": 1,
    "budget_specified": True,
    "contact_completeness": 1,
    "profile_delta": 12,
    "concern_count": 5,
    "previous_purchase_count": 3,
}


def update(event_id: str = "e1", minute: int = 0, **changes: Any) -> dict[str, Any]:
    """Return an update of the lead l1 that has the best features; a change to None leaves one out."""
    content = {
        "id": event_id,
        "type": "lead.updated",
        "lead_id": "l1",
        "occurred_at": f"2011-06-01T12:{minute:02}:00Z",
        **BEST,
        **changes,
    }
    return {name: part for name, part in content.items() if part is not None}


def cool(event_id: str, minute: int) -> dict[str, Any]:
    """Return an update of a lead that is warm: 55 points."""
    return update(event_id, minute, urgency_score=0, days_since_contact=30)


def said(kind: str, event_id: str, minute: int, **changes: Any) -> dict[str, Any]:
    """Return another event of the lead."""
    time = f"2011-06-01T12:{minute:02}:00Z"
    return {"id": event_id, "type": f"lead.{kind}", "lead_id": "l1", "occurred_at": time, **changes}


def arrive(content: Mapping[str, Any], **changes: Any) -> Arrived:
    """Return the record of an event of a lead."""
    values = {"topic": f"{PREFIX}leads", "key": content["lead_id"].encode(), "value": msgspec.json.encode(content)}
    return Arrived(**{**values, **changes})


def read(*contents: dict[str, Any]) -> list[LeadEvent]:
    decoded = decode(*(arrive(each, offset=offset) for offset, each in enumerate(contents)))
    assert not decoded.rejects, decoded.rejects
    return list(decoded.events.leads)


def fold(*batches: list[dict[str, Any]]) -> FoldedLeads:
    """Fold batches one after the other as the pipeline does; return what they changed together."""
    states: dict[str, LeadState] = {}
    total = FoldedLeads()
    for batch in batches:
        folded = fold_leads(read(*batch), states, set(total.event_ids), SCORER)
        states |= folded.states
        total.event_ids += folded.event_ids
        total.alerts += folded.alerts
        total.records += folded.records
    total.states = states
    return total


def causes(folded: FoldedLeads) -> list[str]:
    return [msgspec.json.decode(each.value or b"")["caused_by"] for each in folded.alerts]


def test_the_names_of_the_document_are_read() -> None:
    clinic = update(profile_delta=None, previous_purchase_count=None, skin_age=12, previous_treatment_count=3)
    (event,) = read(clinic)
    assert event.wire.features == {name: float(value) for name, value in BEST.items()}


def test_a_lead_without_a_customer_stands_for_itself() -> None:
    one, two = read(update(), update("e2", customer_id="ann"))
    assert (one.customer_id, two.customer_id) == ("l1", "ann")


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"urgency_score": 1.5}, "<= 1.0 - at `$.urgency_score`"),
        ({"days_since_contact": -1}, ">= 0.0 - at `$.days_since_contact`"),
        ({"budget_specified": 1}, "Expected `bool | null`, got `int` - at `$.budget_specified`"),
        ({"concern_count": 2.5}, "at `$.concern_count`"),
        ({"skin_age": 7}, "profile_delta is 12 and skin_age, another name of it, is 7"),
        ({"lead_id": "l\n1"}, "at `$.lead_id`"),
        ({"type": "lead.deleted"}, "type 'lead.deleted'"),
        ({"occurred_at": "1969-01-01T00:00:00Z"}, "in the years 1970 to 2199"),
        ({"occurred_at": "2012-06-01T00:00:00Z"}, "HOLDFAST_MAX_FUTURE_S"),
        ({"type": "lead.wrong_score", "by": " ", "reason": "won"}, "by is ' '"),
        (dict.fromkeys(BEST), "there is no feature"),
    ],
)
def test_a_bad_event_is_rejected_with_its_reason(change: dict[str, Any], detail: str) -> None:
    (reject,) = decode(arrive(update(**change))).rejects
    assert detail in reject.detail


@pytest.mark.parametrize("value", [None, b"", b"{", b"\xff", b"[" * 100_000, b"x" * 300_000])
def test_what_is_no_event_is_rejected(value: bytes | None) -> None:
    assert decode(arrive(update(), value=value)).rejects


def test_an_event_that_another_key_may_have_brought_out_of_order_is_rejected() -> None:
    (reject,) = decode(arrive(update(customer_id="ann"), key=b"ann")).rejects
    assert "key every event by its lead_id" in reject.detail


def test_points_sum_up_to_100_and_are_explained() -> None:
    lead = read(update())[0].wire.features
    assert SCORER.score_by_points(lead).score == 100
    assert SCORER.score_by_points({}).score == 0
    half = {"urgency_score": 0.5, "days_since_contact": 45.0}
    assert SCORER.score_by_points(half).score == 12.5
    reasons = SCORER.explain(half, "points")
    assert reasons[0].text == "urgency_score 0.5: 12.5 of 25 points"
    assert sum(each.contribution for each in reasons) == 12.5


def test_tiers_begin_at_their_thresholds() -> None:
    assert [SCORER.tier(each) for each in (49.9, 50, 79.9, 80)] == ["cold", "warm", "warm", "hot"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"urgency_score": {"points": 20, "worst": 0, "best": 1}}, "the points sum to 95"),
        ({"urgency_score": {"points": 25, "worst": 1, "best": 1}}, "worst and best of urgency_score are equal"),
        ({"luck": {"points": 0, "worst": 0, "best": 1}}, "'luck' is no feature"),
        ({"urgency_score": {"points": "many"}}, "cannot be read"),
    ],
)
def test_points_of_ones_own_are_checked(tmp_path: Path, change: dict[str, Any], problem: str) -> None:
    shipped = msgspec.to_builtins(load_weights())
    path = tmp_path / "leads.json"
    path.write_text(json.dumps({**shipped, "features": {**shipped["features"], **change}}), encoding="utf-8")
    with pytest.raises(LeadWeightsError, match=problem):
        load_weights(path)


def test_an_alert_is_raised_at_each_crossing() -> None:
    """Not while the lead stays hot; a second time after it has left, in one batch as in several."""
    events = [cool("e1", 1), update("e2", 2), update("e3", 3), cool("e4", 4), update("e5", 5)]
    assert causes(fold(events)) == causes(fold(*([each] for each in events))) == ["e2", "e5"]
    assert fold(events).states["l1"].crossings == 2


def test_a_redelivered_event_changes_nothing() -> None:
    events = [update("e1", 1), cool("e2", 2)]
    once, twice = fold(events), fold(events, events, [events[0]], [events[1], events[0]])
    assert once == twice


def test_an_older_event_never_overwrites_a_newer_one() -> None:
    """It is kept for training; of equal times the one that arrives last counts."""
    folded = fold([cool("e2", 2)], [update("e1", 1)])
    assert (folded.states["l1"].tier, folded.alerts) == ("warm", [])
    assert [each.event_id for each in folded.records] == ["e2", "e1"]
    assert causes(fold([cool("e1", 2)], [update("e2", 2)])) == ["e2"]


def test_a_lead_that_is_closed_raises_no_alert() -> None:
    folded = fold([cool("e1", 1), said("lost", "e2", 2)], [update("e3", 3)])
    assert (folded.states["l1"].tier, folded.states["l1"].outcome, folded.alerts) == ("hot", "lead.lost", [])
    latest = fold([said("converted", "e3", 3)], [said("lost", "e2", 2)]).states["l1"]
    assert latest.outcome == "lead.converted"


def test_feedback_on_a_score_is_kept_and_changes_nothing_else() -> None:
    folded = fold([update("e1", 1)], [said("wrong_score", "f1", 2, by="sam", reason="a student", value=10)])
    assert folded.states["l1"].score == 100
    assert folded.records[1].content == {"by": "sam", "reason": "a student", "value": 10.0}


def test_a_customer_named_later_is_the_leads() -> None:
    folded = fold([update("e2", 2, customer_id="ann")], [update("e1", 1, customer_id="bob"), cool("e3", 3)])
    assert folded.states["l1"].customer_id == "ann"
    (alert,) = folded.alerts
    assert (alert.customer_id, alert.key) == ("ann", b"l1")


def test_the_key_of_an_event_is_that_of_no_message() -> None:
    (event,) = read(update(customer_id="ann"))
    assert lead_key(event) == ("l1", "lead\x1fe1")


def test_leads_are_read_only_where_the_settings_ask_for_it() -> None:
    """Old workers of a rolling upgrade do not subscribe to the topic."""
    usual, asked = load_settings(), load_settings(leads=True)
    assert set(asked.input_topics) - set(usual.input_topics) == {"leads"}
    assert asked.output_topics.keys() - usual.output_topics.keys() == {"lead_alerts"}


@pytest.mark.parametrize("thresholds", ["80,50", "0,80", "50", "50,101", "warm,hot"])
def test_thresholds_of_tiers_are_checked(thresholds: str) -> None:
    with pytest.raises(SettingsError, match="two scores above 0, up to 100, in ascending order"):
        load_settings(lead_thresholds=thresholds)


def test_leads_have_one_format() -> None:
    with pytest.raises(SettingsError, match="leads=debezium is not TOPIC=FORMAT"):
        load_settings(formats="leads=debezium")
