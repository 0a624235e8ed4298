"""The present state of a deployment: services, workers, lag, rate, outbox, models, definitions, what needs attention.

Every part is read at the same time as the others and degrades by itself: a service that is away costs its own lines. A
rate needs two looks. A later look takes the former one; the first one makes both, a second apart.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from campaigns.postgres_status import open_status
from console.use_cases.attention import find_attention
from console.use_cases.definitions_status import compare_definitions, count_waiting
from console.use_cases.models_status import find_models
from console.use_cases.parts import Part, Reading, attempt
from console.use_cases.services_status import WITHOUT, find_addresses, service_readers
from console.use_cases.workers_status import find_workers
from segments.definition import fingerprint
from streams.decision_config import find_versions
from streams.definitions import read_definitions
from streams.kafka.group_inspection import GroupInspector
from streams.runtime.model_reload import find_changeovers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from campaigns.postgres_status import PostgresStatus, UnfinishedReevaluation, Unsent
    from campaigns.records import StopRecord
    from console.use_cases.definitions_status import DefinitionStatus
    from console.use_cases.models_status import ModelStatus
    from console.use_cases.services_status import Answer
    from console.use_cases.workers_status import Workers
    from streams.kafka.group_inspection import Positions
    from streams.settings import Settings

TIMEOUT_S = 3.0
BETWEEN_LOOKS_S = 1.0
"""At least two intervals in which workers commit offsets."""
COUNTED_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """A service.

    Attributes:
        name: what it is.
        address: without user and password.
        version: what it says of its version; empty where unknown.
        seconds: a round trip; None where it does not answer.
        problem: why it does not answer, and what that means; empty otherwise.
    """

    name: str
    address: str
    version: str
    seconds: float | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class TopicLag:
    """What waits in an input topic.

    Attributes:
        topic: its name on the broker.
        events: the offsets that are not committed.
        oldest: the time of the oldest record that waits; None without any, or where it could not be read in time.
    """

    topic: str
    events: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class Rate:
    """How fast events are committed and triggers decided, per second, over some seconds; None is unknown."""

    events: float | None
    triggers: float | None
    over_s: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """Customers who wait for an evaluation under the present version of a segment.

    Attributes:
        by_segment: those of each segment, and all known customers.
        was_requested: whether a re-evaluation under the present versions has ended. Those who wait after that are
            not in the warehouse, or their requests became dead letters.
        unfinished: re-evaluations that did not end.
    """

    by_segment: Mapping[str, tuple[int, int]]
    was_requested: bool
    unfinished: Sequence[UnfinishedReevaluation]


@dataclass(frozen=True, slots=True)
class Marks:
    """What a later look is compared with, and what it need not read again.

    Attributes:
        positions: those of the group.
        sequence: that of the latest message.
        at: when, on the monotonic clock.
        waiting: customers who wait: counting them reads every customer's row, so not every look does.
        waiting_at: when they were counted.
    """

    positions: Positions | None
    sequence: int | None
    at: float
    waiting: Waiting | None = None
    waiting_at: float = 0.0

    def find_waiting(self, now: float) -> Waiting | None:
        """Return who waits, unless that is not known or was counted too long ago."""
        return self.waiting if now - self.waiting_at < COUNTED_EVERY_S else None


@dataclass(frozen=True, slots=True)
class Status:
    """A look at a deployment. A part that could not be read has a problem instead of a value.

    Attributes:
        at: when.
        took_s: how long it took.
        services: each service.
        workers: the members of the consumer group.
        lag: what waits, by topic.
        rate: events and triggers per second.
        outbox: what is decided and not published.
        dead_letters: the open ones by reason.
        models: what decides each task.
        stops: campaigns that are stopped.
        definitions: the versions of the folder and those in force.
        waiting: customers who wait for an evaluation.
        attention: what needs attention, in sentences; empty when all is fine.
        marks: for the next look.
    """

    at: datetime
    took_s: float
    services: Sequence[ServiceStatus]
    workers: Part[Workers]
    lag: Part[Sequence[TopicLag]]
    rate: Rate
    outbox: Part[Unsent]
    dead_letters: Part[Mapping[str, int]]
    models: Sequence[ModelStatus]
    stops: Part[Sequence[StopRecord]]
    definitions: Part[Sequence[DefinitionStatus]]
    waiting: Part[Waiting]
    attention: Sequence[str]
    marks: Marks


@dataclass(frozen=True, slots=True)
class _LedgerParts:
    """What one connection to the ledger reads."""

    outbox: Part[Unsent]
    dead_letters: Part[Mapping[str, int]]
    stops: Part[Sequence[StopRecord]]
    definitions: Part[Sequence[DefinitionStatus]]


def read_status(
    settings: Settings, *, former: Marks | None = None, timeout_s: float = TIMEOUT_S, pause_s: float = BETWEEN_LOOKS_S
) -> Status:
    """Look at a deployment.

    Args:
        settings: where everything is.
        former: the marks of the look before; without them this takes two looks.
        timeout_s: the longest wait for any part.
        pause_s: between the two looks.
    """
    begun = time.monotonic()
    services = {name: Reading(read) for name, read in service_readers(settings, timeout_s=timeout_s).items()}
    workers = Reading(partial(_read_workers, settings, timeout_s))
    ledger = Reading(partial(_read_ledger, settings, timeout_s))
    known = former.find_waiting(begun) if former else None
    waiting = Reading(partial(_count_waiting, settings, timeout_s, known))
    models = find_models(settings)
    if former is None:
        former = _mark(settings, timeout_s)
        looked_at = former.positions.at if former.positions else former.at
        time.sleep(max(looked_at + pause_s - time.monotonic(), 0.0))
    begun_now = time.monotonic()
    lag = Reading(partial(_read_lag, settings, timeout_s))
    triggers = Reading(partial(_count_triggers, settings, timeout_s, former.sequence))

    found_lag = lag.wait(timeout_s, begun_now + timeout_s)
    counted = triggers.wait(timeout_s, begun_now + timeout_s)
    parts = _spread(ledger.wait(timeout_s, begun + timeout_s))
    found_waiting = waiting.wait(timeout_s, begun + timeout_s)
    marks = Marks(
        found_lag.value[0] if found_lag.value else None,
        counted.value[0] if counted.value else None,
        begun_now,
        found_waiting.value,
        former.waiting_at if known else begun,
    )
    status = Status(
        at=datetime.now(UTC),
        took_s=0.0,
        services=[
            _describe_service(name, find_addresses(settings)[name], each.wait(timeout_s, begun + timeout_s))
            for name, each in services.items()
        ],
        workers=workers.wait(timeout_s, begun + timeout_s),
        lag=Part(found_lag.value[1] if found_lag.value else None, found_lag.problem),
        rate=measure_rate(former, marks, counted.value[1] if counted.value else None),
        outbox=parts.outbox,
        dead_letters=parts.dead_letters,
        models=models,
        stops=parts.stops,
        definitions=parts.definitions,
        waiting=found_waiting,
        attention=(),
        marks=marks,
    )
    attention = find_attention(status, patience_s=settings.stuck_after_s)
    return replace(status, took_s=time.monotonic() - begun, attention=attention)


def measure_rate(former: Marks, now: Marks, triggers: int | None) -> Rate:
    """Return the rates between two looks.

    Args:
        former: the marks of the first look.
        now: those of the second.
        triggers: how many were decided in between; None is unknown.
    """
    before, after = former.positions, now.positions
    seconds = after.at - before.at if before and after else now.at - former.at
    events = (after.committed - before.committed) / seconds if before and after and seconds > 0 else None
    return Rate(events, None if triggers is None or seconds <= 0 else triggers / seconds, seconds)


def _mark(settings: Settings, timeout_s: float) -> Marks:
    """Take the first of two looks."""
    begun = time.monotonic()
    positions = Reading(lambda: GroupInspector(settings, timeout_s=timeout_s).find_positions())
    sequence = Reading(partial(_count_triggers, settings, timeout_s, None))
    found = positions.wait(timeout_s, begun + timeout_s)
    counted = sequence.wait(timeout_s, begun + timeout_s)
    return Marks(found.value, counted.value[0] if counted.value else None, begun)


def _read_workers(settings: Settings, timeout_s: float) -> Workers:
    group = GroupInspector(settings, timeout_s=timeout_s).find_group()
    return find_workers(settings, group, timeout_s=timeout_s / 2)


def _read_lag(settings: Settings, timeout_s: float) -> tuple[Positions, Sequence[TopicLag]]:
    inspector = GroupInspector(settings, timeout_s=timeout_s)
    positions = inspector.find_positions()
    oldest = inspector.find_oldest(positions)
    events = dict.fromkeys(settings.input_topics, 0)
    for (topic, _), each in positions.by_partition.items():
        events[topic] += each.lag
    return positions, [TopicLag(topic, count, oldest.get(topic)) for topic, count in events.items()]


def _count_triggers(settings: Settings, timeout_s: float, after: int | None) -> tuple[int, int | None]:
    """Return the sequence of the latest message, and the triggers decided since a message."""
    with open_status(settings.ledger_url, timeout_s=timeout_s) as ledger:
        sequence = ledger.last_sequence()
        return sequence, None if after is None else ledger.count_triggers(after)


def _read_ledger(settings: Settings, timeout_s: float) -> _LedgerParts:
    with open_status(settings.ledger_url, timeout_s=timeout_s) as ledger:
        return _LedgerParts(
            attempt(ledger.unsent),
            attempt(ledger.open_dead_letters),
            attempt(ledger.stops),
            attempt(partial(_compare, settings, ledger)),
        )


def _spread(read: Part[_LedgerParts]) -> _LedgerParts:
    if read.value is not None:
        return read.value
    unread: Part[Any] = Part(None, read.problem)
    return _LedgerParts(unread, unread, unread, unread)


def _compare(settings: Settings, ledger: PostgresStatus) -> Sequence[DefinitionStatus]:
    defined = read_definitions(settings)
    return compare_definitions(defined, ledger.segment_versions(), ledger.campaign_versions())


def _count_waiting(settings: Settings, timeout_s: float, known: Waiting | None) -> Waiting:
    if known is not None:
        return known
    defined = read_definitions(settings)
    with open_status(settings.ledger_url, timeout_s=timeout_s) as ledger:
        counted = count_waiting(defined, ledger.count_evaluated())
        versions = fingerprint(find_versions(defined.segments, find_changeovers(settings)))
        return Waiting(
            {key: each for key, each in counted.items() if each[0]},
            ledger.was_reevaluated(versions),
            ledger.unfinished_reevaluations(),
        )


def _describe_service(name: str, address: str, part: Part[Answer]) -> ServiceStatus:
    if part.value is None:
        return ServiceStatus(name, address, "", None, f"{part.problem}; without it: {WITHOUT[name]}")
    return ServiceStatus(name, address, part.value.version, part.value.seconds)
