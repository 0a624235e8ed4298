"""The lag monitor: polls the consumer, and the broker and the ledger for what the consumer cannot know."""

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
from streams.observability.open_transactions import describe_open, find_open
from streams.tasks import run_together

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from faust.types import TP

    from streams.observability.health import Health
    from streams.observability.liveness import GroupState, Observation
    from streams.observability.open_transactions import OpenTransaction

OBSERVE_EVERY_S = 1.0
POLL_EVERY_S = 5.0
ANSWER_S = 10.0

log = structlog.get_logger()
_log = logging.getLogger("librdkafka")


class KafkaEnds:
    """The first and the end offsets of partitions, by a client of its own: a consumer that fetches nothing sees no end.

    Args:
        connection: librdkafka properties that reach the broker.
        answer_s: the longest wait for an answer.
    """

    def __init__(self, connection: Mapping[str, str], *, answer_s: float = ANSWER_S) -> None:
        self._answer_s = answer_s
        self._admin = AdminClient(dict(connection), logger=_log)

    async def find(self, places: Iterable[TP]) -> dict[TP, Progress]:
        """Return the first offset and both ends of each partition.

        Raises:
            BrokerUnavailableError: the broker does not answer.
        """
        wanted = list(places)
        begins = await self._ask(wanted, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
        ends = await self._ask(wanted, OffsetSpec.latest())  # type: ignore[no-untyped-call]
        written = await self._ask(wanted, OffsetSpec.latest(), IsolationLevel.READ_UNCOMMITTED)  # type: ignore[no-untyped-call]
        return {place: Progress(*each) for place, *each in zip(wanted, begins, ends, written, strict=True)}

    async def _ask(
        self, places: list[TP], spec: OffsetSpec, isolation: IsolationLevel = IsolationLevel.READ_COMMITTED
    ) -> list[int]:
        if not places:
            return []
        asked = self._admin.list_offsets(
            {TopicPartition(place.topic, place.partition): spec for place in places},
            isolation_level=isolation,
            request_timeout=self._answer_s,
        )
        try:
            answers = await asyncio.gather(*map(asyncio.wrap_future, asked.values()))
        except KafkaException as error:
            reason = f"the broker did not return end offsets: {error.args[0].str()}"
            raise BrokerUnavailableError(reason) from error
        return [answer.offset for answer in answers]


class LagMonitor:
    """Observes the consumer every second and polls broker and ledger every five.

    Args:
        poll: returns what the consumer knows of its group.
        ends: reads offsets from the broker.
        count_unsent: returns the number of unpublished messages by partition, from the ledger.
        health: receives every failed poll.
        stuck_after_s: the longest time without a commit while there is lag.

    Attributes:
        unsent: unpublished messages by partition.
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
        self._open: Mapping[TP, OpenTransaction] = {}
        self.unsent: Mapping[int, int] = {}

    async def run(self) -> None:
        """Monitor until cancelled."""
        await run_together(
            self._keep_observing(),
            self._keep_polling("broker", self._poll_broker),
            self._keep_polling("ledger", self._poll_ledger),
        )

    def observe(self) -> Observation:
        """Observe the consumer once and return all observations so far."""
        group = self._poll()
        progress = {place: complete(each, self._known.get(place)) for place, each in group.progress.items()}
        self._seen = observe(
            self._seen,
            replace(group, progress=progress),
            now=self._health.clock(),
            excused=bool(self._health.retrying),
        )
        return self._seen

    @property
    def lag(self) -> float:
        """The events of this worker's partitions that are not yet committed."""
        return sum(each.lag or 0 for each in self.observe().group.progress.values())

    def find_stuck(self) -> list[str]:
        """Return a sentence for each partition that has not moved for too long."""
        return find_stuck(self.observe(), self._stuck_after_s)

    def open_transactions(self) -> dict[TP, float]:
        """Return for how many seconds each partition has waited for an open transaction."""
        now = self._health.clock()
        return {place: now - each.since for place, each in self._open.items()}

    def describe_open_transactions(self) -> list[str]:
        """Return a sentence for each partition that has waited for an open transaction for long."""
        return describe_open(self._open, self._health.clock())

    async def _keep_observing(self) -> None:
        while True:
            self.observe()
            await asyncio.sleep(OBSERVE_EVERY_S)

    async def _keep_polling(self, service: str, poll: Callable[[], Awaitable[None]]) -> None:
        with self._health.trying(service) as attempt:
            while True:
                failure = await _find_failure(poll)
                if failure:
                    attempt.note_failure(failure)
                    log.warning("service_unavailable", service=service, error=failure)
                else:
                    attempt.note_success()
                await asyncio.sleep(POLL_EVERY_S)

    async def _poll_broker(self) -> None:
        self._known = await self._ends.find(self._poll().progress)
        self._open = find_open(self._open, self._known, now=self._health.clock())

    async def _poll_ledger(self) -> None:
        partitions = {place.partition for place in self._poll().progress}
        self.unsent = await self._count_unsent(sorted(partitions))


async def _find_failure(poll: Callable[[], Awaitable[None]]) -> str:
    """Poll once and return why it failed; empty when it did not."""
    try:
        async with asyncio.timeout(ANSWER_S):
            await poll()
    except (BrokerUnavailableError, LedgerUnavailableError) as error:
        return str(error)
    except TimeoutError:
        return f"no answer within {ANSWER_S:g} s"
    return ""


def complete(progress: Progress, known: Progress | None) -> Progress:
    """Combine what the broker and the consumer know of a partition."""
    if known is None:
        return progress
    ends = [each.end for each in (progress, known) if each.end is not None]
    return Progress(known.committed if progress.committed is None else progress.committed, max(ends, default=None))
