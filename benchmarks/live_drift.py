"""Measures what live drift costs in the stream: `python -m benchmarks.live_drift [--events N]`.

The pipeline over in-memory stores, as in benchmarks/contenders/own_code.py, with the shipped models: the CPU time of
the counting next to that of all own code, in one run. Reading from Kafka, the stores and publishing are not counted, so
the share in a worker is smaller. Then once more with batches of one event, as on an idle system.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import click
import uvloop

from benchmarks.contenders.own_code import RestlessWarehouse, Timed, batches, build_pipeline, decide
from benchmarks.place import MODELS
from benchmarks.workload import Size, draw_events, first_events
from models.live_drift import LiveDrift
from streams.runtime.memory import freeze_memory
from tests.fakes.feature_cache import InMemoryFeatureCache
from tests.fakes.ledger import InMemoryLedger

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.contenders.own_code import Record

TARGET = 0.01
SINGLE = 5_000


class TimedDrift(LiveDrift):
    """Adds up the CPU time of its counting."""

    seconds = 0.0

    def note(self, *arguments: Any) -> None:
        """Count, and take the time."""
        began = time.process_time()
        super().note(*arguments)
        self.seconds += time.process_time() - began


async def measure(size: Size, work: Iterable[Sequence[Record]]) -> dict[str, float]:
    """Return the microseconds of CPU for each event, of all own code and of the drift, and their ratio."""
    stores = [Timed(RestlessWarehouse(size)), Timed(InMemoryFeatureCache()), Timed(InMemoryLedger())]
    drift = TimedDrift(MODELS, lambda *_: None)
    pipeline = await build_pipeline(size, *stores, drift)
    for batch in batches(first_events(size)):
        await decide(pipeline, batch)
    waiting = list(work)
    freeze_memory()
    in_stores, drift.seconds, began = sum(each.seconds for each in stores), 0.0, time.process_time()
    for batch in waiting:
        await decide(pipeline, batch)
    own = time.process_time() - began - sum(each.seconds for each in stores) + in_stores
    events = sum(map(len, waiting))
    spent = {"own_us_per_event": 1e6 * own / events, "drift_us_per_event": 1e6 * drift.seconds / events}
    return {name: round(value, 3) for name, value in spent.items()} | {"share": round(drift.seconds / own, 4)}


@click.command()
@click.option("--events", default=200_000, show_default=True, help="Customer updates in full batches.")
def main(events: int) -> None:
    """Print the figures as JSON."""
    size = Size(events=events)
    single = ([record] for batch in batches(draw_events(Size(events=SINGLE))) for record in batch)
    result = {
        "full_batches": uvloop.run(measure(size, batches(draw_events(size)))),
        "single_events": uvloop.run(measure(Size(events=SINGLE), single)),
        "target_share": TARGET,
    }
    click.echo(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
