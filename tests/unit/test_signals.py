from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from math import isnan
from typing import Any

import msgspec
import numpy as np
import pytest

from features.daily_counts import DAYS_KEPT, WINDOWS_DAYS, day_number
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
        **{f"message_count_{days}d": 1 for days in WINDOWS_DAYS},
        **{f"customer_message_count_{days}d": 1 for days in WINDOWS_DAYS},
        **{f"cancellation_requests_{days}d": 1 for days in WINDOWS_DAYS},
        **{f"sentiment_score_{days}d": -0.5 for days in WINDOWS_DAYS},
        "unsupported_message_count": 0,
        "urgent_message_count": 0,
        "last_message_language": None,
        **{f"urgent_message_count_{days}d": 0 for days in WINDOWS_DAYS},
    }


def test_a_customer_without_messages_has_counts_of_nought_and_otherwise_nulls() -> None:
    columns = as_columns({}, ["bob"], NOON)
    zeros = {name for name, column in columns.items() if column[0] == 0}
    counts = {"message_count", "customer_message_count", "cancellation_requests", "urgent_message_count"}
    windows = {f"{name}_{days}d" for name in counts for days in WINDOWS_DAYS}
    assert zeros == {*counts, *windows, "unsupported_message_count"}
    others = [column[0] for name, column in columns.items() if name not in zeros]
    assert all(value is None or np.isnan(value) for value in others)


def test_each_customer_may_have_a_moment_of_their_own() -> None:
    signals = {each: fold(Signals(), [message(0)]) for each in ("ann", "bob")}
    moments = {"ann": NOON + timedelta(days=1), "bob": NOON - timedelta(days=1)}
    columns = as_columns(signals, ["ann", "bob"], moments)
    assert columns["days_since_last_message"].tolist() == [1.0, 0.0]


def test_signals_survive_being_stored_as_json() -> None:
    signals = fold(Signals(), [message(1, 0.25, concerns=("price",))])
    assert msgspec.json.decode(msgspec.json.encode(signals), type=Signals) == signals


def test_signals_are_stored_under_the_names_that_the_ledger_holds() -> None:
    """Renaming a field would forget what every customer has said."""
    signals = fold(Signals(), [message(1, 0.25, concerns=("price",), wants_to_cancel=True)])
    assert msgspec.json.encode(signals) == (
        b'{"message_count":1,"customer_message_count":1,"sentiment_score":0.25,"cancellation_requests":1,'
        b'"key_concerns":["price"],"last_message_at":"2011-12-09T13:00:00Z","last_message_id":"m1",'
        b'"days":[[15317,1,1,1,2500]],"unsupported_messages":0,"urgent_messages":0,"urgent_days":[],'
        b'"last_language":null}'
    )


def test_urgent_messages_count_in_windows_and_leave_them() -> None:
    signals = fold(Signals(), [message(0, urgency="high"), message(24 * 9, urgency="normal"), message(1, role="agent")])
    as_of = NOON + timedelta(days=9)
    names = ("urgent_message_count", "urgent_message_count_30d", "urgent_message_count_7d")
    assert [fact(signals, name, as_of) for name in names] == [1, 1, 0]
    assert fact(signals, "urgent_message_count_90d", NOON + timedelta(days=90)) == 0
    later = fold(signals, [message(24 * DAYS_KEPT, urgency="high")])
    assert later.urgent_days == ((day_number(NOON) + DAYS_KEPT, 1),)


def test_a_message_in_another_language_is_counted_and_named() -> None:
    signals = fold(Signals(), [message(1, language="en"), message(2, language="de", is_supported=False)])
    columns = as_columns({"ann": signals}, ["ann"], NOON)
    assert (columns["unsupported_message_count"][0], columns["last_message_language"][0]) == (1, "de")
    assert fold(signals, [message(0, language="fr")]).last_language == "de"
    assert fold(signals, [message(3, role="agent", language="fr")]).last_language == "de"


def test_signals_stored_before_there_were_windows_can_be_read() -> None:
    stored = b'{"message_count":2,"customer_message_count":1,"cancellation_requests":1,"last_message_id":"m1"}'
    signals = msgspec.json.decode(stored, type=Signals)
    assert (signals.message_count, signals.days) == (2, ())
    assert fact(signals, "cancellation_requests_90d", NOON) == 0
    assert fact(fold(signals, [message(1)]), "message_count_7d", NOON + timedelta(hours=1)) == 1


def fact(signals: Signals, name: str, as_of: datetime) -> float:
    return float(as_columns({"ann": signals}, ["ann"], as_of)[name][0])


@pytest.mark.parametrize("days", WINDOWS_DAYS)
def test_a_window_is_the_utc_day_of_the_moment_and_the_days_before_it(days: int) -> None:
    signals = fold(Signals(), [message(0, wants_to_cancel=True)])
    first_moment_outside = datetime(2011, 12, 9, tzinfo=UTC) + timedelta(days=days)
    name = f"cancellation_requests_{days}d"
    assert fact(signals, name, first_moment_outside - timedelta(microseconds=1)) == 1
    assert fact(signals, name, first_moment_outside) == 0
    assert fact(signals, "cancellation_requests", first_moment_outside) == 1


@pytest.mark.parametrize("hours", [-11, 0, 14])
def test_a_message_counts_on_its_utc_day_whatever_zone_it_is_written_in(hours: int) -> None:
    moment = datetime(2011, 12, 9, 23, 30, tzinfo=UTC)
    written = moment.astimezone(timezone(timedelta(hours=hours)))
    signals = fold(Signals(), [Message("m", written, "customer", MessageReading(0.0))])
    last_moment_inside = datetime(2011, 12, 15, 23, 59, tzinfo=UTC)
    assert fact(signals, "message_count_7d", last_moment_inside.astimezone(written.tzinfo)) == 1
    assert fact(signals, "message_count_7d", last_moment_inside + timedelta(minutes=1)) == 0


def test_an_event_that_arrives_late_takes_back_no_message() -> None:
    signals = fold(Signals(), [message(0, wants_to_cancel=True)])
    assert fact(signals, "cancellation_requests_30d", NOON - timedelta(days=3)) == 1


def test_a_message_older_than_the_days_kept_counts_in_lifetime_only() -> None:
    signals = fold(Signals(), [message(0), message(-24 * DAYS_KEPT, wants_to_cancel=True)])
    assert (signals.message_count, signals.cancellation_requests) == (2, 1)
    assert fact(signals, "message_count_90d", NOON) == 1


def test_windowed_sentiment_is_the_mean_of_the_customers_messages_in_the_window() -> None:
    said = [message(0, -0.9), message(24 * 10, 0.25), message(24 * 10, -1.0, role="agent"), message(24 * 11, 0.75)]
    signals, as_of = fold(Signals(), said), NOON + timedelta(days=11)
    assert fact(signals, "sentiment_score_7d", as_of) == 0.5
    assert fact(signals, "sentiment_score_30d", as_of) == pytest.approx(0.1 / 3)
    assert isnan(fact(signals, "sentiment_score_90d", as_of + timedelta(days=90)))


def test_five_thousand_messages_of_one_customer_stay_a_small_row() -> None:
    """3,000 messages on one day, then 20 a day for a hundred days."""
    signals = fold(Signals(), (message(0) for _ in range(3000)))
    signals = fold(signals, (message(24 * day, 0.1234) for day in range(100) for _ in range(20)))
    assert len(msgspec.json.encode(signals)) < 3000
    assert signals.message_count == 5000
    assert fact(signals, "message_count_90d", NOON + timedelta(days=99)) == 1800
