"""The worker: batches flow through prepare, decide and publish; acknowledgement comes last.

    chunks > collector > prepare > decide (the batch before meanwhile) > publish (all that waits) > acknowledge

Each stage hands over through a bounded queue, so that a slow stage holds back the ones before it and in the end
the consumer. A service that is away holds the batch where it is, with backoff, visible in health. Anything
unexpected ends the process: a supervisor restarts it, and replay beats skipping.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import structlog

from campaigns.errors import (
    LedgerConflictError,
    LedgerError,
    LedgerFencedError,
    LedgerRestoredError,
    LedgerUnavailableError,
)
from campaigns.ports import Committed
from features.errors import FeaturesError, WarehouseUnavailableError
from streams.errors import HoldfastStreamError, SinkUnavailableError
from streams.poison import PoisonSearch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from campaigns.ports import Ledger, Stored
    from streams.events import Record, Reject
    from streams.health import Health
    from streams.intake import Batch
    from streams.metrics import Metrics
    from streams.pipeline import Pipeline
    from streams.ports import TriggerSink
    from streams.stages import Decided, Prepared

Result = TypeVar("Result")
PREPARED_AHEAD = 2
DECIDED_AHEAD = 4
# Under load a little later, together: a Kafka transaction costs the broker as much as hundreds of messages.
PUBLISH_EVERY_S = 0.02
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0
UNAVAILABLE = (WarehouseUnavailableError, LedgerUnavailableError, SinkUnavailableError)
# Conditions with names of their own: whatever else a batch fails with may lie in one of its records.
NAMED = (HoldfastStreamError, LedgerError, FeaturesError)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Assignment:
    """The partitions this worker has, by the group generation that gave them."""

    generation: int
    partitions: frozenset[int]


@dataclass(slots=True)
class Ownership:
    """The epochs under which partitions were claimed in one generation."""

    generation: int
    epochs: dict[int, int]


class Waiting(NamedTuple):
    """A batch that waits to be decided: the epochs before its features were read, and what was read or why not."""

    batch: Batch
    owners: dict[int, int]
    prepared: Prepared | Exception


class Worker:
    """The stages and what flows between them.

    Args:
        collect: gives the next batch of records.
        acknowledge: tells the consumer that a batch is done for good.
        assignment: tells the present assignment.
        pipeline: the decisions.
        ledger: claims partitions and knows what is unsent.
        sink: publishes the outbox.
        health: told of every retry.
        metrics: told of every batch.
    """

    def __init__(
        self,
        *,
        collect: Callable[[], Awaitable[Batch]],
        acknowledge: Callable[[Batch], None],
        assignment: Callable[[], Assignment],
        pipeline: Pipeline,
        ledger: Ledger,
        sink: TriggerSink,
        health: Health,
        metrics: Metrics,
    ) -> None:
        self._collect = collect
        self._acknowledge = acknowledge
        self._assignment = assignment
        self._pipeline = pipeline
        self._ledger = ledger
        self._sink = sink
        self._health = health
        self._metrics = metrics
        self._ownership = Ownership(-1, {})
        self._claiming = asyncio.Lock()
        self._poison = PoisonSearch()
        self._preparing: asyncio.Queue[Waiting] = asyncio.Queue(PREPARED_AHEAD)
        self._deciding: asyncio.Queue[tuple[Batch, Decided]] = asyncio.Queue(DECIDED_AHEAD)

    @property
    def queued(self) -> int:
        """The batches that wait between stages."""
        return self._preparing.qsize() + self._deciding.qsize()

    async def run(self) -> None:
        """Work until cancelled; an unexpected error in any stage ends all of them and is raised."""
        async with asyncio.TaskGroup() as stages:
            stages.create_task(self._prepare())
            stages.create_task(self._decide())
            stages.create_task(self._publish())
            stages.create_task(self._recover_idle_partitions())

    async def _prepare(self) -> None:
        while True:
            batch = await self._collect()
            self._metrics.batch_size.observe(len(batch))
            # Before features are read: a claim brings the cache generation that the former owner may have raised.
            owners = await self._own(batch) if self._is_ours(batch) else {}
            # One batch at a time, or a later one might be decided on an older row than the one before it.
            prepared = await attempt(partial(self._read_features, batch))
            await self._preparing.put(Waiting(batch, owners, prepared))

    async def _decide(self) -> None:
        while True:
            waiting = await self._preparing.get()
            decided = await attempt(partial(self._decide_while_ours, *waiting))
            if isinstance(decided, Exception):
                decided = await self._decide_without_poison(waiting, decided)
            else:
                self._poison.note_success()
            if decided is not None:
                await self._deciding.put((waiting.batch, decided))

    async def _read_features(self, batch: Batch, poison: Sequence[Reject] = ()) -> Prepared:
        return await self._patiently("warehouse", partial(self._pipeline.prepare, batch.records, poison))

    async def _decide_without_poison(self, waiting: Waiting, error: Exception) -> Decided | None:
        """Decide a batch that failed without the records with which it fails.

        Raises:
            Exception: the batch does not fail again, or one record after another fails: the fault is not in the data.
        """
        batch, owners, _ = waiting
        log.warning("batch_failed", error=repr(error), records=len(batch))
        poison = await self._poison.find(batch.records, self._rehearse)
        if not poison:
            raise error
        for reject in poison:
            record = reject.record
            place = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
            log.error("poison_isolated", detail=reject.detail, **place)
        return await self._decide_while_ours(batch, owners, await self._read_features(batch, poison))

    async def _rehearse(self, records: Sequence[Record]) -> Exception | None:
        """Return the error with which records fail."""
        try:
            return await attempt(partial(self._patiently, "ledger", partial(self._pipeline.rehearse, records)))
        except LedgerConflictError:
            # Another worker has folded a message meanwhile: the batch is decided anew in any case.
            return None

    async def _decide_while_ours(
        self, batch: Batch, owners: dict[int, int], prepared: Prepared | Exception
    ) -> Decided | None:
        """Decide a batch; None when its partitions are no longer ours.

        Raises:
            Exception: the one with which the batch could not be prepared, or whatever deciding it leads to.
        """
        if isinstance(prepared, Exception):
            raise prepared
        decide = partial(self._decide_as_owner, batch, owners, prepared)
        try:
            return await decide()
        except LedgerUnavailableError as error:
            log.warning("ledger_away", error=str(error))
            # A ledger that is read only or full answers reads: only a commit tells that it is back.
            return await self._add_unsent(batch, await self._patiently("ledger", decide))

    async def _decide_as_owner(self, batch: Batch, owners: dict[int, int], prepared: Prepared) -> Decided | None:
        """Decide a batch, again after a conflict or a new claim; None when its partitions are no longer ours.

        `owners` are the epochs before the features were read. Who claimed a partition in between may have decided on
        later features: then they are read again, or a worker that slept would undo what the other one did.
        """
        while self._is_ours(batch):
            now = await self._own(batch)
            if now != owners:
                owners, prepared = now, await self._read_features(batch, prepared.poison)
            try:
                return await self._pipeline.decide(prepared, owners)
            except LedgerConflictError:
                continue
            except LedgerFencedError:
                self._ownership.epochs.clear()
        log.info("batch_dropped", reason="partitions reassigned", records=len(batch))
        return None

    async def _add_unsent(self, batch: Batch, decided: Decided | None) -> Decided | None:
        """Add all that its partitions have unsent to a batch that may have been committed before it was decided."""
        if decided is None:
            return None
        stored = [
            each
            for p in partitions_of(batch)
            for each in await self._patiently("ledger", partial(self._ledger.unsent, p))
        ]
        committed = Committed(stored, decided.committed.cache_generation)
        return replace(decided, committed=committed)

    async def _publish(self) -> None:
        while True:
            waiting = [await self._deciding.get()]
            if not self._preparing.empty():
                await asyncio.sleep(PUBLISH_EVERY_S)
            while not self._deciding.empty():
                waiting.append(self._deciding.get_nowait())
            await self._send([each for _, decided in waiting for each in self._still_claimed(decided)])
            for batch, decided in waiting:
                if self._is_ours(batch):
                    await self._own(batch)
                    self._acknowledge(batch)
                    self._count(batch, decided)

    def _still_claimed(self, decided: Decided) -> list[Stored]:
        """Return the stored messages of partitions that have not been claimed anew since the commit.

        Every claim sends what it finds unsent, in order. Sending the rest of an earlier claim beside it could move
        the progress past a message of it that was left out, and that message would then never be sent.
        """
        if self._ownership.generation != self._assignment().generation:
            return []
        epochs, outbox = self._ownership.epochs, decided.committed.outbox
        return [each for each in outbox if epochs.get(each.message.partition) == decided.owners[each.message.partition]]

    async def _send(self, stored: Sequence[Stored]) -> None:
        if not stored:
            return
        groups = by_partition(stored)
        sent = await asyncio.gather(*(self._send_partition(partition, each) for partition, each in groups.items()))
        published = [each for group in sent for each in group]
        await self._patiently("ledger", lambda: self._ledger.mark_sent(published))

    async def _send_partition(self, partition: int, stored: Sequence[Stored]) -> Sequence[Stored]:
        """Publish messages of a partition and return them, or none when the partition is no longer ours."""
        try:
            with self._metrics.publish.time():
                await self._sink.publish(partition, stored)
        except SinkUnavailableError as error:
            log.warning("publish_failed", error=str(error), partition=partition)
            return await self._patiently("broker", lambda: self._publish_again(partition, stored))
        return stored

    async def _publish_again(self, partition: int, stored: Sequence[Stored]) -> Sequence[Stored]:
        if partition not in self._assignment().partitions:
            return []
        await self._sink.take_over(partition)
        await self._sink.publish(partition, stored)
        return stored

    async def _own(self, batch: Batch) -> dict[int, int]:
        """Return the epochs of the batch's partitions, claiming those that are not claimed in this generation."""
        for partition in partitions_of(batch):
            await self._claim(partition)
        # A claim lost to a rebalance in between gives an epoch that never was: the ledger then refuses the commit.
        return {partition: self._ownership.epochs.get(partition, -1) for partition in partitions_of(batch)}

    async def _claim(self, partition: int) -> None:
        """Take a partition over: from its former owner's commits first, then from its producer; send what it left."""
        async with self._claiming:
            generation = self._assignment().generation
            if self._ownership.generation != generation:
                self._ownership = Ownership(generation, {})
            if partition in self._ownership.epochs:
                return
            epoch = await self._patiently("ledger", lambda: self._ledger.claim(partition))
            self._pipeline.use_cache_generation(await self._patiently("ledger", self._ledger.cache_generation))
            published = await self._patiently("broker", lambda: self._sink.take_over(partition))
            await self._refuse_forgetful_ledger(partition, published)
            left = await self._patiently("ledger", lambda: self._ledger.unsent(partition))
            await self._send(left)
            self._ownership.epochs[partition] = epoch
            log.info("partition_claimed", partition=partition, epoch=epoch, left_unsent=len(left))

    async def _refuse_forgetful_ledger(self, partition: int, published: int) -> None:
        """Refuse a ledger that never gave the last sequence published: it would give it to another message.

        Raises:
            LedgerRestoredError: it is so.
        """
        given = await self._patiently("ledger", self._ledger.last_sequence)
        if published > given:
            raise LedgerRestoredError(
                f"the outbox of partition {partition} has been published up to sequence {published}, but the ledger "
                f"has given none beyond {given}, as after a restore from a backup: its next messages would be taken "
                "for published ones. Run `holdfast ledger renew`, and see docs/guarantees.md"
            )

    async def _recover_idle_partitions(self) -> None:
        """Claim assigned partitions even when no event arrives, so that what a crash left unsent goes out."""
        while True:
            for partition in sorted(self._assignment().partitions):
                await self._claim(partition)
            await asyncio.sleep(1)

    def _is_ours(self, batch: Batch) -> bool:
        assignment = self._assignment()
        current = all(chunk.generation == assignment.generation for chunk in batch.chunks)
        return current and partitions_of(batch) <= assignment.partitions

    async def _patiently(self, service: str, operation: Callable[[], Awaitable[Result]]) -> Result:
        """Repeat an operation until its service is back, with backoff, visible in health."""
        pause = FIRST_PAUSE_S
        with self._health.trying(service) as trial:
            while True:
                try:
                    return await operation()
                except UNAVAILABLE as error:
                    trial.note_failure(error)
                    log.warning("service_away", service=service, error=str(error), pause_s=pause)
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, LONGEST_PAUSE_S)

    def _count(self, batch: Batch, decided: Decided) -> None:
        metrics = self._metrics
        metrics.events.inc(decided.events)
        for reject in decided.rejects:
            metrics.dead_letters.labels(reject.reason).inc()
        published = {stored.message.message_id for stored in decided.committed.outbox}
        for decision in decided.changes.decisions:
            candidate = decision.candidate
            if f"{candidate.trigger_id}/decision" in published:
                metrics.decisions.labels(candidate.campaign.key, decision.outcome, decision.reason).inc()
                log.debug(
                    "decided",
                    trigger_id=candidate.trigger_id,
                    event_id=candidate.event_id,
                    outcome=decision.outcome,
                    reason=decision.reason,
                )
        oldest = min(record.timestamp for chunk in batch.chunks for record in chunk.records)
        metrics.latency.observe(max(0.0, datetime.now(UTC).timestamp() - oldest / 1000))


async def attempt(operation: Callable[[], Awaitable[Result]]) -> Result | Exception:
    """Return what an operation returns, or the error it ends with, unless that is a condition with a name."""
    try:
        return await operation()
    except NAMED:
        raise
    except Exception as error:  # noqa: BLE001 - the one place where anything may be wrong: the data of a record
        return error


def partitions_of(batch: Batch) -> frozenset[int]:
    """Return the input partitions of a batch; equal numbers on different topics are one partition to us."""
    return frozenset(chunk.partition for chunk in batch.chunks)


def by_partition(stored: Iterable[Stored]) -> dict[int, list[Stored]]:
    """Group messages by input partition, each group in order of sequence and each message once.

    After a commit in doubt the unsent messages of a partition hold those of batches that wait to be published.
    """
    groups: dict[int, list[Stored]] = defaultdict(list)
    for _, each in sorted({each.sequence: each for each in stored}.items()):
        groups[each.message.partition].append(each)
    return groups
