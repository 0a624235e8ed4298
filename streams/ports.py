"""The port for publishing messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

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
