"""Closes the connections of aiokafka's consumers, also where its own `stop` leaves them open.

`stop` waits for the broker to let the member leave the group. And it ends with a cancellation, before it closes the
connections, when it cancels a fetch that has failed and waits to be retried: `Fetcher.close` of aiokafka 0.14.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from streams.tasks import end

if TYPE_CHECKING:
    from collections.abc import Iterator


async def disconnect(consumer: Any) -> None:
    """End the tasks of a consumer and close its connections; no request is sent.

    Args:
        consumer: an AIOKafkaConsumer, whether it has started, failed to, or stopped.
    """
    consumer._closed = True  # noqa: SLF001 - else it is reported as unclosed when it is collected
    await end(_find_tasks(consumer))
    if consumer._fetcher is not None:  # noqa: SLF001
        consumer._fetcher._pending_tasks.clear()  # noqa: SLF001 - it would wait for the cancelled ones
        await consumer._fetcher.close()  # noqa: SLF001 - wakes those that wait for records
    await consumer._client.close()  # noqa: SLF001


def _find_tasks(consumer: Any) -> Iterator[asyncio.Task[Any]]:
    """Yield the tasks of the fetcher and of the coordinator; a consumer that failed to start has neither."""
    fetcher, coordinator = consumer._fetcher, consumer._coordinator  # noqa: SLF001
    for part in (fetcher, coordinator):
        yield from (each for each in vars(part).values() if isinstance(each, asyncio.Task)) if part else ()
    yield from fetcher._pending_tasks if fetcher else ()  # noqa: SLF001
