"""Synthetic data that the real invoices lack, generated from a seed: consent, channels, conversations, offers.

Every function is pure in its arguments and the seed. Nothing is fitted to real people.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from numpy.typing import NDArray

SEED = 20111209
CHURN_WINDOW = timedelta(days=90)
OFFERS = 8


@dataclass(frozen=True, slots=True)
class Attributes:
    """Synthetic channel and consents of a customer."""

    email_tier: str
    preferred_channel: str
    email_consent: bool
    sms_consent: bool
    push_consent: bool


@dataclass(frozen=True, slots=True)
class Message:
    """One synthetic message of a conversation."""

    id: str
    customer_id: str
    channel: str
    role: str
    text: str
    occurred_at: datetime


def draw_attributes(customer_id: str) -> Attributes:
    """Return the customer's attributes, independent of the order of calls."""
    draw = random.Random(f"{SEED}:attributes:{customer_id}")  # noqa: S311 - reproducible, not secret
    return Attributes(
        email_tier=draw.choices(("engaged", "occasional", "dormant"), (35, 45, 20))[0],
        preferred_channel=draw.choices(("email", "sms", "push"), (65, 20, 15))[0],
        email_consent=draw.random() < 0.85,  # noqa: PLR2004 - shares are the definition
        sms_consent=draw.random() < 0.45,  # noqa: PLR2004
        push_consent=draw.random() < 0.40,  # noqa: PLR2004
    )


TEXTS: Mapping[str, tuple[str, ...]] = {
    "cancellation": (
        "Please cancel my account, I will not be ordering again.",
        "I want to cancel. This is the third time something went wrong.",
        "How do I close my account? I am switching to another supplier.",
        "Cancel my subscription to your catalogue and close my account, please.",
        "I would like to cancel my account. Your prices are too high now.",
        "We have decided to stop ordering from you. Please delete my account.",
    ),
    "complaint": (
        "My parcel is late again and nobody answers the phone. This is terrible service.",
        "Half of the mugs arrived broken. I am very disappointed.",
        "The quality has got much worse, the paint comes off in a day. Awful.",
        "I was charged twice for one order and I am angry that support ignores me.",
        "Your prices went up again, this is getting far too expensive for us.",
        "The wrong items were delivered and returning them is a nightmare.",
        "Still no refund after three weeks. This is unacceptable.",
        "The website crashed at checkout and I lost my whole basket. Frustrating.",
        "Delivery took two weeks and the box was damaged. Bad experience.",
        "Nobody has replied to my last three messages. Very poor support.",
    ),
    "question": (
        "Can you tell me when order {order} will be delivered?",
        "Do you ship to our second shop as well?",
        "Is the red retrospot bag going to be back in stock?",
        "Could I have a copy of the invoice for order {order}?",
        "What is the minimum order for the wholesale price?",
        "Can I change the delivery address of order {order}?",
        "Do the lanterns come with candles?",
        "Which payment methods do you accept for business customers?",
    ),
    "praise": (
        "The parcel came a day early and everything is lovely, thank you!",
        "My customers love the heart decorations. Great quality.",
        "Thank you for sorting out my return so quickly, excellent service.",
        "Beautiful packaging and friendly support. I am very happy with my order.",
        "Order {order} is perfect, we will order more soon.",
        "Great prices this season, thanks!",
        "Your team was really helpful on the phone today. Wonderful.",
    ),
    "agent": (
        "Thank you for your message. I am looking into it and will come back to you today.",
        "I am sorry about this. I have asked our warehouse and will let you know by tomorrow.",
        "I have passed this to my colleagues, you will hear from us within one working day.",
    ),
}
TOPICS = ("cancellation", "complaint", "question", "praise")
TOPIC_SHARES = {True: (0.17, 0.38, 0.30, 0.15), False: (0.02, 0.18, 0.45, 0.35)}
CHANNEL_SHARES = {"chat": 0.45, "email": 0.40, "phone": 0.15}
CONVERSATIONS_PER_ORDER = 0.118
REPLY_SHARE = 0.30


