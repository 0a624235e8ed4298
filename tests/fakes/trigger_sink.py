"""A sink in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from streams.errors import SinkUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from campaigns.ports import OutboxRow
    from campaigns.triggers import Message


@dataclass
class InMemoryTopics:
    """What several sinks share, as several workers share a broker: topics, progress, and who owns a partition."""

    published: list[Message] = field(default_factory=list)
    progress: dict[int, int] = field(default_factory=dict)
    owners: dict[int, InMemoryTriggerSink] = field(default_factory=dict)

    def ids(self) -> list[str]:
        """Return the ids published, in order."""
        return [message.message_id for message in self.published]


class InMemoryTriggerSink:
    """Implements `streams.ports.TriggerSink`.

    `away` makes every call fail; `fails_after_publishing` makes the next publication succeed and say that it failed.
    """

    def __init__(self, topics: InMemoryTopics | None = None) -> None:
        self.topics = topics or InMemoryTopics()
        self.away = False
        self.fails_after_publishing = False

    async def fence(self, partition: int) -> int:
        """See the port."""
        self._reach()
        self.topics.owners[partition] = self
        return self.topics.progress.get(partition, 0)

    async def publish(self, partition: int, rows: Sequence[OutboxRow]) -> None:
        """See the port."""
        self._reach()
        if self.topics.owners.get(partition) is not self:
            raise SinkUnavailableError(f"another sink in memory has taken partition {partition} over")
        done = self.topics.progress.get(partition, 0)
        fresh = [each for each in rows if each.sequence > done]
        self.topics.published += [each.message for each in fresh]
        self.topics.progress[partition] = max([done, *(each.sequence for each in fresh)])
        if self.fails_after_publishing:
            self.fails_after_publishing = False
            raise SinkUnavailableError("the sink in memory lost the answer")

    def _reach(self) -> None:
        if self.away:
            raise SinkUnavailableError("the sink in memory is away")
