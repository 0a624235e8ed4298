"""Messages are put into conversations, and each conversation is summed up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from intelligence.conversations import split_conversations, sum_up
from intelligence.postgres_messages import StoredMessage

BEGIN = datetime(2011, 6, 13, 9, tzinfo=UTC)
DAY = timedelta(hours=24)


def message(hours: float, customer_id: str = "ann", **changed: Any) -> StoredMessage:
    """Return a neutral message of a customer, so many hours after the first."""
    values: dict[str, Any] = {
        "customer_id": customer_id,
        "message_id": f"m{hours}",
        "occurred_at": BEGIN + timedelta(hours=hours),
        "role": "customer",
        "text": "hello",
        "language": "en",
        "sentiment": 0.0,
        "satisfaction": 5.0,
        "concerns": [],
        "urgency": "none",
        "wants_to_cancel": False,
    }
    return StoredMessage(**{**values, **changed})


def test_a_silence_of_a_day_begins_another_conversation() -> None:
    found = split_conversations([message(0), message(23.9), message(47.9)], DAY)
    assert [len(each) for each in found] == [2, 1]


def test_customers_have_conversations_of_their_own_in_any_order_of_messages() -> None:
    found = split_conversations([message(1, "bob"), message(1), message(0)], DAY)
    assert [[each.message_id for each in conversation] for conversation in found] == [["m0", "m1"], ["m1"]]


def test_no_messages_have_no_conversation() -> None:
    assert split_conversations([], DAY) == []


def test_a_conversation_that_ends_well_is_positive() -> None:
    (found,) = [sum_up([message(0, sentiment=-0.9, satisfaction=1.0), message(1, sentiment=0.9, satisfaction=9.0)])]
    assert (found.mood, found.sentiment, found.satisfaction) == ("positive", pytest.approx(0.3), pytest.approx(19 / 3))


def test_agents_are_counted_and_not_read() -> None:
    found = sum_up([message(0), message(1, role="agent", sentiment=-1.0, concerns=["price"], urgency="high")])
    assert (found.messages, found.customer_messages, found.mood, found.concerns) == (2, 1, "neutral", ())
    assert found.urgency == "none"


def test_a_conversation_without_the_customer_is_unknown() -> None:
    found = sum_up([message(0, role="agent")])
    assert (found.mood, found.sentiment, found.satisfaction, found.urgency) == ("unknown", None, None, None)


def test_the_most_frequent_concern_comes_first_and_the_highest_urgency_counts() -> None:
    messages = [
        message(0, concerns=["price"], urgency="normal"),
        message(1, concerns=["refund"], urgency="high", wants_to_cancel=True, language="de"),
        message(2, concerns=["refund", "refund"], language="de"),
    ]
    found = sum_up(messages)
    assert (found.concerns, found.urgency, found.wants_to_cancel) == (("refund", "price"), "high", True)
    assert found.language == "de"
