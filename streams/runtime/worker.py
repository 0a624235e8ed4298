"""The worker: batches flow through prepare, decide and publish; acknowledgement comes last.

    chunks > collector > prepare > decide (the batch before) > publish (all that waits) > mark sent, acknowledge

Stages are connected by bounded queues: a slow stage holds back the stages before it and, in the end, the consumer. A
batch that needs an unavailable service waits where it is, with backoff, and health shows it. An unexpected error ends
the process: a supervisor restarts it, and the batch is replayed instead of skipped.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import structlog

from campaigns.errors import LedgerConflictError, LedgerFencedError, LedgerUnavailableError
from campaigns.ports import Committed
from campaigns.triggers import decision_message_id
from streams.runtime.outbox_relay import OutboxRelay
from streams.runtime.partition_leases import PartitionLeases
from streams.runtime.poison_records import PoisonSearch
from streams.runtime.retry import attempt
from streams.tasks import run_together

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from campaigns.ports import Ledger, OutboxRow
    from streams.batch_state import Decided, Prepared
    from streams.formats.events import Record, Reject
    from streams.observability.metrics import Metrics
    from streams.pipeline import Pipeline
    from streams.ports import TriggerSink
    from streams.runtime.batching import Batch
    from streams.runtime.partition_leases import Assignment
    from streams.runtime.retry import RetryPolicy

PREPARED_AHEAD = 1
DECIDED_AHEAD = 4
# Not more often: a Kafka transaction costs the broker and the worker as much as hundreds of messages.
PUBLISH_EVERY_S = 0.03

log = structlog.get_logger()


class PreparedBatch(NamedTuple):
    """A batch to decide: the epochs before its features were read, and the prepared batch or the error."""

    batch: Batch
    owners: dict[int, int]
    prepared: Prepared | Exception


class Published(NamedTuple):
    """Batches whose messages the broker has acknowledged, and those messages."""

    batches: list[tuple[Batch, Decided]]
    messages: list[OutboxRow]


class Worker:
    """The stages and the queues between them.

    Args:
        collect: returns the next batch of records.
        acknowledge: lets the consumer commit a batch.
        assignment: returns the present assignment.
        pipeline: prepares and decides batches.
        ledger: holds partition epochs and the outbox.
        sink: publishes the outbox.
        retry: retries unavailable services.
        metrics: receives counts of every batch.
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
        retry: RetryPolicy,
        metrics: Metrics,
    ) -> None:
        self._collect = collect
        self._acknowledge = acknowledge
        self._assignment = assignment
        self._pipeline = pipeline
        self._ledger = ledger
        self._metrics = metrics
        self._retry = retry
        self._relay = OutboxRelay(ledger, sink, lambda p: p in assignment().partitions, self._retry, metrics)
        self._leases = PartitionLeases(
            assignment,
            ledger,
            sink,
            self._relay,
            self._retry,
            pipeline.use_cache_generation,
            pipeline.use_tombstones,
        )
        self._poison = PoisonSearch()
        self._preparing: asyncio.Queue[PreparedBatch] = asyncio.Queue(PREPARED_AHEAD)
        self._deciding: asyncio.Queue[tuple[Batch, Decided]] = asyncio.Queue(DECIDED_AHEAD)
        self._published: asyncio.Queue[Published] = asyncio.Queue(1)

    @property
    def queued(self) -> int:
        """The number of batches that wait between stages."""
        return self._preparing.qsize() + self._deciding.qsize() + self._published.qsize()

    async def run(self) -> None:
        """Run all stages until cancelled; an unexpected error in one ends all and is raised."""
        await run_together(
            self._prepare(),
            self._decide(),
            self._publish(),
            self._acknowledge_published(),
            self._leases.keep_acquiring(),
        )

    async def _prepare(self) -> None:
        while True:
            batch = await self._collect()
            self._metrics.batch_size.observe(len(batch))
            with batch.trace.step("prepare"):
                # Before features are read: the lease brings the cache generation; the former owner may have raised it.
                owners = await self._leases.acquire(partitions_of(batch)) if self._is_ours(batch) else {}
                # One batch at a time: otherwise a later batch might be decided on an older row than the one before it.
                prepared = await attempt(partial(self._read_features, batch))
            await self._preparing.put(PreparedBatch(batch, owners, prepared))

    async def _decide(self) -> None:
        while True:
            waiting = await self._preparing.get()
            with waiting.batch.trace.step("decide"):
                decided = await attempt(partial(self._decide_while_ours, *waiting))
                if isinstance(decided, Exception):
                    decided = await self._decide_without_poison(waiting, decided)
                else:
                    self._poison.note_success()
            if decided is None:
                waiting.batch.trace.end(())
            else:
                await self._deciding.put((waiting.batch, decided))

    async def _read_features(self, batch: Batch, poison: Sequence[Reject] = ()) -> Prepared:
        return await self._retry("warehouse", partial(self._pipeline.prepare, batch.records, poison))

    async def _decide_without_poison(self, waiting: PreparedBatch, error: Exception) -> Decided | None:
        """Decide a failed batch without the records that make it fail.

        Raises:
            Exception: the batch does not fail again, or too many records in a row fail: the data is not the cause.
        """
        batch, owners, _ = waiting
        log.warning("batch_failed", error=error, records=len(batch))
        poison = await self._poison.find(batch.records, self._dry_run)
        if not poison:
            raise error
        for reject in poison:
            record = reject.record
            place = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
            # Not its detail, which may quote the record; that is in the dead letter.
            log.error("poison_isolated", customer_id=_name_customer(record), **place)
        return await self._decide_while_ours(batch, owners, await self._read_features(batch, poison))

    async def _dry_run(self, records: Sequence[Record]) -> Exception | None:
        """Return the error that deciding the records raises, None without one."""
        try:
            return await attempt(partial(self._retry, "ledger", partial(self._pipeline.dry_run, records)))
        except LedgerConflictError:
            # Another worker has folded a message meanwhile: the batch is decided again in any case.
            return None

    async def _decide_while_ours(
        self, batch: Batch, owners: dict[int, int], prepared: Prepared | Exception
    ) -> Decided | None:
        """Decide a batch; None when its partitions belong to another worker.

        Raises:
            Exception: the error that preparing or deciding the batch raised.
        """
        if isinstance(prepared, Exception):
            raise prepared
        decide = partial(self._retry.after_conflicts, partial(self._decide_as_owner, batch, owners, prepared))
        try:
            return await decide()
        except LedgerUnavailableError as error:
            log.warning("ledger_unavailable", error=error)
            # A ledger that is read-only or full still answers reads: only a commit shows that it takes writes again.
            return await self._add_unsent(batch, await self._retry("ledger", decide))

    async def _decide_as_owner(self, batch: Batch, owners: dict[int, int], prepared: Prepared) -> Decided | None:
        """Decide a batch, again after a new lease; None when its partitions belong to another worker.

        `owners` are the epochs before the features were read. Another worker may have decided on newer features
        since then: they are read again, so that a worker that slept does not undo those decisions.
        """
        while self._is_ours(batch):
            now = await self._leases.acquire(partitions_of(batch))
            if now != owners:
                owners, prepared = now, await self._read_features(batch, prepared.poison)
            try:
                return await self._pipeline.decide(prepared, owners)
            except LedgerFencedError:
                self._leases.invalidate()
        log.info("batch_dropped", reason="partitions reassigned", records=len(batch))
        return None

    async def _add_unsent(self, batch: Batch, decided: Decided | None) -> Decided | None:
        """Add all unsent messages of its partitions to a batch that an earlier attempt may have committed."""
        if decided is None:
            return None
        rows = [
            each for p in partitions_of(batch) for each in await self._retry("ledger", partial(self._ledger.unsent, p))
        ]
        committed = Committed(rows, decided.committed.cache_generation)
        return replace(decided, committed=committed)

    async def _publish(self) -> None:
        clock, due = asyncio.get_running_loop().time, 0.0
        while True:
            waiting = [await self._deciding.get()]
            await asyncio.sleep(due - clock())
            due = clock() + PUBLISH_EVERY_S
            while not self._deciding.empty():
                waiting.append(self._deciding.get_nowait())
            with ExitStack() as steps:
                for batch, _ in waiting:
                    steps.enter_context(batch.trace.step("publish"))
                messages = await self._relay.publish(
                    [each for _, decided in waiting for each in self._leases.still_leased(decided)]
                )
            await self._published.put(Published(waiting, messages))

    async def _acknowledge_published(self) -> None:
        while True:
            published = await self._published.get()
            with ExitStack() as steps:
                for batch, _ in published.batches:
                    steps.enter_context(batch.trace.step("acknowledge"))
                await self._acknowledge_all(published)
            for batch, _ in published.batches:
                batch.trace.end(published.messages)

    async def _acknowledge_all(self, published: Published) -> None:
        await self._relay.mark_sent(published.messages)
        for batch, decided in published.batches:
            if self._is_ours(batch):
                await self._leases.acquire(partitions_of(batch))
                self._acknowledge(batch)
                self._count(batch, decided)

    def _is_ours(self, batch: Batch) -> bool:
        assignment = self._assignment()
        current = all(chunk.generation == assignment.generation for chunk in batch.chunks)
        return current and partitions_of(batch) <= assignment.partitions

    def _count(self, batch: Batch, decided: Decided) -> None:
        metrics = self._metrics
        metrics.events.inc(decided.events)
        for reason, count in decided.left_out.items():
            metrics.left_out.labels(reason).inc(count)
            log.warning("events_left_out", reason=reason, events=count)
        for reject in decided.rejects:
            metrics.dead_letters.labels(reject.reason).inc()
        for change in decided.changes.consent_changes:
            if not change.granted:
                trigger = "known" if change.trigger_id else "unknown"
                metrics.opt_outs.labels(change.channel, change.source, trigger).inc()
        for stop in decided.changes.stops:
            log.warning("campaign_stopped", campaign=stop.campaign, reason=stop.reason)
        published = {rows.message.message_id for rows in decided.committed.outbox}
        for decision in decided.changes.decisions:
            candidate = decision.candidate
            if decision_message_id(candidate.trigger_id) in published:
                metrics.decisions.labels(candidate.campaign.key, decision.outcome, decision.reason).inc()
                log.debug(
                    "decided",
                    trigger_id=candidate.trigger_id,
                    customer_id=candidate.customer_id,
                    outcome=decision.outcome,
                    reason=decision.reason,
                )
        oldest = min(record.timestamp for chunk in batch.chunks for record in chunk.records)
        metrics.latency.observe(max(0.0, datetime.now(UTC).timestamp() - oldest / 1000))


def _name_customer(record: Record) -> str | None:
    return None if record.key is None else record.key.decode(errors="replace")


def partitions_of(batch: Batch) -> frozenset[int]:
    """Return the input partitions of a batch; equal numbers of different topics count as one."""
    return frozenset(chunk.partition for chunk in batch.chunks)
