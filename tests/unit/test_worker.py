from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from campaigns.candidates import Definitions
from campaigns.errors import LedgerConflictError, LedgerRestoredError, LedgerUnavailableError
from features.errors import WarehouseRowError
from features.store import FeatureStore
from models.inputs import FEATURE_MAPPING
from models.registry import load_scorers
from segments.engine import Activation
from streams.decision_config import DecisionConfig
from streams.observability.health import Health
from streams.observability.metrics import Metrics
from streams.pipeline import Pipeline
from streams.runtime.batching import Batch, Chunk
from streams.runtime.partition_leases import Assignment
from streams.runtime.retry import CONFLICTS_ALLOWED, RetryPolicy
from streams.runtime.worker import Worker
from tests.builders import AS_OF, campaign, offers, segment
from tests.fakes.feature_cache import InMemoryFeatureCache
from tests.fakes.ledger import InMemoryLedger
from tests.fakes.trigger_sink import InMemoryTriggerSink
from tests.fakes.warehouse import InMemoryWarehouse
from tests.records import Arrived, arrive, body, decode_batch, feedback, outcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from campaigns.ports import BatchChanges, Committed, OutboxRow
    from features.table import FeatureTable

PARTITION = 1
RFM_COLUMNS = ("days_since_last_transaction", "transaction_count", "total_revenue")


class GatedSink(InMemoryTriggerSink):
    """A sink that publishes only while its gate is open."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.gate.set()

    async def publish(self, partition: int, stored: Sequence[OutboxRow]) -> None:
        """See the port."""
        await self.gate.wait()
        await super().publish(partition, stored)


class DoubtfulLedger(InMemoryLedger):
    """A ledger that can lose the answer to a commit it made, be read only, and be unable to store some customers."""

    def __init__(self) -> None:
        super().__init__()
        self.loses_answer = False
        self.commits = 0
        self.refused: set[str] = set()
        self.is_read_only = False
        self.refusals = 0
        self.conflicts = 0

    async def commit(self, changes: BatchChanges, *, owners: Mapping[int, int]) -> Committed:
        """See the port."""
        if self.is_read_only:
            self.refusals += 1
            raise LedgerUnavailableError("nothing can be written now")
        if self.conflicts:
            self.conflicts -= 1
            raise LedgerConflictError("folded by another worker")
        committed = await super().commit(changes, owners=owners)
        self.commits += 1
        if self.loses_answer:
            self.loses_answer = False
            raise LedgerUnavailableError("the answer was lost")
        return committed

    async def dry_run(self, changes: BatchChanges) -> None:
        """See the port."""
        if not self.refused.isdisjoint(changes.transitions_at):
            raise OverflowError(f"cannot store {self.refused}")
        await super().dry_run(changes)


class Bench:
    """A worker among fakes: `ann`, `bob` and `cy` enter a segment with their first event, and are contacted."""

    def __init__(
        self, ledger: DoubtfulLedger | None = None, *, pause_s: float = 0.001, longest_pause_s: float | None = None
    ) -> None:
        kinds: Any = {"email_consent": "boolean", **dict.fromkeys(RFM_COLUMNS, "number")}
        row = {"email_consent": True, **dict.fromkeys(RFM_COLUMNS, 5.0)}
        self.warehouse = InMemoryWarehouse(kinds, dict.fromkeys(("ann", "bob", "cy"), row))
        self.ledger = ledger or DoubtfulLedger()
        self.sink = GatedSink()
        self.health, self.metrics = Health(ready=True), Metrics()
        self.batches: asyncio.Queue[Batch] = asyncio.Queue()
        self.acknowledged: list[tuple[Batch, int]] = []
        self.work: asyncio.Task[None]
        self.assignment = Assignment(1, frozenset({PARTITION}))
        features = FeatureStore(self.warehouse, InMemoryFeatureCache(), generation=1)
        self.worker = Worker(
            collect=self.batches.get,
            acknowledge=self.acknowledge,
            assignment=lambda: self.assignment,
            pipeline=Pipeline(features, self.ledger, config(), decode=decode_batch),
            ledger=self.ledger,
            sink=self.sink,
            retry=RetryPolicy(self.health, first_pause_s=pause_s, longest_pause_s=longest_pause_s or pause_s),
            metrics=self.metrics,
        )

    def acknowledge(self, batch: Batch) -> None:
        """Note the batch, and how much was published by then."""
        self.acknowledged.append((batch, len(self.published)))

    @property
    def published(self) -> list[str]:
        """The customers on the trigger topic, in order."""
        return [each.customer_id for each in self.sink.topics.published if each.destination == "campaign_triggers"]

    def put(self, *records: Arrived, generation: int = 1) -> None:
        """Have the consumer deliver a batch."""
        chunk = Chunk(records[0].topic, PARTITION, records[0].offset, records[-1].offset + 1, records, generation)
        self.batches.put_nowait(Batch((chunk,)))

    def put_update(self, customer_id: str, generation: int = 1) -> None:
        """Have the consumer deliver a batch of one update."""
        self.put(arrive(body(customer_id=customer_id)), generation=generation)

    async def acknowledges(self, count: int) -> None:
        """Wait until so many batches are acknowledged."""
        await until(lambda: len(self.acknowledged) >= count or self.work.done())

    async def commits(self, count: int) -> None:
        """Wait until so many batches are committed."""
        await until(lambda: self.ledger.commits >= count or self.work.done())

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Let the worker work while the block lasts."""
        self.work = asyncio.create_task(self.worker.run())
        try:
            yield
        finally:
            self.work.cancel()
            with suppress(asyncio.CancelledError):
                await self.work


