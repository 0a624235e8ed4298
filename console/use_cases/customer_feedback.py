"""Feedback of staff about customers: give it, withdraw it, list it, export it.

Giving it publishes one event, so that the customer's worker folds it in the order of the customer's other events.
"""

from __future__ import annotations

import asyncio
import csv
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec

from campaigns.errors import FeedbackError
from campaigns.feedback import FeedbackKind, find_withdrawals
from console.use_cases.ledger import ask_ledger
from features.errors import WarehouseError, WarehouseUnavailableError
from features.warehouses import opened
from streams.formats.events import WireEvent
from streams.formats.feedback_checks import find_feedback_problem
from streams.kafka.event_producer import EventProducer
from streams.warehouse import find_warehouse

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from campaigns.feedback import Feedback
    from streams.settings import Settings

EXPORTED = ("customer_id", "given_at", "model", "value", "actor", "why", "feedback_id", "withdrawn_at")


@dataclass(frozen=True, slots=True)
class FeedbackState:
    """One feedback of staff, and whether it counts now.

    Attributes:
        withdrawal: the feedback that withdraws it, None while there is none.
        is_expired: whether its time is over.
    """

    feedback: Feedback
    withdrawal: Feedback | None
    is_expired: bool

    @property
    def state(self) -> str:
        """One of `withdrawn`, `expired` and `in force`."""
        if self.withdrawal:
            return "withdrawn"
        return "expired" if self.is_expired else "in force"


@dataclass(frozen=True, slots=True)
class Given:
    """Feedback that was published.

    Attributes:
        event_id: its id: what withdraws it names it.
        unchecked: why the warehouse was not asked whether it has the customer; None when it was.
    """

    event_id: str
    unchecked: str | None = None


def give_feedback(
    settings: Settings,
    customer_id: str,
    kind: FeedbackKind,
    *,
    by: str,
    why: str,
    until: datetime | None = None,
    model: str = "",
    value: float | None = None,
) -> Given:
    """Publish feedback about a customer, dated now; return when Kafka has acknowledged it.

    Args:
        settings: where Kafka and the warehouse are.
        customer_id: the customer.
        kind: what the feedback says; withdraw_feedback withdraws one.
        by: who gives it.
        why: the reason.
        until: the time from which it no longer counts; None if it has no end.
        model: the model whose score is wrong.
        value: what the score should be.

    Raises:
        FeedbackError: a worker would not accept it.
        WarehouseError: the warehouse has no such customer.
        BrokerUnavailableError: Kafka has not acknowledged it in time.
    """
    unchecked = asyncio.run(_find_customer(settings, customer_id))
    said: dict[str, Any] = {"by": by, "reason": why, "until": until, "model": model, "value": value}
    return Given(_publish(settings, customer_id, kind, said), unchecked)


def withdraw_feedback(settings: Settings, customer_id: str, event_id: str, *, by: str, why: str) -> Given:
    """Publish that feedback no longer counts; return when Kafka has acknowledged it.

    Raises:
        FeedbackError: the ledger has no such feedback of this customer, or it is withdrawn already.
        LedgerUnavailableError: the ledger cannot be read.
        BrokerUnavailableError: Kafka has not acknowledged it in time.
    """
    given = {each.feedback.event_id: each for each in list_feedback(settings, customer_id)}
    if event_id not in given:
        known = ", ".join(each for each, found in given.items() if not found.withdrawal) or "none"
        raise FeedbackError(
            f"the ledger has no feedback {event_id!r} of customer {customer_id!r}; it has: {known}. Feedback is there "
            "when a worker has read it"
        )
    if withdrawal := given[event_id].withdrawal:
        at = f"{withdrawal.given_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        raise FeedbackError(f"feedback {event_id} was withdrawn at {at} by {withdrawal.actor}")
    said = {"by": by, "reason": why, "withdraws": event_id}
    return Given(_publish(settings, customer_id, FeedbackKind.WITHDRAWN, said))


def list_feedback(settings: Settings, customer_id: str) -> Sequence[FeedbackState]:
    """Return what staff said of a customer, in order of event time, and whether it counts now.

    Raises:
        LedgerUnavailableError: the ledger cannot be read.
    """
    given = ask_ledger(settings, lambda ledger: ledger.feedback_of(customer_id))
    return judge_feedback(given, datetime.now(UTC))


def judge_feedback(given: Sequence[Feedback], now: datetime) -> Sequence[FeedbackState]:
    """Return feedback with what withdraws it, and whether it is expired at a time; withdrawals are not listed alone."""
    withdrawals = find_withdrawals(given)
    return [
        FeedbackState(
            each, withdrawals.get((each.customer_id, each.event_id)), each.until is not None and now >= each.until
        )
        for each in given
        if each.kind != FeedbackKind.WITHDRAWN
    ]


def export_feedback(settings: Settings, file: Path, *, model: str | None) -> int:
    """Write what staff said of scores to a CSV file, for training; return the number of rows.

    Args:
        settings: where the ledger is.
        file: the file; it must not exist.
        model: only of this model's scores; of every model when None.

    Raises:
        FeedbackError: the file cannot be written.
        LedgerUnavailableError: the ledger cannot be read.
    """
    given = ask_ledger(settings, lambda ledger: ledger.all_feedback())
    rows = score_rows(given, model)
    try:
        with file.open("x", newline="") as opened_file:
            writer = csv.writer(opened_file)
            writer.writerow(EXPORTED)
            writer.writerows(rows)
    except OSError as error:
        raise FeedbackError(f"{file} cannot be written: {error.strerror}; name a file that does not exist") from error
    return len(rows)


def score_rows(given: Sequence[Feedback], model: str | None) -> list[tuple[Any, ...]]:
    """Return what staff said of scores as rows of `EXPORTED`; times in RFC 3339, UTC."""
    withdrawals = find_withdrawals(given)
    return [
        (
            each.customer_id,
            each.given_at.astimezone(UTC).isoformat(),
            each.model,
            each.value,
            each.actor,
            each.why,
            each.event_id,
            withdrawal.given_at.astimezone(UTC).isoformat() if withdrawal else None,
        )
        for each in given
        if each.kind == FeedbackKind.WRONG_SCORE and model in (None, each.model)
        for withdrawal in [withdrawals.get((each.customer_id, each.event_id))]
    ]


def _publish(settings: Settings, customer_id: str, kind: FeedbackKind, said: dict[str, Any]) -> str:
    event_id, now = f"feedback-{uuid4().hex[:12]}", datetime.now(UTC)
    event = {"id": event_id, "type": f"feedback.{kind}", "customer_id": customer_id, "occurred_at": now, **said}
    try:
        problem = find_feedback_problem(msgspec.convert(event, WireEvent))
    except msgspec.ValidationError as error:
        raise FeedbackError(str(error)) from error
    if problem:
        raise FeedbackError(problem)
    EventProducer(settings, "outcomes").publish([event])
    return event_id


async def _find_customer(settings: Settings, customer_id: str) -> str | None:
    """Return why the warehouse cannot say whether it has a customer, None when it has one."""
    try:
        async with opened(find_warehouse(settings)) as warehouse:
            found = await warehouse.fetch([customer_id])
    except WarehouseUnavailableError as error:
        return str(error)
    if not len(found):
        raise WarehouseError(f"the warehouse has no customer {customer_id!r}; check the id")
    return None
