"""The ports for publishing messages, and for facts that were recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from campaigns.ports import OutboxRow


class TriggerSink(Protocol):
    """Publishes the outbox, each message once for a read_committed consumer, in order of sequence per partition."""

    async def fence(self, partition: int) -> int:
        """Fence any earlier publisher of this input partition and return the last sequence published.

        Raises:
            SinkUnavailableError: the broker cannot be reached now.
        """

    async def publish(self, partition: int, rows: Sequence[OutboxRow]) -> None:
        """Publish messages of one input partition; those already published are skipped.

        Returns when the broker has acknowledged all of them.

        Raises:
            SinkUnavailableError: it is unknown what was published; acquire the partition, then publish the same again.
            UnpublishableError: a topic can never accept the messages it names; the partition is still acquired. Publish
                again without them: what was published before the first of them is skipped.
        """


class FactRecords(Protocol):
    """The facts that were recorded with decisions."""

    async def find(self, events: Sequence[tuple[str, str]]) -> Mapping[str, Mapping[str, Any]]:
        """Return the facts recorded at events, by customer; each event is a customer's id and its own."""
