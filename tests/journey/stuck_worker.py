"""A worker that gets stuck in one of the ways of WAYS; the journeys start it as a process.

Argument: the way. The product is unchanged: this module replaces a class in the composition root.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from typing import TYPE_CHECKING, Any

import streams.__main__
import streams.kafka.app
import streams.services
from streams.kafka.consumer import ChunkConsumer, ChunkTransport
from streams.runtime.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable


class ForgetfulWorker(Worker):
    """A worker that omits the n-th acknowledgement, for the numbers in `forgotten`."""

    forgotten: Any = ()

    def __init__(self, *, acknowledge: Callable[[Any], None], **named: Any) -> None:
        numbers = itertools.count()

        def forget(batch: Any) -> None:
            if next(numbers) not in self.forgotten:
                acknowledge(batch)

        super().__init__(acknowledge=forget, **named)


class AbsentConsumer(ChunkConsumer):
    """A consumer that fetches nothing, and so does not see the end offsets of its partitions either."""

    async def _drain_once(self) -> None:
        await asyncio.sleep(1)


def forget_all() -> None:
    """Acknowledge nothing."""
    ForgetfulWorker.forgotten = range(1_000_000)
    streams.services.Worker = ForgetfulWorker  # type: ignore[misc]


def forget_one() -> None:
    """Acknowledge everything but the first batch."""
    ForgetfulWorker.forgotten = (0,)
    streams.services.Worker = ForgetfulWorker  # type: ignore[misc]


def fetch_nothing() -> None:
    """Join the group without fetching."""
    ChunkTransport.Consumer = AbsentConsumer


WAYS = {"acknowledges nothing": forget_all, "forgets one batch": forget_one, "fetches nothing": fetch_nothing}


if __name__ == "__main__":
    WAYS[sys.argv[1]]()
    streams.__main__.run()
