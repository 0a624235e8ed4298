"""Signals are a fold: batches do not matter, nothing leaves its range, and customers do not touch each other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import nan
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from features.daily_counts import WINDOWS_DAYS
from features.signals import CONCERNS_KEPT, Message, MessageReading, Signals, as_columns, fold
from features.table import FeatureTable
from tests.examples import examples

SETTINGS = examples(200)
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


LONG_HISTORIES = st.lists(
    st.builds(
        message, st.integers(0, 99), st.integers(-24 * 200, 24 * 200), st.sampled_from(["customer", "agent"]), READINGS
    ),
    max_size=40,
    unique_by=lambda each: each.id,
)


def deliver(signals: Signals, messages: list[Message], seen: set[str]) -> Signals:
    """Fold a batch as the pipeline does: each message once, whatever is delivered again."""
    fresh = {each.id: each for each in messages if each.id not in seen}
    seen.update(fresh)
    return fold(signals, fresh.values())


def recount(messages: list[Message], days: int, as_of: datetime) -> dict[str, float]:
    """Recount a window from the raw messages."""
    end = max([as_of, *(each.occurred_at for each in messages)])
    since = end.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days - 1)
    inside = [each for each in messages if each.occurred_at >= since]
    readings = [each.reading for each in inside if each.role == "customer"]
    sentiment = sum(round(each.sentiment * 10_000) for each in readings)
    return {
        f"message_count_{days}d": len(inside),
        f"customer_message_count_{days}d": len(readings),
        f"cancellation_requests_{days}d": sum(each.wants_to_cancel for each in readings),
        f"sentiment_score_{days}d": sentiment / 10_000 / len(readings) if readings else nan,
    }


@SETTINGS
@given(LONG_HISTORIES, st.randoms(use_true_random=False), st.integers(0, 24 * 700))
def test_windows_are_a_recount_of_the_raw_messages_in_any_order_duplication_and_batching(
    messages: list[Message], chance: Any, hours: int
) -> None:
    deliveries = [*messages, *chance.choices(messages, k=len(messages))] if messages else []
    chance.shuffle(deliveries)
    signals, seen = Signals(), set[str]()
    while deliveries:
        size = chance.randint(1, 10)
        signals, deliveries = deliver(signals, deliveries[:size], seen), deliveries[size:]
    as_of = START - timedelta(days=250) + timedelta(hours=hours)
    columns = as_columns({"ann": signals}, ["ann"], as_of)
    for days in WINDOWS_DAYS:
        for name, expected in recount(messages, days, as_of).items():
            assert_array_equal(columns[name], [expected], err_msg=name)


@SETTINGS
@given(LONG_HISTORIES.filter(bool))
def test_windows_fall_to_nought_with_time_alone(messages: list[Message]) -> None:
    newest = max(each.occurred_at for each in messages)
    for days in WINDOWS_DAYS:
        columns = as_columns({"ann": fold(Signals(), messages)}, ["ann"], newest + timedelta(days=days))
        found = [columns[f"{name}_{days}d"][0] for name in ("message_count", "cancellation_requests")]
        assert found == [0, 0]
        assert columns["message_count"][0] == len(messages)
