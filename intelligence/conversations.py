"""Conversations: the messages of a customer with gaps shorter than a limit, and what each adds up to.

Agents' messages belong to a conversation, but only the customer's own are read. Sentiment and satisfaction are weighted
means in which the newest message has weight 1 and each one before it `DECAY` of the next, as in features/signals.py: a
conversation that ends well is a good one.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from features.signals import DECAY

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime, timedelta

    from intelligence.postgres_messages import StoredMessage

URGENCIES = ("none", "normal", "high")
"""In ascending order. Another word counts as the lowest."""
NEUTRAL_AT_MOST = 0.2
"""A mean sentiment from -0.2 to 0.2 is neutral."""


class HeardMessage(NamedTuple):
    """A message of a customer in a supported language.

    Attributes:
        key: of the customer and of the message.
        conversation: number within the customer.
        occurred_at: its time.
        text: what it says.
        covered: whether the taxonomy finds a concern in it.
        sentiment: from -1 to 1.
    """

    key: tuple[str, str]
    conversation: int
    occurred_at: datetime
    text: str
    covered: bool
    sentiment: float


@dataclass(frozen=True, slots=True)
class Conversation:
    """What the messages of a conversation add up to.

    Attributes:
        customer_id: whose it is.
        began: time of the first message.
        ended: time of the last one.
        messages: of both sides.
        customer_messages: of the customer.
        sentiment: from -1 to 1; None without a message of the customer.
        satisfaction: from 0 to 10; likewise None.
        concerns: the most frequent first.
        urgency: the highest of URGENCIES in any message of the customer; None without one that is known.
        wants_to_cancel: whether any message of the customer asks to cancel.
        language: the most frequent of the customer's messages, None where unknown.
    """

    customer_id: str
    began: datetime
    ended: datetime
    messages: int
    customer_messages: int
    sentiment: float | None
    satisfaction: float | None
    concerns: tuple[str, ...]
    urgency: str | None
    wants_to_cancel: bool
    language: str | None

    @property
    def mood(self) -> str:
        """The overall sentiment as a word: positive, neutral, negative, or unknown without the customer's messages."""
        if self.sentiment is None:
            return "unknown"
        if abs(self.sentiment) <= NEUTRAL_AT_MOST:
            return "neutral"
        return "positive" if self.sentiment > 0 else "negative"


def split_conversations(messages: Iterable[StoredMessage], gap: timedelta) -> list[list[StoredMessage]]:
    """Return the messages by conversation: ordered by customer, then time.

    Args:
        messages: of any customers, in any order.
        gap: a silence as long as this, or longer, begins another conversation.
    """
    ordered = sorted(messages, key=lambda each: (each.customer_id, each.occurred_at, each.message_id))
    found = [ordered[:1]] if ordered else []
    for before, after in pairwise(ordered):
        if before.customer_id != after.customer_id or after.occurred_at - before.occurred_at >= gap:
            found.append([])
        found[-1].append(after)
    return found


def sum_up(messages: Sequence[StoredMessage]) -> Conversation:
    """Return what the messages of one conversation, oldest first and at least one, add up to."""
    heard = [each for each in messages if each.role == "customer"]
    named = Counter(concern for each in heard for concern in dict.fromkeys(each.concerns))
    languages = Counter(each.language for each in heard if each.language)
    urgencies = [each.urgency for each in heard if each.urgency]
    return Conversation(
        messages[0].customer_id,
        messages[0].occurred_at,
        messages[-1].occurred_at,
        len(messages),
        len(heard),
        _weigh([each.sentiment for each in heard]),
        _weigh([each.satisfaction for each in heard]),
        tuple(concern for concern, _ in named.most_common()),
        max(urgencies, key=_rank, default=None),
        any(each.wants_to_cancel for each in heard),
        languages.most_common(1)[0][0] if languages else None,
    )


def _rank(urgency: str) -> int:
    return URGENCIES.index(urgency) if urgency in URGENCIES else -1


def _weigh(values: Sequence[float]) -> float | None:
    """Return the weighted mean of values, oldest first."""
    if not values:
        return None
    weights = [DECAY**age for age in range(len(values))][::-1]
    return sum(map(float.__mul__, weights, map(float, values))) / sum(weights)
