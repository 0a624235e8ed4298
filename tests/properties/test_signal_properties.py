"""Signals are a fold: batches do not matter, nothing leaves its range, and customers do not touch each other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from features.signals import CONCERNS_KEPT, Message, MessageReading, Signals, as_columns, fold
from features.table import FeatureTable

SETTINGS = settings(derandomize=True, deadline=None, max_examples=200)
START = datetime(2011, 1, 1, tzinfo=UTC)


def message(number: int, hour: int, role: Any, reading: tuple[float, list[str], bool]) -> Message:
    sentiment, concerns, cancels = reading
    return Message(
        f"m{number}", START + timedelta(hours=hour), role, MessageReading(sentiment, tuple(concerns), cancels)
    )


READINGS = st.tuples(st.floats(-1, 1), st.lists(st.sampled_from("abcdefg"), max_size=3), st.booleans())
MESSAGES = st.lists(
    st.builds(message, st.integers(0, 99), st.integers(0, 9), st.sampled_from(["customer", "agent"]), READINGS),
    max_size=60,
)


@SETTINGS
@given(MESSAGES, st.integers(0, 60))
def test_folding_in_two_batches_is_folding_in_one(messages: list[Message], cut: int) -> None:
    assert fold(fold(Signals(), messages[:cut]), messages[cut:]) == fold(Signals(), messages)


@SETTINGS
@given(MESSAGES)
def test_nothing_leaves_its_range_in_whatever_order_messages_come(messages: list[Message]) -> None:
    signals = fold(Signals(), messages)
    heard = [each for each in messages if each.role == "customer"]
    assert (signals.message_count, signals.customer_message_count) == (len(messages), len(heard))
    assert signals.last_message_at == max((each.occurred_at for each in messages), default=None)
    assert len(signals.key_concerns) <= CONCERNS_KEPT
    if heard:
        sentiments = [each.reading.sentiment for each in heard]
        assert min(sentiments) - 1e-9 <= (signals.sentiment_score or 0.0) <= max(sentiments) + 1e-9


@SETTINGS
@given(st.lists(st.one_of(st.none(), MESSAGES), max_size=6))
def test_the_facts_of_a_customer_are_the_same_whoever_else_is_asked_for(said: list[list[Message] | None]) -> None:
    """None are those of whom there are no signals; they stand anywhere among the others."""
    customers = [f"c{number}" for number in range(len(said))]
    signals = {each: fold(Signals(), some) for each, some in zip(customers, said, strict=True) if some is not None}
    together = FeatureTable(tuple(customers), as_columns(signals, customers, START))
    for row, customer in enumerate(customers):
        alone = as_columns({customer: signals.get(customer, Signals())}, [customer], START)
        assert together.row(row) == FeatureTable((customer,), alone).row(0)
