"""What needs attention in a deployment, by its status. Pure."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from console.use_cases.parts import Part
    from console.use_cases.status import Status

WELL = "ok"
_STOPPED = re.compile(r"campaign \S+ is stopped: ")
RETRAIN = "retrain"


def find_attention(status: Status, *, patience_s: float) -> Sequence[str]:
    """Return a sentence for each thing that needs attention, each with what to do.

    Args:
        status: the look.
        patience_s: how old what waits may be; HOLDFAST_STUCK_AFTER_S.
    """
    return [
        *(f"{each.name}: {each.problem}" for each in status.services if each.problem),
        *_look_at_workers(status),
        *_look_at_queues(status, timedelta(seconds=patience_s)),
        *_look_at_models(status),
        *_look_at_definitions(status),
        *_find_unread(status),
    ]


def _look_at_workers(status: Status) -> Iterator[str]:
    found = status.workers.value
    if found is None:
        return
    if not found.workers:
        yield f"no worker is in the consumer group ({found.group_state}); start one: holdfast worker"
    for worker in found.workers:
        # What the ledger says of stopped campaigns is newer, and comes once for all workers.
        problems = [each for each in worker.problems if not _STOPPED.match(each)]
        if worker.health not in {WELL, None} and (problems or not worker.problems):
            reasons = f": {'; '.join(problems)}" if problems else ""
            yield f"worker {worker.name} at {worker.host} is {worker.health}{reasons}"


def _look_at_queues(status: Status, patience: timedelta) -> Iterator[str]:
    for topic in status.lag.value or ():
        if _is_late(topic.oldest, status.at, patience):
            yield (
                f"{topic.topic}: {topic.events:,} events wait, the oldest longer than HOLDFAST_STUCK_AFTER_S; "
                "/health of the workers says what they wait for"
            )
    unsent = status.outbox.value
    if unsent and _is_late(unsent.oldest, status.at, patience):
        yield (
            f"outbox: {unsent.messages:,} messages are decided and not published, the oldest longer than "
            "HOLDFAST_STUCK_AFTER_S; /health of the workers names the topic that does not take them"
        )
    if letters := sum((status.dead_letters.value or {}).values()):
        yield f"{letters:,} open dead letter{'' if letters == 1 else 's'}: holdfast dead-letters list"


def _is_late(oldest: datetime | None, now: datetime, patience: timedelta) -> bool:
    return oldest is not None and now - oldest > patience


def _look_at_models(status: Status) -> Iterator[str]:
    for model in status.models:
        if model.problem:
            yield f"model {model.task}: {model.problem}"
        monitored = model.monitored
        # What was found of a version that no longer serves says nothing.
        if monitored is not None and monitored.verdict == RETRAIN and monitored.version == model.version:
            reasons = "; ".join(monitored.reasons)
            yield f"model {model.task}: monitoring advises to train it again ({reasons}): holdfast train {model.task}"


def _look_at_definitions(status: Status) -> Iterator[str]:
    for stop in status.stops.value or ():
        yield (
            f"campaign {stop.campaign} is stopped by {stop.actor}: {stop.reason}; "
            f"holdfast campaigns resume {stop.campaign} --why …"
        )
    differing = [each for each in status.definitions.value or () if not each.agrees]
    if differing:
        names = ", ".join(f"{each.kind} {each.key}" for each in differing)
        yield f"workers have other versions than the definitions folder: {names}; restart the workers"
    waiting = status.waiting.value
    if waiting and waiting.by_segment and not waiting.was_requested:
        names = ", ".join(f"{key} ({count:,})" for key, (count, _) in waiting.by_segment.items())
        yield f"customers wait for an evaluation under changed segments: {names}; holdfast segments reevaluate"


def _find_unread(status: Status) -> Iterator[str]:
    """Yield the parts that were not read although their service answers; otherwise the service is named above."""
    away = {each.name for each in status.services if each.problem}
    of_kafka: dict[str, Part[object]] = {"workers": status.workers, "lag": status.lag}
    of_ledger: dict[str, Part[object]] = {
        "outbox": status.outbox,
        "dead letters": status.dead_letters,
        "stopped campaigns": status.stops,
        "definitions": status.definitions,
        "re-evaluation": status.waiting,
    }
    for service, parts in (("Kafka", of_kafka), ("ledger", of_ledger)):
        if service not in away:
            yield from (f"{name} cannot be read: {part.problem}" for name, part in parts.items() if part.problem)
