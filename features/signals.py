"""Signals of a customer: what the messages of their conversations add up to.

Lifetime signals cover every message ever folded and never expire: the counts, the concerns and the sentiment score.
Windowed signals (`*_7d`, `*_30d`, `*_90d`) cover the last days and fall with time alone: see features/daily_counts.py.

The sentiment score is the exponentially weighted mean of the customer's own messages: the newest has weight 1, the one
before it `DECAY`, the one before that `DECAY` squared. Weights follow the number of messages, not the time between
them. The sum of the weights is a geometric series of the number of messages, so score and number are the whole state.

A message that arrives after a newer one is blended into the score with the weight `DECAY` and does not change the time
of the last message. That is exact for two messages that arrive in the wrong order and an approximation otherwise, since
the order of earlier messages is not stored. Counts, windows and the time of the last message are exact in any order.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Literal

import numpy as np
from msgspec import Struct

from features.daily_counts import (
    SENTIMENT_UNITS,
    WINDOWS_DAYS,
    DayCounts,
    add_counts,
    add_to_day,
    day_number,
    window_columns,
)
from features.table import column

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from features.table import Column

DECAY = 0.5
CONCERNS_KEPT = 5
SECONDS_PER_DAY = 86_400.0


def to_satisfaction(sentiment: float) -> float:
    """Return a sentiment from -1 to 1 on a scale from 0 over 5, neutral, to 10."""
    return round(5.0 * (1.0 + sentiment), 4)


class MessageReading(Struct, frozen=True):
    """The reading of one message by a text model.

    Attributes:
        sentiment: from -1 to 1.
        concerns: the topics that the message names.
        wants_to_cancel: whether it asks to cancel.
        language: the ISO 639 code; `und` where it is uncertain, `zxx` without words, empty where it was not read.
        urgency: none, normal or high.
        is_supported: whether its language is one that is read; otherwise it is neutral and has no concerns.
    """

    sentiment: float
    concerns: tuple[str, ...] = ()
    wants_to_cancel: bool = False
    language: str = ""
    urgency: str = "none"
    is_supported: bool = True

    @property
    def satisfaction(self) -> float:
        """The sentiment on a scale from 0 (negative) over 5 (neutral) to 10 (positive)."""
        return to_satisfaction(self.sentiment)


class Message(Struct, frozen=True):
    """One message of a conversation and its reading; `occurred_at` has a time zone."""

    id: str
    occurred_at: datetime
    role: Literal["customer", "agent"]
    reading: MessageReading


class Signals(Struct, frozen=True, gc=False):
    """What one customer's messages add up to.

    Messages of agents are counted; only the customer's own messages are read for sentiment, concerns and cancellation.

    Attributes:
        message_count: all messages, lifetime.
        customer_message_count: the customer's messages, lifetime.
        sentiment_score: the weighted mean from -1 to 1, None without a message of the customer.
        cancellation_requests: the customer's messages that ask to cancel, lifetime.
        key_concerns: the latest `CONCERNS_KEPT` concerns, newest first.
        last_message_at: the event time of the newest message.
        last_message_id: the id of the newest message.
        days: the counts of the last days, from which windows are summed; at most `DAYS_KEPT` of them. Empty in a row
            that was stored before windows existed: the messages before are in no window.
        unsupported_messages: the customer's messages in a language that is not read, lifetime.
        urgent_messages: the customer's messages of high urgency, lifetime.
        urgent_days: their number on each of the days kept that has any: pairs of day and number. Not in `days`, so
            that a worker of an earlier release reads these rows, too.
        last_language: of the customer's newest message, None where none was identified. A message older than the
            newest one of anybody does not change it.
    """

    message_count: int = 0
    customer_message_count: int = 0
    sentiment_score: float | None = None
    cancellation_requests: int = 0
    key_concerns: tuple[str, ...] = ()
    last_message_at: datetime | None = None
    last_message_id: str | None = None
    days: tuple[DayCounts, ...] = ()
    unsupported_messages: int = 0
    urgent_messages: int = 0
    urgent_days: tuple[tuple[int, int], ...] = ()
    last_language: str | None = None

    @property
    def satisfaction_score(self) -> float | None:
        """The sentiment score on a scale from 0 (negative) over 5 (neutral) to 10 (positive)."""
        return None if self.sentiment_score is None else to_satisfaction(self.sentiment_score)


def fold(signals: Signals, messages: Iterable[Message]) -> Signals:
    """Return the signals after more messages, given in order of arrival.

    Each message must be folded once: the caller leaves out messages that were folded before.
    """
    for message in messages:
        signals = _fold_one(signals, message)
    return signals


def _fold_one(signals: Signals, message: Message) -> Signals:
    late = signals.last_message_at is not None and message.occurred_at < signals.last_message_at
    heard, reading = message.role == "customer", message.reading
    days = add_counts(signals.days, _counts(message))
    urgent = int(heard and reading.urgency == "high")
    urgent_days = signals.urgent_days
    if urgent or urgent_days:
        urgent_days = add_to_day(urgent_days, day_number(message.occurred_at), urgent, newest=days[-1].day)
    return Signals(
        message_count=signals.message_count + 1,
        customer_message_count=signals.customer_message_count + int(heard),
        sentiment_score=_blended(signals, reading.sentiment, late=late) if heard else signals.sentiment_score,
        cancellation_requests=signals.cancellation_requests + int(heard and reading.wants_to_cancel),
        key_concerns=_joined(signals.key_concerns, reading.concerns, late=late) if heard else signals.key_concerns,
        last_message_at=signals.last_message_at if late else message.occurred_at,
        last_message_id=signals.last_message_id if late else message.id,
        days=days,
        unsupported_messages=signals.unsupported_messages + int(heard and not reading.is_supported),
        urgent_messages=signals.urgent_messages + urgent,
        urgent_days=urgent_days,
        last_language=(reading.language or None) if heard and not late else signals.last_language,
    )


def _counts(message: Message) -> DayCounts:
    day, reading = day_number(message.occurred_at), message.reading
    if message.role != "customer":
        return DayCounts(day, 1, 0, 0, 0)
    cancels = 1 if reading.wants_to_cancel else 0
    return DayCounts(day, 1, 1, cancels, round(reading.sentiment * SENTIMENT_UNITS))


def _blended(signals: Signals, sentiment: float, *, late: bool) -> float:
    if signals.sentiment_score is None:
        return sentiment
    # The sum of the geometric series 1 + d + d^2 + ... over the messages so far.
    weight = (1.0 - DECAY**signals.customer_message_count) / (1.0 - DECAY)
    old, new = (weight, DECAY) if late else (DECAY * weight, 1.0)
    return (old * signals.sentiment_score + new * sentiment) / (old + new)


def _joined(known: tuple[str, ...], heard: tuple[str, ...], *, late: bool) -> tuple[str, ...]:
    ordered = (*known, *heard) if late else (*heard, *known)
    return tuple(dict.fromkeys(ordered))[:CONCERNS_KEPT]


def as_columns(
    signals_by_customer: Mapping[str, Signals],
    customer_ids: Sequence[str],
    as_of: datetime | Mapping[str, datetime],
) -> dict[str, Column]:
    """Return the signals as facts, one column each, in the order of `customer_ids`.

    Args:
        signals_by_customer: the signals known; a customer without signals has counts of 0 and otherwise nulls.
        customer_ids: the customers, one row each.
        as_of: the event time of the facts, one for all customers or one by customer. Windows and ages end at this
            time or at the customer's newest message, whichever is later: an event that arrives late does not take
            back what is known already.
    """
    heard = [row for row, customer_id in enumerate(customer_ids) if customer_id in signals_by_customer]
    found = [signals_by_customer[customer_ids[row]] for row in heard]
    moments = [as_of if isinstance(as_of, datetime) else as_of[customer_ids[row]] for row in heard]
    concerns = [list(signals.key_concerns) if signals.message_count else None for signals in found]

    def fill(silent: float | None, cells: Sequence[object]) -> Column:
        values: Column = np.full(len(customer_ids), silent)
        values[heard] = column(cells, "other" if silent is None else "number")
        return values

    return {
        "sentiment_score": fill(np.nan, [signals.sentiment_score for signals in found]),
        "satisfaction_score": fill(np.nan, [signals.satisfaction_score for signals in found]),
        "message_count": fill(0.0, [signals.message_count for signals in found]),
        "customer_message_count": fill(0.0, [signals.customer_message_count for signals in found]),
        "cancellation_requests": fill(0.0, [signals.cancellation_requests for signals in found]),
        "days_since_last_message": fill(np.nan, list(map(_days_since_last_message, found, moments))),
        "key_concerns": fill(None, concerns),
        "unsupported_message_count": fill(0.0, [signals.unsupported_messages for signals in found]),
        "urgent_message_count": fill(0.0, [signals.urgent_messages for signals in found]),
        "last_message_language": fill(None, [signals.last_language for signals in found]),
        **window_columns([signals.days for signals in found], moments, heard, len(customer_ids)),
        **_urgent_columns(found, moments, heard, len(customer_ids)),
    }


def _urgent_columns(
    found: Sequence[Signals], moments: Sequence[datetime], rows: Sequence[int], size: int
) -> dict[str, Column]:
    """Return how many urgent messages are in each window, see `window_columns`."""
    columns: dict[str, Column] = {f"urgent_message_count_{window}d": np.zeros(size) for window in WINDOWS_DAYS}
    for row, signals, moment in zip(rows, found, moments, strict=True):
        if signals.urgent_days:
            end = max(day_number(moment), signals.days[-1].day)
            for window in WINDOWS_DAYS:
                inside = sum(count for day, count in signals.urgent_days if end - day < window)
                columns[f"urgent_message_count_{window}d"][row] = inside
    return columns


def _days_since_last_message(signals: Signals, as_of: datetime) -> float | None:
    if signals.last_message_at is None:
        return None
    return max(0.0, (as_of - signals.last_message_at).total_seconds() / SECONDS_PER_DAY)