def config() -> DecisionConfig:
    """One segment of everybody whose first evaluation may fire, and a campaign that waits for it."""
    everybody, scorers = segment(), load_scorers(Path(), FEATURE_MAPPING, mock=True)
    activations = {everybody.key: Activation(everybody.version, AS_OF, "emit")}
    definitions = Definitions([campaign()], offers(), scorers.versions, {everybody.key: everybody.version})
    return DecisionConfig(scorers, [everybody], activations, definitions)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until the condition holds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the fakes have no events to wait for
            await asyncio.sleep(0.001)


@pytest.fixture
async def bench() -> Bench:
    """A bench with short pauses."""
    bench = Bench()
    await bench.ledger.activate(config().segments, [], at=AS_OF)
    return bench


async def test_acknowledgement_comes_after_publication(bench: Bench) -> None:
    """And after the rows are marked sent."""
    async with bench.working():
        bench.put_update("ann")
        await bench.acknowledges(1)
    assert bench.published == ["ann"]
    assert [published for _, published in bench.acknowledged] == [1]
    assert await bench.ledger.unsent(PARTITION) == []


async def test_opt_outs_wait_neither_for_the_warehouse_nor_for_the_cache(bench: Bench) -> None:
    """They are counted once, and apply to customers whom the warehouse does not know."""
    bench.warehouse.away = True
    told = outcome("unsubscribed", customer_id="gone", trigger_id=None, channel="sms")
    async with bench.working():
        for _ in range(2):
            bench.put(arrive(told))
        await bench.acknowledges(2)
    assert bench.warehouse.queries == []
    assert [each.channel for each in bench.ledger.customers["gone"].consent_changes.values()] == ["sms"]
    labels = {"channel": "sms", "source": "unsubscribed", "trigger": "unknown"}
    assert bench.metrics.registry.get_sample_value("holdfast_opt_outs_total", labels) == 1


async def test_feedback_waits_neither_for_the_warehouse_nor_for_the_cache(bench: Bench) -> None:
    bench.warehouse.away = True
    async with bench.working():
        bench.put(arrive(feedback(customer_id="gone")))
        await bench.acknowledges(1)
    assert bench.warehouse.queries == []
    assert [each.actor for each in bench.ledger.customers["gone"].feedback.values()] == ["sam"]


async def test_an_outcome_of_an_unknown_trigger_is_one_dead_letter(bench: Bench) -> None:
    """It is not counted as an event that was folded."""
    async with bench.working():
        bench.put(arrive(outcome()))
        await bench.acknowledges(1)
    assert [each.destination for each in bench.sink.topics.published] == ["dead_letters"]
    value = bench.metrics.registry.get_sample_value
    assert value("holdfast_dead_letters_total", {"reason": "unknown_trigger"}) == 1
    assert value("holdfast_events_total") == 0


async def test_nothing_is_acknowledged_while_nothing_can_be_published(bench: Bench) -> None:
    """Batches are decided ahead and wait."""
    bench.sink.gate.clear()
    async with bench.working():
        for customer_id in ("ann", "bob"):
            bench.put_update(customer_id)
        await bench.commits(2)
        assert bench.acknowledged == []
        bench.sink.gate.set()
        await bench.acknowledges(2)
    assert bench.published == ["ann", "bob"]


