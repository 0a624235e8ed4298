from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from features.signals import CONCERNS_KEPT, Message, MessageReading, Signals, as_columns, fold

NOON = datetime(2011, 12, 9, 12, tzinfo=UTC)


def message(hour: float, sentiment: float = 0.0, *, role: Any = "customer", **reading: Any) -> Message:
    return Message(f"m{hour}", NOON + timedelta(hours=hour), role, MessageReading(sentiment, **reading))


def test_the_newest_message_weighs_as_much_as_all_before_it_and_more() -> None:
    signals = fold(Signals(), [message(1, 1.0), message(2, 1.0), message(3, -1.0)])
    assert signals.sentiment_score == pytest.approx((-1.0 + 0.5 + 0.25) / 1.75)


@pytest.mark.parametrize(("sentiment", "satisfaction"), [(-1.0, 0.0), (0.0, 5.0), (0.5, 7.5), (1.0, 10.0)])
def test_satisfaction_is_sentiment_from_nought_to_ten(sentiment: float, satisfaction: float) -> None:
    assert fold(Signals(), [message(1, sentiment)]).satisfaction_score == satisfaction


def test_an_agents_message_is_counted_and_not_judged() -> None:
    signals = fold(Signals(), [message(1, 0.4), message(2, -1.0, role="agent", wants_to_cancel=True)])
    assert (signals.message_count, signals.customer_message_count) == (2, 1)
    assert (signals.sentiment_score, signals.cancellation_requests) == (0.4, 0)
    assert signals.last_message_id == "m2"


def test_requests_to_cancel_add_up() -> None:
    signals = fold(Signals(), [message(n, wants_to_cancel=n != 2) for n in range(1, 4)])
    assert signals.cancellation_requests == 2


def test_the_newest_concerns_come_first_and_few_are_kept() -> None:
    signals = fold(Signals(), [message(n, concerns=(f"c{n}", "price")) for n in range(1, 7)])
    assert signals.key_concerns == ("c6", "price", "c5", "c4", "c3")
    assert len(signals.key_concerns) == CONCERNS_KEPT


def test_a_late_message_does_not_move_the_time_of_the_last_one() -> None:
    signals = fold(Signals(), [message(2, concerns=("new",)), message(1, concerns=("old",))])
    assert (signals.last_message_at, signals.last_message_id) == (NOON + timedelta(hours=2), "m2")
    assert signals.key_concerns == ("new", "old")


def test_two_messages_in_the_wrong_order_give_the_same_signals() -> None:
    first, second = message(1, 0.9, concerns=("a",)), message(2, -0.3, concerns=("b",), wants_to_cancel=True)
    in_order, swapped = fold(Signals(), [first, second]), fold(Signals(), [second, first])
    assert swapped.sentiment_score == pytest.approx(in_order.sentiment_score)
    assert swapped.key_concerns == in_order.key_concerns


def test_signals_become_facts_as_of_a_moment() -> None:
    signals = {"ann": fold(Signals(), [message(0, -0.5, concerns=("price",), wants_to_cancel=True)])}
    columns = as_columns(signals, ["bob", "ann"], NOON + timedelta(days=3))
    assert {name: column.tolist()[1] for name, column in columns.items()} == {
        "sentiment_score": -0.5,
        "satisfaction_score": 2.5,
        "message_count": 1,
        "customer_message_count": 1,
        "cancellation_requests": 1,
        "days_since_last_message": 3.0,
        "key_concerns": ["price"],
    }


def test_a_customer_without_messages_has_counts_of_nought_and_otherwise_nulls() -> None:
    columns = as_columns({}, ["bob"], NOON)
    zeros = {name for name, column in columns.items() if column[0] == 0}
    assert zeros == {"message_count", "customer_message_count", "cancellation_requests"}
    assert all(column[0] is None or column[0] != column[0] for name, column in columns.items() if name not in zeros)


def test_each_customer_may_have_a_moment_of_their_own() -> None:
    signals = {each: fold(Signals(), [message(0)]) for each in ("ann", "bob")}
    moments = {"ann": NOON + timedelta(days=1), "bob": NOON - timedelta(days=1)}
    assert as_columns(signals, ["ann", "bob"], moments)["days_since_last_message"].tolist() == [1.0, 0.0]


def test_signals_survive_being_stored_as_json() -> None:
    signals = fold(Signals(), [message(1, 0.25, concerns=("price",))])
    assert msgspec.json.decode(msgspec.json.encode(signals), type=Signals) == signals


def test_signals_are_stored_under_the_names_that_the_ledger_holds() -> None:
    """Renaming a field would forget what every customer has said."""
    signals = fold(Signals(), [message(1, 0.25, concerns=("price",), wants_to_cancel=True)])
    assert msgspec.json.encode(signals) == (
        b'{"message_count":1,"customer_message_count":1,"sentiment_score":0.25,"cancellation_requests":1,'
        b'"key_concerns":["price"],"last_message_at":"2011-12-09T13:00:00Z","last_message_id":"m1"}'
    )
