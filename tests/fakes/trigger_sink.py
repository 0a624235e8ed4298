"""An in-memory trigger sink."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from campaigns.ports import Refusal
from streams.errors import SinkUnavailableError, UnpublishableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from campaigns.ports import OutboxRow
    from campaigns.triggers import Message


@dataclass
class InMemoryTopics:
    """What several sinks share, as several workers share a broker: topics, progress, and who owns a partition.

    `limits` are the most bytes of a value, by destination.
    """

    published: list[Message] = field(default_factory=list)
    progress: dict[int, int] = field(default_factory=dict)
    owners: dict[int, InMemoryTriggerSink] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)

    def ids(self) -> list[str]:
        """Return the published ids, in order."""
        return [message.message_id for message in self.published]


class InMemoryTriggerSink:
    """Implements `streams.ports.TriggerSink`.

    `away` makes every call fail; `fails_after_publishing` makes the next publication succeed but report a failure.
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
            raise SinkUnavailableError(f"another in-memory sink has acquired partition {partition}")
        done = self.topics.progress.get(partition, 0)
        fresh = [each for each in rows if each.sequence > done]
        if refusals := {each.sequence: Refusal("t", "too large") for each in fresh if self._refuses(each)}:
            raise UnpublishableError(refusals)
        self.topics.published += [each.message for each in fresh]
        self.topics.progress[partition] = max([done, *(each.sequence for each in fresh)])
        if self.fails_after_publishing:
            self.fails_after_publishing = False
            raise SinkUnavailableError("the in-memory sink lost the answer")

    def _refuses(self, row: OutboxRow) -> bool:
        limit = self.topics.limits.get(row.message.destination)
        return limit is not None and len(row.message.value or b"") > limit

    def _reach(self) -> None:
        if self.away:
            raise SinkUnavailableError("the in-memory sink is away")
