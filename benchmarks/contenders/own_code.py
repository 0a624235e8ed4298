"""Holdfast's own code: the pipeline over the in-memory stores of tests/fakes, in one process, on one core.

The argument is the number of events. The CPU time of the stores is reported separately: they stand for the work of
PostgreSQL, Redis and their clients. Reading from Kafka, publishing and acknowledging are left out.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import uvloop

from benchmarks.contenders.stopwatch import Stopwatch
from benchmarks.place import MODELS
from benchmarks.workload import PARTITIONS, Size, draw_events, draw_rows, first_events, write_definitions
from campaigns.definition import load_definitions
from features.store import FeatureStore
from models.inputs import FEATURE_MAPPING
from models.registry import load_scorers
from streams.activation import activate
from streams.pipeline import Pipeline
from streams.runtime.batching import BATCH_EVENTS
from streams.runtime.memory import freeze_memory
from tests.fakes.feature_cache import InMemoryFeatureCache
from tests.fakes.ledger import InMemoryLedger
from tests.fakes.warehouse import InMemoryWarehouse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

    from benchmarks.workload import Addressed
    from features.table import FeatureTable
    from models.live_drift import LiveDrift

WARM = 20_000


class Record(NamedTuple):
    """A Kafka record."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


class RestlessWarehouse(InMemoryWarehouse):
    """Returns a new `activity` for every customer at each read, as the view of the whole job does."""

    def __init__(self, size: Size) -> None:
        rows = draw_rows(size)
        kinds: Any = {name: _kind(value) for name, value in next(iter(rows.values())).items() if name != "customer_id"}
        super().__init__(kinds, rows)
        self._draw = np.random.default_rng(size.seed)

    async def fetch(self, customer_ids: Sequence[str]) -> FeatureTable:
        """Return rows that differ from those before."""
        drawn = self._draw.random(len(customer_ids)) * 1000
        for customer_id, activity in zip(customer_ids, drawn.tolist(), strict=True):
            self.rows[customer_id]["activity"] = activity
        self.queries.clear()
        return await super().fetch(customer_ids)


class Timed:
    """A store whose calls are timed. No call waits, so the elapsed time is the store's own work."""

    def __init__(self, store: object) -> None:
        self._store = store
        self.seconds = 0.0

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        call = getattr(self._store, name)

        async def timed(*arguments: Any, **named: Any) -> Any:
            began = time.process_time()
            try:
                return await call(*arguments, **named)
            finally:
                self.seconds += time.process_time() - began

        return timed


async def run(events: int) -> None:
    """Decide this many events and print the figures."""
    size = Size(events=events)
    stores = {"warehouse": Timed(RestlessWarehouse(size)), "cache": Timed(InMemoryFeatureCache())}
    ledger = Timed(InMemoryLedger())
    pipeline = await build_pipeline(size, stores["warehouse"], stores["cache"], ledger)
    for batch in batches(first_events(size)):
        await decide(pipeline, batch)
    waiting = list(batches(draw_events(size)))
    freeze_memory()
    watch, every, at_start, counted = Stopwatch(size.total, WARM), [*stores.values(), ledger], 0.0, 0
    for batch in waiting:
        await decide(pipeline, batch)
        watch.note(len(batch))
        counted += len(batch)
        if counted <= WARM:
            at_start = sum(each.seconds for each in every)
    spent = sum(each.seconds for each in every) - at_start
    watch.report(stores_cpu_s_per_million=spent / (size.total - WARM) * 1e6)


async def build_pipeline(
    size: Size, warehouse: Any, cache: Any, ledger: Any, drift: LiveDrift | None = None
) -> Pipeline:
    """Return the pipeline over these stores, with the shipped models and the definitions of the benchmark."""
    with tempfile.TemporaryDirectory() as folder:
        definitions = load_definitions(write_definitions(Path(folder) / "definitions", size))
    knowledge = await activate(ledger, load_scorers(MODELS, FEATURE_MAPPING), definitions)
    return Pipeline(FeatureStore(warehouse, cache), ledger, knowledge, drift=drift)


async def decide(pipeline: Pipeline, batch: Sequence[Record]) -> None:
    """Process a batch as the worker does, up to and including the commit."""
    await pipeline.decide(await pipeline.prepare(batch), {})


def batches(events: Iterable[Addressed]) -> Iterator[list[Record]]:
    """Yield batches as the worker gets them: one partition per batch, in the order in which the batches fill up."""
    open_ones: dict[tuple[str, int], list[Record]] = defaultdict(list)
    for number, (topic, key, value) in enumerate(events):
        partition = int(key[1:]) % PARTITIONS
        open_one = open_ones[topic, partition]
        open_one.append(Record(topic, partition, number, 1_306_886_400_000 + number, key, value))
        if len(open_one) == BATCH_EVENTS:
            yield open_ones.pop((topic, partition))
    yield from open_ones.values()


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else "other"


if __name__ == "__main__":
    uvloop.run(run(int(sys.argv[4])))
