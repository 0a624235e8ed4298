"""Feedback of staff: what each kind does, which events are accepted, and how it is listed and exported."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from campaigns.channels import Channel
from campaigns.decide import ContactHistory, Outcome
from campaigns.definition import Campaign
from campaigns.feedback import Feedback, FeedbackKind, Standing, find_in_force
from campaigns.guardrails import Reason
from console.feedback_views import describe_feedback
from console.use_cases.customer_feedback import EXPORTED, judge_feedback, score_rows
from streams.formats.events import RejectReason
from streams.staff_feedback import feedback_columns, fold_feedback, read_feedback
from tests.builders import AS_OF, campaign, decision
from tests.records import arrive, decode, events, feedback, outcome
from tests.simulation import Act, play

if TYPE_CHECKING:
    from datetime import datetime

NEXT_WEEK = AS_OF + timedelta(days=7)


def blocked(until: datetime = NEXT_WEEK, event_id: str = "f1", **changes: Any) -> Feedback:
    """Sam asks not to contact ann for a week."""
    made = Feedback("ann", event_id, FeedbackKind.DO_NOT_CONTACT, AS_OF, "sam", "asked by phone", until)
    return replace(made, **changes)


def withdrawn(withdraws: str = "f1", event_id: str = "f9") -> Feedback:
    """Kim withdraws feedback about ann."""
    return Feedback("ann", event_id, FeedbackKind.WITHDRAWN, AS_OF, "kim", "called back", withdraws=withdraws)


def history(*given: Feedback) -> ContactHistory:
    """The history of ann with this feedback."""
    return dict(fold_feedback({}, given)).get("ann", ContactHistory())


@pytest.mark.parametrize(
    ("given", "days", "reason"),
    [
        ([blocked()], 0, Reason.DO_NOT_CONTACT),
        ([blocked()], -3, Reason.DO_NOT_CONTACT),
        ([blocked()], 7, Reason.ENTERED_SEGMENT),
        ([blocked(), withdrawn()], 0, Reason.ENTERED_SEGMENT),
        ([withdrawn(), blocked()], 0, Reason.ENTERED_SEGMENT),
        ([blocked(), blocked(event_id="f2"), withdrawn()], 0, Reason.DO_NOT_CONTACT),
        ([blocked(kind=FeedbackKind.ALWAYS_VIP)], 0, Reason.ENTERED_SEGMENT),
    ],
    ids=["in force", "late event", "expired", "withdrawn", "withdrawn before", "another stays", "another kind"],
)
def test_a_customer_is_not_contacted_while_staff_ask_for_it(given: list[Feedback], days: int, reason: Reason) -> None:
    """An event that is dated before the feedback and decided after it makes no contact either."""
    assert decision(history(*given), as_of=AS_OF + timedelta(days=days)).reason is reason


def test_the_reason_names_the_end_and_the_feedback() -> None:
    """Of several the one that lasts longest."""
    made = decision(history(blocked(), blocked(AS_OF + timedelta(days=9), "f2")))
    assert made.detail == "staff asked for no contact until 2011-06-10 12:30: feedback f2"


def test_staff_are_notified_about_a_customer_who_is_not_to_be_contacted() -> None:
    sales = Channel(key="sales", message_format="text", recipient="staff")
    words = campaign().model_dump() | {"channels": ["sales"]}
    made = decision(history(blocked()), campaign=Campaign.model_validate(words, context={"channels": {"sales": sales}}))
    assert made.outcome is Outcome.FIRED


def test_always_vip_is_a_fact_that_is_false_without_feedback() -> None:
    vip = blocked(kind=FeedbackKind.ALWAYS_VIP, until=None)
    gone = blocked(kind=FeedbackKind.ALWAYS_VIP, customer_id="bob", until=AS_OF)
    histories = fold_feedback({"cid": ContactHistory()}, [vip, gone])
    customers = ["ann", "bob", "cid", "dan"]
    column = feedback_columns(histories, customers, dict.fromkeys(customers, AS_OF))["always_vip"]
    assert (column.dtype.kind, column.tolist()) == ("b", [True, False, False, False])


def test_the_feedback_of_an_event() -> None:
    given = feedback("wrong_score", model="churn", value=0.1)
    assert read_feedback(events(given, {**given, "reason": "another text"})) == [
        Feedback("ann", "e1", "wrong_score", AS_OF, "sam", "asked by phone", None, "churn", 0.1)
    ]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (feedback(by=None), "by is ''; it must say who gave the feedback"),
        (feedback(reason="a\nb"), "reason is 'a\\nb'; it must say why, in one line"),
        (feedback(reason="x" * 2001), "at most 2,000 characters"),
        (feedback(until=None), "until is missing"),
        (feedback(until="2011-06-01T12:30:00Z"), "it must be later than occurred_at"),
        (feedback(until="soon"), "Invalid RFC3339"),
        (feedback("wrong_score"), "model is ''; it must be one of churn, ltv, nbo"),
        (feedback("wrong_score", model="churn", value=12), "for churn it must be a probability"),
        (feedback("wrong_score", model="nbo", value=1.5), "for nbo it must be the id of an offer"),
        (feedback("wrong_score", model="ltv", value=-1), "for ltv it must be an amount"),
        (feedback("withdrawn"), "withdraws is ''"),
        (feedback("withdrawn", withdraws="a\x00"), "withdraws is 'a\\x00'"),
    ],
)
def test_feedback_that_cannot_be_used_is_a_dead_letter(given: dict[str, Any], problem: str) -> None:
    (reject,) = decode(arrive(given)).rejects
    assert reject.reason is RejectReason.INVALID_EVENT
    assert problem in reject.detail


@pytest.mark.parametrize("kind", ["always_vip", "do_not_contact", "wrong_score", "withdrawn"])
def test_feedback_is_read_as_a_cloud_event(kind: str) -> None:
    given = feedback(kind, model="churn", withdraws="f1")
    data = {name: each for name, each in given.items() if name not in {"id", "type", "occurred_at"}}
    envelope = {"specversion": "1.0", "id": "1", "source": "/crm", "type": f"com.example.{kind}", "data": data}
    record = arrive({**envelope, "time": given["occurred_at"], "type": "feedback.x", "customer_id": "ann"})
    record.value = (record.value or b"").replace(b"feedback.x", f"com.example.{kind}".encode())
    (event,) = decode(record).events.feedback
    assert (event.wire.type, event.wire.by) == (f"feedback.{kind}", "sam")


async def test_feedback_counts_in_its_own_batch_and_no_longer_than_it_says() -> None:
    """The second entry is after its end; nothing has to happen in between."""
    enters, leaves = Act("ann", "enters"), Act("ann", "leaves", hours=100)
    ledger = await play([[Act("ann", "blocked"), enters], [leaves], [Act("ann", "enters")]])
    decided = ledger.customers["ann"].decisions.values()
    reasons = [(each.candidate.occasion, each.reason) for each in decided if each.candidate.campaign.key == "as-well"]
    assert reasons == [("1", Reason.DO_NOT_CONTACT), ("2", Reason.ENTERED_SEGMENT)]
    assert [each.event_id for each in await ledger.feedback_of("ann")] == ["block-1"]


def test_feedback_and_outcomes_with_one_id_are_two_events() -> None:
    decoded = decode(arrive(feedback()), arrive(outcome("unsubscribed")))
    assert (len(decoded.events.feedback), len(decoded.events.reported), len(decoded.events)) == (1, 1, 2)


def test_feedback_is_listed_with_its_state() -> None:
    found = judge_feedback([blocked(), blocked(NEXT_WEEK, "f2"), blocked(AS_OF, "f3"), withdrawn()], AS_OF)
    assert [(each.feedback.event_id, each.state) for each in found] == [
        ("f1", "withdrawn"),
        ("f2", "in force"),
        ("f3", "expired"),
    ]
    said = "by sam: do not contact until 2011-06-08 12:30 UTC (asked by phone)"
    assert [describe_feedback(each) for each in found][:2] == [
        f"2011-06-01 feedback f1 {said}; withdrawn 2011-06-01 by kim: called back",
        f"2011-06-01 feedback f2 {said}; in force",
    ]


def test_wrong_scores_are_exported_with_what_withdraws_them() -> None:
    wrong = Feedback("ann", "f1", FeedbackKind.WRONG_SCORE, AS_OF, "sam", "signed for two years", None, "churn", 0.05)
    other = replace(wrong, customer_id="bob", model="ltv", value=900.0)
    rows = [dict(zip(EXPORTED, row, strict=True)) for row in score_rows([wrong, other, blocked(), withdrawn()], None)]
    assert [(row["customer_id"], row["value"], row["withdrawn_at"]) for row in rows] == [
        ("ann", 0.05, AS_OF.isoformat()),
        ("bob", 900.0, None),
    ]
    assert [row[0] for row in score_rows([wrong, other], "ltv")] == ["bob"]


def test_what_lasts_for_ever_counts_longest() -> None:
    known = [Standing("a", "always_vip", NEXT_WEEK), Standing("b", "always_vip")]
    found = find_in_force(known, FeedbackKind.ALWAYS_VIP, AS_OF)
    assert found is not None
    assert found.event_id == "b"
