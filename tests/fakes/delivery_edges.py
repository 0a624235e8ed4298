"""In-memory topics, permissions and a transport of deliveries."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from delivery.answers import Settled
from delivery.outcomes import describe_opt_out, describe_report
from delivery.permission import Permitted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from delivery.answers import Answer
    from delivery.outcomes import OptOut, Report
    from delivery.permission import Permission
    from delivery.ports import Claimed, Record
    from delivery.trigger import Trigger


@dataclass(frozen=True, slots=True)
class TopicRecord:
    """A record of a topic with one partition."""

    offset: int
    value: bytes | None
    partition: int = 0


@dataclass(slots=True)
class InMemoryTriggers:
    """Implements `delivery.ports.Triggers` over a log with one committed offset; `restart` reads from it again."""

    log: list[bytes | None]
    at_once: int = 2
    committed: int = 0
    _next: int = 0

    def restart(self) -> None:
        """Continue after the committed offset, as a new process does."""
        self._next = self.committed

    async def read(self) -> Sequence[Record]:
        """See the port."""
        await asyncio.sleep(0)
        first, self._next = self._next, min(self._next + self.at_once, len(self.log))
        return [TopicRecord(offset, self.log[offset]) for offset in range(first, self._next)]

    async def commit(self, records: Sequence[Record]) -> None:
        """See the port."""
        self.committed = max((each.offset or 0) + 1 for each in records)


@dataclass(slots=True)
class InMemoryReports:
    """Implements `delivery.ports.Reports`; `events` are all that were published, repetitions included."""

    events: list[Mapping[str, Any]] = field(default_factory=list)

    async def publish(self, reports: Sequence[Report], opt_outs: Sequence[OptOut]) -> None:
        """See the port."""
        self.events += [*map(describe_opt_out, opt_outs), *map(describe_report, reports)]


@dataclass(slots=True)
class InMemoryPermissions:
    """Implements `delivery.ports.Permissions`: those given by customer, and permission for all others."""

    given: dict[str, Permission] = field(default_factory=dict)

    async def find(self, triggers: Sequence[Trigger]) -> Sequence[Permission]:
        """See the port."""
        return [self.given.get(each.customer_id, Permitted(f"{each.customer_id}@mail.example")) for each in triggers]


@dataclass(slots=True)
class InMemoryTransport:
    """Implements `delivery.ports.Transport`.

    `answers` are the answers to each customer's messages, in order; then it accepts. `sent` has each message with the
    time and the answer.
    """

    clock: Callable[[], datetime]
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    sent: list[tuple[str, datetime, Answer]] = field(default_factory=list)

    async def send(self, claimed: Claimed, address: str | None) -> Answer:  # noqa: ARG002 - of the port
        """See the port."""
        left = self.answers.get(claimed.trigger.customer_id, [])
        answer = left.pop(0) if left else Settled("delivered", "smtp 250")
        self.sent.append((claimed.trigger.customer_id, self.clock(), answer))
        return answer
