"""A worker that publishes without transactions, to measure what they cost. Never for production.

After a crash it would publish some messages twice: nothing fences its predecessor, and no progress is kept.
"""

from __future__ import annotations

import asyncio
import runpy
from typing import TYPE_CHECKING

from confluent_kafka import Producer

from benchmarks.errors import BenchmarkError
from streams import services
from streams.kafka.connection import describe_connection
from streams.topic_descriptions import MAX_MESSAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AsyncExitStack

    from campaigns.ports import OutboxRow
    from campaigns.postgres_ledger import PostgresLedger
    from streams.settings import Settings

COMMAND = ("-m", "benchmarks.unsafe_worker")
FLUSH_S = 30.0


class PlainSink:
    """A TriggerSink with one ordinary producer."""

    def __init__(self, properties: Mapping[str, str | int], topics: Mapping[str, str]) -> None:
        self._producer = Producer(dict(properties))
        self._topics = topics

    async def fence(self, _partition: int) -> int:
        """Nothing is fenced, and nothing is known of what was published."""
        return 0

    async def publish(self, _partition: int, rows: Sequence[OutboxRow]) -> None:
        """Publish all rows."""
        await asyncio.to_thread(self._publish, rows)

    def _publish(self, rows: Sequence[OutboxRow]) -> None:
        for row in rows:
            message = row.message
            headers: list[tuple[str, str | bytes | None]] = list(message.headers)
            topic = self._topics[message.destination]
            self._producer.produce(topic, key=message.key, value=message.value, headers=headers)
        if left := self._producer.flush(FLUSH_S):
            raise BenchmarkError(f"{left} messages are not acknowledged after {FLUSH_S:g} s")


async def open_plain_sink(settings: Settings, _stack: AsyncExitStack, _ledger: PostgresLedger) -> PlainSink:
    """Return the sink, with the options of the transactional one that do not concern transactions."""
    options = {"linger.ms": 2, "message.max.bytes": MAX_MESSAGE_BYTES, "partitioner": settings.partitioner}
    return PlainSink({**describe_connection(settings), **options, "acks": "all"}, settings.output_topics)


if __name__ == "__main__":
    # The composition root offers no such sink, and should not.
    vars(services)["open_sink"] = open_plain_sink
    runpy.run_module("streams", run_name="__main__")