def write_conversations(orders: Iterable[tuple[str, str, datetime]]) -> list[Message]:
    """Write about one conversation per nine orders, some with an agent's reply, in order of time.

    A customer who will not order in the 90 days after a message is more likely to complain or to cancel. If the data
    end before that, the customer counts as staying.

    Args:
        orders: (order_id, customer_id, ordered_at) of every order that is not a cancellation.
    """
    in_time = sorted(orders, key=lambda order: (order[2], order[0]))
    days_by_customer: dict[str, list[datetime]] = {}
    for _, customer_id, ordered_at in in_time:
        days_by_customer.setdefault(customer_id, []).append(ordered_at)
    end = in_time[-1][2] if in_time else datetime.min  # noqa: DTZ901 - never used when there are no orders
    messages: list[Message] = []
    for order_id, customer_id, ordered_at in in_time:
        draw = random.Random(f"{SEED}:conversation:{order_id}")  # noqa: S311 - reproducible, not secret
        if draw.random() < CONVERSATIONS_PER_ORDER:
            written_at = ordered_at + timedelta(minutes=draw.randrange(60, 40 * 24 * 60))
            leaves = _leaves(written_at, days_by_customer[customer_id], end)
            messages += _converse(draw, order_id, customer_id, written_at, leaves)
    return sorted((m for m in messages if m.occurred_at <= end), key=lambda m: (m.occurred_at, m.id))


def _leaves(when: datetime, ordered: Sequence[datetime], end: datetime) -> bool:
    """Return whether the data cover the window and contain no order in it."""
    return when + CHURN_WINDOW <= end and not any(when < day <= when + CHURN_WINDOW for day in ordered)


def _converse(draw: random.Random, order_id: str, customer_id: str, when: datetime, leaves: bool) -> list[Message]:
    topic = draw.choices(TOPICS, TOPIC_SHARES[leaves])[0]
    channel = draw.choices(tuple(CHANNEL_SHARES), tuple(CHANNEL_SHARES.values()))[0]
    text = draw.choice(TEXTS[topic]).format(order=order_id)
    said = [Message(f"m-{order_id}", customer_id, channel, "customer", text, when)]
    if draw.random() < REPLY_SHARE:
        answered = when + timedelta(minutes=draw.randrange(5, 240))
        said.append(Message(f"m-{order_id}-r", customer_id, channel, "agent", draw.choice(TEXTS["agent"]), answered))
    return said


@dataclass(frozen=True, slots=True)
class Exposures:
    """Synthetic exposures of n customers. Each array has shape [n]; offers are 1 to 8, and 0 means none."""

    shown: NDArray[np.int64]
    propensity: NDArray[np.float64]
    converted: NDArray[np.int64]


def show_offers(features: Mapping[str, NDArray[Any]], generator: np.random.Generator) -> Exposures:
    """Show one offer to each customer by a policy with 50 % exploration, and draw the conversions.

    Args:
        features: columns days_since_last_transaction, transaction_count, avg_transaction_value,
            cancellations and lifetime_value of shape [n], none null.
        generator: the source of randomness.
    """
    probability = conversion_probability(features)
    guess = np.exp(3 * probability[:, ::-1])  # a bad logging policy: it uses the probabilities in reverse order
    policy = 0.5 / OFFERS + 0.5 * guess / guess.sum(axis=1, keepdims=True)
    draws = generator.random((len(policy), 2))
    shown = np.minimum((draws[:, :1] > policy.cumsum(axis=1)).sum(axis=1), OFFERS - 1)
    each = np.arange(len(policy))
    converted = draws[:, 1] < probability[each, shown]
    return Exposures(shown + 1, policy[each, shown], np.where(converted, shown + 1, 0))


def conversion_probability(features: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
    """Return the synthetic true probability that each customer converts on each offer, shape [n, 8].

    In the order of campaigns' offers.json: free shipping suits small baskets, the discounts the lapsed (the
    larger the better), a gift those who had to cancel, points and early access the frequent, an advisor the
    most valuable.
    """
    lapsed = np.clip(np.asarray(features["days_since_last_transaction"], float) / 90, 0, 1.5)
    frequent = np.clip(np.log1p(np.asarray(features["transaction_count"], float)) / 2.5, 0, 1.5)
    small = 1 - np.clip(np.asarray(features["avg_transaction_value"], float) / 400, 0, 1.5)
    cancelled = np.clip(np.asarray(features["cancellations"], float) / 2, 0, 1)
    valuable = np.clip(np.log10(np.maximum(np.asarray(features["lifetime_value"], float), 1)) - 2.5, 0, 1.5)
    logits = np.stack(
        [
            -2.6 + 1.8 * small,
            -2.9 + 0.8 * lapsed,
            -2.9 + 1.5 * lapsed,
            -3.1 + 2.3 * lapsed,
            -2.6 + 2.2 * cancelled,
            -3.6 + 3.2 * frequent - 0.8 * lapsed,
            -3.7 + 2.0 * frequent + 1.2 * valuable - 0.8 * lapsed,
            -3.8 + 2.9 * valuable,
        ],
        axis=1,
    )
    probability: NDArray[np.float64] = 1 / (1 + np.exp(-logits))
    return probability
