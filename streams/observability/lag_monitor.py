"""The watch over a worker: it looks at the consumer, and asks broker and ledger what the consumer cannot know."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog
from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec  # where its types say it is

from campaigns.errors import LedgerUnavailableError
from streams.errors import BrokerUnavailableError
from streams.observability.liveness import Progress, begin, find_stuck, observe
from streams.tasks import run_together

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from faust.types import TP

    from streams.observability.health import Health
    from streams.observability.liveness import GroupState, Observation

LOOK_S = 1.0
ASK_S = 5.0
ANSWER_S = 10.0

log = structlog.get_logger()
_log = logging.getLogger("librdkafka")


class KafkaEnds:
    """Where partitions begin and end, asked by a client of its own: one that fetches nothing sees no end.

    Args:
        connection: librdkafka properties that reach the broker.
    """

    def __init__(self, connection: Mapping[str, str]) -> None:
        self._admin = AdminClient(dict(connection), logger=_log)

    async def find(self, places: Iterable[TP]) -> dict[TP, Progress]:
        """Return the first offset and the end of each partition, as a read_committed consumer sees them.

        Raises:
            BrokerUnavailableError: the broker does not answer.
        """
        wanted = list(places)
        begins = await self._ask(wanted, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
        ends = await self._ask(wanted, OffsetSpec.latest())  # type: ignore[no-untyped-call]
        return {place: Progress(first, end) for place, first, end in zip(wanted, begins, ends, strict=True)}

    async def _ask(self, places: list[TP], spec: OffsetSpec) -> list[int]:
        if not places:
            return []
        asked = self._admin.list_offsets(
            {TopicPartition(place.topic, place.partition): spec for place in places},
            isolation_level=IsolationLevel.READ_COMMITTED,
            request_timeout=ANSWER_S,
        )
        try:
            answers = await asyncio.gather(*map(asyncio.wrap_future, asked.values()))
        except KafkaException as error:
            reason = f"the broker does not tell where partitions end: {error.args[0].str()}"
            raise BrokerUnavailableError(reason) from error
        return [answer.offset for answer in answers]


class LagMonitor:
    """Looks every second, asks every five, and keeps what it learned.

    Args:
        look: tells what the consumer knows of its group.
        ends: asks the broker.
        count_unsent: asks the ledger how many messages of some partitions are not published.
        health: told what does not answer.
        stuck_after_s: how long lag may stand still.

    Attributes:
        unsent: messages not published yet, by partition.
    """

    def __init__(
        self,
        *,
        poll: Callable[[], GroupState],
        ends: KafkaEnds,
        count_unsent: Callable[[Iterable[int]], Awaitable[Mapping[int, int]]],
        health: Health,
        stuck_after_s: float,
    ) -> None:
        self._poll = poll
        self._ends = ends
        self._count_unsent = count_unsent
        self._health = health
        self._stuck_after_s = stuck_after_s
        self._known: Mapping[TP, Progress] = {}
        self._seen = begin(health.clock())
        self.unsent: Mapping[int, int] = {}

    async def run(self) -> None:
        """Watch until cancelled."""
        await run_together(
            self._keep_looking(),
            self._keep_asking("broker", self._ask_broker),
            self._keep_asking("ledger", self._ask_ledger),
        )

    def observe(self) -> Observation:
        """Look, and return what is known by now."""
        group = self._poll()
        progress = {place: complete(each, self._known.get(place)) for place, each in group.progress.items()}
        self._seen = observe(
            self._seen,
            replace(group, progress=progress),
            now=self._health.clock(),
            excused=bool(self._health.retrying),
        )
        return self._seen

    def find_stuck(self) -> list[str]:
        """Return in words what has not moved for too long."""
        return find_stuck(self.observe(), self._stuck_after_s)

    async def _keep_looking(self) -> None:
        while True:
            self.observe()
            await asyncio.sleep(LOOK_S)

    async def _keep_asking(self, service: str, ask: Callable[[], Awaitable[None]]) -> None:
        with self._health.trying(service) as attempt:
            while True:
                failure = await _find_failure(ask)
                if failure:
                    attempt.note_failure(failure)
                    log.warning("service_away", service=service, error=failure)
                else:
                    attempt.note_success()
                await asyncio.sleep(ASK_S)

    async def _ask_broker(self) -> None:
        self._known = await self._ends.find(self._poll().progress)

    async def _ask_ledger(self) -> None:
        partitions = {place.partition for place in self._poll().progress}
        self.unsent = await self._count_unsent(sorted(partitions))


async def _find_failure(ask: Callable[[], Awaitable[None]]) -> str:
    """Ask, and return in words why there was no answer, or nothing."""
    try:
        async with asyncio.timeout(ANSWER_S):
            await ask()
    except (BrokerUnavailableError, LedgerUnavailableError) as error:
        return str(error)
    except TimeoutError:
        return f"no answer within {ANSWER_S:g} s"
    return ""


def complete(progress: Progress, known: Progress | None) -> Progress:
    """Add what the broker knows of a partition to what the consumer knows."""
    if known is None:
        return progress
    ends = [each.end for each in (progress, known) if each.end is not None]
    return Progress(known.committed if progress.committed is None else progress.committed, max(ends, default=None))
