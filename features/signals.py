"""What a customer's conversations say, folded message by message into a few numbers.

The sentiment score is the exponentially weighted mean of the customer's own messages: the newest weighs
1, the one before `DECAY`, the one before that `DECAY` squared, and so on. With a decay of one half the
newest message weighs as much as all before it together, so one angry message shows at once.

The weight of all messages so far is a geometric series of their number, so the score and the number are
all the state there is, and folding messages in two batches gives the same signals as folding them in
one.

A message that arrives after a newer one is counted with the weight `DECAY` next to what is there, and
leaves the time of the last message alone. That is exact when a customer's first two messages have
changed places, and near otherwise: the order of all earlier messages is not kept.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Literal

import numpy as np
from msgspec import Struct

from features.table import column

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from features.table import Column

DECAY = 0.5
CONCERNS_KEPT = 5
SECONDS_PER_DAY = 86_400.0


class MessageReading(Struct, frozen=True):
    """What a text model reads in one message: sentiment from -1 to 1, concerns named, a wish to cancel."""

    sentiment: float
    concerns: tuple[str, ...] = ()
    wants_to_cancel: bool = False


class Message(Struct, frozen=True):
    """One message of a conversation, with its reading; the time is aware of its zone."""

    id: str
    occurred_at: datetime
    role: Literal["customer", "agent"]
    reading: MessageReading


class Signals(Struct, frozen=True):
    """What one customer's messages add up to; agents' messages are counted and not judged."""

    message_count: int = 0
    customer_message_count: int = 0
    sentiment_score: float | None = None
    cancellation_requests: int = 0
    key_concerns: tuple[str, ...] = ()
    last_message_at: datetime | None = None
    last_message_id: str | None = None

    @property
    def satisfaction_score(self) -> float | None:
        """Sentiment on a scale from 0 (all furious) over 5 (neutral) to 10 (all delighted)."""
        return None if self.sentiment_score is None else round(5.0 * (1.0 + self.sentiment_score), 4)


def fold(signals: Signals, messages: Iterable[Message]) -> Signals:
    """Return the signals after the messages, in the order they arrived.

    A message must be folded once: whoever keeps the signals remembers which events it has seen.
    """
    for message in messages:
        signals = _fold_one(signals, message)
    return signals


def _fold_one(signals: Signals, message: Message) -> Signals:
    late = signals.last_message_at is not None and message.occurred_at < signals.last_message_at
    heard, reading = message.role == "customer", message.reading
    return Signals(
        message_count=signals.message_count + 1,
        customer_message_count=signals.customer_message_count + int(heard),
        sentiment_score=_blended(signals, reading.sentiment, late=late) if heard else signals.sentiment_score,
        cancellation_requests=signals.cancellation_requests + int(heard and reading.wants_to_cancel),
        key_concerns=_joined(signals.key_concerns, reading.concerns, late=late) if heard else signals.key_concerns,
        last_message_at=signals.last_message_at if late else message.occurred_at,
        last_message_id=signals.last_message_id if late else message.id,
    )


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
        signals_by_customer: the signals known; a customer without any gets counts of 0 and otherwise null.
        customer_ids: the customers, one row each.
        as_of: the moment the facts are for, for all customers or by customer; a customer's own event time
            makes a replay in other batches give the same facts.
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
    }


def _days_since_last_message(signals: Signals, as_of: datetime) -> float | None:
    if signals.last_message_at is None:
        return None
    return max(0.0, (as_of - signals.last_message_at).total_seconds() / SECONDS_PER_DAY)