async def test_it_ends_though_a_client_misses_that_it_is_cancelled(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those do that call asyncio.wait_for on Python 3.11."""
    marking = asyncio.Event()

    async def mark_sent(_stored: Sequence[OutboxRow]) -> None:
        marking.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    monkeypatch.setattr(bench.ledger, "mark_sent", mark_sent)
    async with bench.working():
        bench.put_update("ann")
        await marking.wait()
    assert bench.work.cancelled()


async def test_a_batch_of_an_older_generation_is_dropped(bench: Bench) -> None:
    """Neither decided nor acknowledged: it belongs to another worker."""
    bench.assignment = Assignment(2, frozenset({PARTITION}))
    async with bench.working():
        bench.put_update("ann", generation=1)
        bench.put_update("bob", generation=2)
        await bench.acknowledges(1)
    assert [batch.chunks[0].generation for batch, _ in bench.acknowledged] == [2]
    assert "ann" not in bench.ledger.customers


async def test_a_batch_of_a_partition_that_was_lost_is_dropped(bench: Bench) -> None:
    """Even in the same generation."""
    bench.assignment = Assignment(1, frozenset())
    async with bench.working():
        bench.put_update("ann")
        await until(bench.batches.empty)
        await asyncio.sleep(0.005)
    assert (bench.acknowledged, bench.ledger.commits) == ([], 0)


async def test_what_waits_to_be_published_when_partitions_move_is_left_to_the_new_owner(bench: Bench) -> None:
    """It stays unsent in the ledger."""
    bench.sink.gate.clear()
    async with bench.working():
        bench.put_update("ann")
        await bench.commits(1)
        bench.put_update("bob")
        await bench.commits(2)
        bench.assignment = Assignment(2, frozenset())
        bench.sink.gate.set()
        await until(lambda: bench.published == ["ann"])
        await asyncio.sleep(0.005)
    assert (bench.published, bench.acknowledged) == (["ann"], [])
    assert {each.message.customer_id for each in await bench.ledger.unsent(PARTITION)} == {"bob"}


async def test_a_warehouse_that_is_away_holds_the_batch(bench: Bench) -> None:
    """Health says retrying meanwhile, and ok when it goes on."""
    bench.warehouse.away = True
    async with bench.working():
        bench.put_update("ann")
        await until(lambda: "warehouse" in bench.health.retrying)
        assert (bench.health.report()["status"], bench.health.report()["ready"]) == ("retrying", False)
        assert bench.acknowledged == []
        bench.warehouse.away = False
        await bench.acknowledges(1)
    assert bench.published == ["ann"]
    assert bench.health.report()["status"] == "ok"


async def test_a_ledger_that_is_away_holds_the_batch(bench: Bench) -> None:
    """Batches behind it wait in order."""
    async with bench.working():
        bench.put_update("ann")
        await bench.acknowledges(1)
        bench.ledger.away = True
        bench.put_update("bob")
        bench.put_update("cy")
        await until(lambda: "ledger" in bench.health.retrying)
        bench.ledger.away = False
        await bench.acknowledges(3)
    assert bench.published == ["ann", "bob", "cy"]
    assert bench.health.retrying == {}


async def test_a_ledger_that_can_only_be_read_holds_the_batch() -> None:
    """For any length of time, and visibly: answering reads does not mean that it takes writes again."""
    bench = Bench(pause_s=0)
    await bench.ledger.activate(config().segments, [], at=AS_OF)
    bench.ledger.is_read_only = True
    async with bench.working():
        bench.put_update("ann")
        await until(lambda: bench.ledger.refusals > sys.getrecursionlimit())
        assert "ledger" in bench.health.retrying
        bench.ledger.is_read_only = False
        await bench.acknowledges(1)
    assert (bench.published, bench.health.retrying) == (["ann"], {})


async def test_a_conflict_is_decided_again_and_shown_until_it_is_over(bench: Bench) -> None:
    bench.ledger.conflicts = 3
    async with bench.working():
        bench.put_update("ann")
        await until(lambda: "ledger_conflict" in bench.health.retrying)
        await bench.acknowledges(1)
    assert (bench.published, bench.health.retrying) == (["ann"], {})
    assert bench.health.failures["ledger_conflict"] == 3


async def test_pauses_between_conflicts_grow() -> None:
    bench = Bench(longest_pause_s=0.05)
    await bench.ledger.activate(config().segments, [], at=AS_OF)
    bench.ledger.conflicts = 5
    began = asyncio.get_running_loop().time()
    async with bench.working():
        bench.put_update("ann")
        await bench.acknowledges(1)
    assert asyncio.get_running_loop().time() - began >= 0.001 * (1 + 2 + 4 + 8 + 16)


async def test_a_conflict_that_never_ends_ends_the_worker(bench: Bench) -> None:
    bench.ledger.conflicts = 1000
    with pytest.RaisesGroup(pytest.RaisesExc(LedgerConflictError, match="by another worker; .* 10 attempts")):
        async with bench.working():
            bench.put_update("ann")
            await until(bench.work.done)
    assert bench.ledger.conflicts == 1000 - CONFLICTS_ALLOWED
    assert bench.acknowledged == []


async def test_a_broker_that_is_away_holds_the_batch(bench: Bench) -> None:
    """After a failure the partition is taken over before the same is published again."""
    async with bench.working():
        bench.put_update("ann")
        await bench.acknowledges(1)
        bench.sink.away = True
        bench.put_update("bob")
        await until(lambda: "broker" in bench.health.retrying)
        assert len(bench.acknowledged) == 1
        bench.sink.away = False
        await bench.acknowledges(2)
    assert bench.published == ["ann", "bob"]


async def test_a_publication_in_doubt_is_not_repeated(bench: Bench) -> None:
    """What is out already is skipped after the partition was taken over."""
    bench.sink.fails_after_publishing = True
    async with bench.working():
        bench.put_update("ann")
        await bench.acknowledges(1)
    assert bench.published == ["ann"]


async def test_a_commit_in_doubt_is_published_once(bench: Bench) -> None:
    """The ledger stored it, the worker was told that the ledger is away."""
    bench.ledger.loses_answer = True
    async with bench.working():
        bench.put_update("ann")
        await bench.acknowledges(1)
    assert bench.published == ["ann"]
    assert await bench.ledger.unsent(PARTITION) == []


async def test_a_commit_in_doubt_repeats_nothing_of_the_batches_before_it(bench: Bench) -> None:
    """They wait to be published, so the ledger has them unsent as well."""
    bench.sink.gate.clear()
    async with bench.working():
        for commits, customer_id in enumerate(("ann", "bob"), start=1):
            bench.put_update(customer_id)
            await bench.commits(commits)
        bench.ledger.loses_answer = True
        bench.put_update("cy")
        await until(lambda: bench.worker._deciding.qsize() == 2)
        bench.sink.gate.set()
        await bench.acknowledges(3)
    assert bench.published == ["ann", "bob", "cy"]


async def test_a_partition_claimed_by_another_is_claimed_back_while_it_is_ours(bench: Bench) -> None:
    """The group says whose it is; a ledger's epoch only orders the commits."""
    async with bench.working():
        bench.put_update("ann")
        await bench.acknowledges(1)
        await bench.ledger.claim(PARTITION)
        bench.put_update("bob")
        await bench.acknowledges(2)
    assert bench.ledger.epochs[PARTITION] == 3
    assert bench.published == ["ann", "bob"]


async def test_what_a_crash_left_unsent_goes_out_though_no_event_comes(bench: Bench) -> None:
    """And before anything else, without what was published already."""
    bench.sink.gate.clear()
    async with bench.working():
        for commits, customer_id in enumerate(("ann", "bob"), start=1):
            bench.put_update(customer_id)
            await bench.commits(commits)
    heir, first = Bench(bench.ledger), (await bench.ledger.unsent(PARTITION))[:2]
    heir.sink.topics.progress[PARTITION] = first[-1].sequence
    async with heir.working():
        await until(lambda: len(bench.ledger.sent) == len(bench.ledger.outbox))
    assert {each.customer_id for each in heir.sink.topics.published} == {"bob"}


async def test_an_unexpected_error_ends_the_run(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is acknowledged; a supervisor starts the process again."""

    async def fail(_: Sequence[str]) -> FeatureTable:
        raise ZeroDivisionError

    monkeypatch.setattr(bench.warehouse, "fetch", fail)
    bench.put_update("ann")
    with pytest.RaisesGroup(ZeroDivisionError):
        await asyncio.wait_for(bench.worker.run(), 10)
    assert bench.acknowledged == []


async def test_a_bad_record_among_good_ones_is_published_as_a_dead_letter(bench: Bench) -> None:
    """Then the whole batch is acknowledged, and counted."""
    bad = Arrived(key=b"k", value=b"?", offset=1)
    async with bench.working():
        bench.put(arrive(body(), offset=0), bad, arrive(body(customer_id="bob"), offset=2))
        await bench.acknowledges(1)
    (letter,) = [each for each in bench.sink.topics.published if each.destination == "dead_letters"]
    assert (letter.key, letter.value) == (b"k", b"?")
    assert sorted(bench.published) == ["ann", "bob"]
    figures = bench.metrics.registry
    assert figures.get_sample_value("holdfast_events_total") == 2
    assert figures.get_sample_value("holdfast_dead_letters_total", {"reason": "not_json"}) == 1


async def test_what_was_committed_before_a_rebalance_is_sent_by_the_next_claim(bench: Bench) -> None:
    """The partition comes back to this worker: nothing is left out, nothing overtakes."""
    bench.sink.gate.clear()
    async with bench.working():
        for customer_id in ("ann", "bob", "cy"):
            bench.put_update(customer_id)
        await bench.commits(3)
        bench.assignment = Assignment(2, frozenset({PARTITION}))
        bench.sink.gate.set()
        await until(lambda: len(bench.published) == 3)
    assert bench.published == ["ann", "bob", "cy"]
    assert not await bench.ledger.unsent(PARTITION)


async def test_a_record_that_cannot_be_decided_is_one_dead_letter_and_the_others_are_decided(bench: Bench) -> None:
    """It passed decoding, and the ledger cannot store what comes of it."""
    bench.ledger.refused = {"bob"}
    async with bench.working():
        bench.put(*(arrive(body(customer_id=each), offset=offset) for offset, each in enumerate(("ann", "bob", "cy"))))
        await bench.acknowledges(1)
    letters = [each for each in bench.sink.topics.published if each.destination == "dead_letters"]
    assert bench.published == ["ann", "cy"]
    assert [letter.key for letter in letters] == [b"bob"]
    assert dict(letters[0].headers)["holdfast_reason"] == b"undecidable"


async def test_a_record_whose_features_break_a_step_is_one_dead_letter(bench: Bench) -> None:
    """Before anything is asked of the ledger."""
    bench.warehouse.rows["bob"]["transaction_count"] = "three"
    bench.warehouse.kinds["transaction_count"] = "other"
    async with bench.working():
        bench.put(*(arrive(body(customer_id=each), offset=offset) for offset, each in enumerate(("bob", "cy"))))
        await bench.acknowledges(1)
    assert bench.published == ["cy"]


async def fetch_all_but_bob(
    fetch: Callable[[Sequence[str]], Awaitable[FeatureTable]], customer_ids: Sequence[str]
) -> FeatureTable:
    """Fetch customers, and fail on bob."""
    if "bob" in customer_ids:
        raise WarehouseRowError("division by zero")
    return await fetch(customer_ids)


async def test_a_row_that_the_warehouse_cannot_compute_is_one_dead_letter(bench: Bench) -> None:
    """The reason is in the detail; the others of the batch are decided."""
    bench.warehouse.fetch = partial(fetch_all_but_bob, bench.warehouse.fetch)  # type: ignore[method-assign]
    async with bench.working():
        bench.put(*(arrive(body(customer_id=each), offset=offset) for offset, each in enumerate(("ann", "bob", "cy"))))
        await bench.acknowledges(1)
    letters = [each for each in bench.sink.topics.published if each.destination == "dead_letters"]
    assert bench.published == ["ann", "cy"]
    assert [letter.key for letter in letters] == [b"bob"]
    assert dict(letters[0].headers)["holdfast_detail"] == (b"deciding it raises WarehouseRowError: division by zero")


async def test_a_customer_with_two_rows_costs_only_its_own_events(bench: Bench) -> None:
    """They become dead letters, also for a worker that starts with them."""
    bench.warehouse.copies = {"bob": 2}
    bench.warehouse.kinds["customer_since"] = "other"
    bench.warehouse.rows["cy"]["customer_since"] = "soon"
    async with bench.working():
        bench.put(*(arrive(body(customer_id=each), offset=offset) for offset, each in enumerate(("ann", "bob", "cy"))))
        await bench.acknowledges(1)
    letters = [each for each in bench.sink.topics.published if each.destination == "dead_letters"]
    assert bench.published == ["ann", "cy"]
    assert [dict(letter.headers)["holdfast_reason"] for letter in letters] == [b"duplicate_customer"]


async def test_an_error_that_is_not_in_the_data_ends_the_worker(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """It happens once and never in a rehearsal: nothing is known to be right, so nothing is acknowledged."""

    async def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(bench.ledger, "commit", fail)
    with pytest.RaisesGroup(ZeroDivisionError):
        async with bench.working():
            bench.put_update("ann")
            await until(bench.work.done)
    assert (bench.acknowledged, bench.published) == ([], [])


async def test_a_fault_of_every_record_ends_the_worker(bench: Bench) -> None:
    """After a few dead letters: a bad release must not empty the topics."""
    bench.ledger.refused = {"ann", "bob", "cy"}
    with pytest.RaisesGroup(OverflowError):
        async with bench.working():
            for _ in range(30):
                bench.put_update("ann")
            await until(bench.work.done)
    assert len(bench.acknowledged) <= 20


async def test_features_are_read_one_batch_after_the_other(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a later batch could be decided on an older row than the one before it."""
    reading, fetch = 0, bench.warehouse.fetch

    async def fetch_slowly(customer_ids: Sequence[str]) -> FeatureTable:
        nonlocal reading
        reading += 1
        assert reading == 1, "two batches read at once"
        await asyncio.sleep(0.005)
        reading -= 1
        return await fetch(customer_ids)

    monkeypatch.setattr(bench.warehouse, "fetch", fetch_slowly)
    async with bench.working():
        for customer_id in ("ann", "ann", "bob"):
            bench.put_update(customer_id)
        await bench.acknowledges(3)
    assert len(bench.acknowledged) == 3


async def test_a_ledger_that_forgot_what_was_published_is_refused(bench: Bench) -> None:
    """Its next messages would be taken for published ones, and be lost."""
    bench.sink.topics.progress[PARTITION] = 7
    with pytest.RaisesGroup(pytest.RaisesExc(LedgerRestoredError, match="up to sequence 7, .* none above 0")):
        async with bench.working():
            await until(bench.work.done)


TOO_SMALL = 10
"""Bytes that no trigger has room in."""


async def test_a_message_that_can_never_be_published_holds_nothing_back(bench: Bench) -> None:
    """Its dead letter goes out in its place; everything is acknowledged, counted and marked sent."""
    bench.sink.topics.limits["campaign_triggers"] = TOO_SMALL
    async with bench.working():
        bench.put_update("ann")
        bench.put_update("bob")
        await bench.acknowledges(2)
    published = [each.destination for each in bench.sink.topics.published]
    assert sorted(published) == ["dead_letters"] * 2 + ["decisions"] * 2
    assert list(await bench.ledger.unsent(PARTITION)) == []
    assert bench.metrics.unpublishable.labels("campaign_triggers")._value.get() == 2


async def test_a_crash_after_a_message_was_set_aside_publishes_its_letter_once(bench: Bench) -> None:
    """Whoever takes the partition over finds it in the ledger."""
    bench.sink.topics.limits["campaign_triggers"] = TOO_SMALL
    bench.put_update("ann")
    async with bench.working():
        await until(lambda: bool(bench.ledger.failed) or bench.work.done())
        bench.sink.away = True
    bench.sink.away = False
    heir = Bench(bench.ledger)
    heir.sink.topics = bench.sink.topics
    async with heir.working():
        heir.put_update("ann")
        await heir.acknowledges(1)
    published = [each.destination for each in heir.sink.topics.published]
    assert sorted(published) == ["dead_letters", "decisions"]


async def test_a_dead_letter_that_cannot_be_published_at_all_is_left_to_the_ledger(bench: Bench) -> None:
    bench.sink.topics.limits.update(campaign_triggers=TOO_SMALL, dead_letters=TOO_SMALL)
    async with bench.working():
        bench.put_update("ann")
        await bench.acknowledges(1)
    assert [each.destination for each in bench.sink.topics.published] == ["decisions"]
    assert list(await bench.ledger.unsent(PARTITION)) == []
    assert len(bench.ledger.letters) == 1
