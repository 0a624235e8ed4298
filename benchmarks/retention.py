"""Measures pruning and erasure next to a worker's commits: `python -m benchmarks.retention [--rows N] [--seconds S]`.

A ledger has N rows of folded messages, nine tenths of them old, of 100,000 customers with decisions, contacts,
memberships and sent messages each. A worker's ledger reads and commits batches of 500 messages at a fixed rate. The
longest of these, read and commit together, is compared without anything next to it, while the old rows are pruned,
and while customers are erased. A batch that an erasure fences is claimed and committed again; that counts as its time.

PostgreSQL shares the machine with this process. The last line is a JSON object, with the load of the machine before.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any

import click
import numpy as np
import psycopg

from benchmarks.machine import describe
from campaigns.errors import LedgerFencedError
from campaigns.migrations import migrate
from campaigns.ports import BatchChanges
from campaigns.postgres_erasure import open_erasure
from campaigns.postgres_ledger import PostgresLedger
from campaigns.postgres_pruning import open_pruning
from campaigns.retention import RULES
from console.embedded.services import EmbeddedServices

CUSTOMERS = 100_000
BATCH = 500
BATCHES_PER_S = 10
TARGET_WAIT_MS, TARGET_ERASURE_S = 100.0, 1.0
FILL = (
    """INSERT INTO seen_event SELECT 'c' || n %% %(customers)s, 'm' || n,
       now() - CASE WHEN n <= %(old)s THEN interval '100 days' ELSE interval '1 day' END
       FROM generate_series(1, %(rows)s) n""",
    """INSERT INTO membership SELECT 'c' || n, 's' || s, 1, true, now(), NULL, 'v'
       FROM generate_series(0, %(customers)s - 1) n, generate_series(1, 3) s""",
    """INSERT INTO decision (customer_id, decision_id, campaign, segment, occasion, outcome, reason, detail, event_id,
       as_of, facts, versions) SELECT 'c' || n, gen_random_uuid(), 'k', 's', '1', 'fired', '', '', 'e', now(),
       jsonb_build_object('revenue', n), '{}' FROM generate_series(0, %(customers)s - 1) n, generate_series(1, 5)""",
    """INSERT INTO contact (customer_id, trigger_id, campaign, channel, variant, offer_id, status, decided_at)
       SELECT customer_id, decision_id, campaign, 'email', 'treatment', 1, 'reserved', as_of FROM decision""",
    """INSERT INTO outbox (customer_id, message_id, destination, partition, headers, value, sent_at)
       SELECT customer_id, decision_id::text, 'decisions', 0, '', convert_to(repeat('x', 400), 'UTF8'), now()
       FROM decision""",
    """INSERT INTO dead_letter (letter_id, stage, reason, detail, topic, key, headers, value)
       SELECT n::text, 'decode', 'not_json', '', 't', convert_to('c' || n, 'UTF8'), '',
       convert_to(repeat('y', 400), 'UTF8')
       FROM generate_series(1, 10000) n""",
)


class Batches(Thread):
    """Reads and commits batches at a fixed rate, in a thread and on an event loop of its own."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.waits: list[float] = []
        self._url, self._ended = url, Event()

    def run(self) -> None:
        """Commit until stopped."""
        asyncio.run(self._commit_all())

    def stop(self) -> None:
        """End after the present batch."""
        self._ended.set()
        self.join()

    async def _commit_all(self) -> None:
        ledger = PostgresLedger(self._url)
        await ledger.open()
        epoch, number = await ledger.claim(0), 0
        due = time.perf_counter()
        while not self._ended.is_set():
            due += 1 / BATCHES_PER_S
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            keys = [(f"c{(number * 37 + n * 13) % CUSTOMERS}", f"live-{number}-{n}") for n in range(BATCH)]
            begun = time.perf_counter()
            customers = list({customer for customer, _ in keys})
            await ledger.read(customers, keys)
            try:
                await ledger.commit(BatchChanges(message_ids=keys), owners={0: epoch})
            except LedgerFencedError:
                epoch = await ledger.claim(0)
                await ledger.tombstones()
                await ledger.commit(BatchChanges(message_ids=keys), owners={0: epoch})
            self.waits.append(time.perf_counter() - begun)
            number += 1
        await ledger.close()

    def take(self) -> dict[str, float]:
        """Return p50, p99 and the longest time of a batch since the last call, ms."""
        waits, self.waits = np.array(self.waits) * 1000, []
        return {
            "p50_ms": round(float(np.percentile(waits, 50)), 1),
            "p99_ms": round(float(np.percentile(waits, 99)), 1),
            "longest_ms": round(float(waits.max()), 1),
        }


def measure(url: str, rows: int, seconds: float, erasures: int) -> dict[str, Any]:
    """Return the times of batches in each phase, of the pruning, and of erasures."""
    migrate(url)
    with psycopg.connect(url, autocommit=True) as ledger:
        for query in FILL:
            ledger.execute(query.encode(), {"rows": rows, "old": rows * 9 // 10, "customers": CUSTOMERS})
        ledger.execute("VACUUM ANALYZE")
        ledger.execute("CHECKPOINT")
        figures: dict[str, Any] = {"rows": rows}
        batches = Batches(url)
        batches.start()
        time.sleep(2)
        batches.take() if batches.waits else None
        time.sleep(seconds)
        figures["alone"] = batches.take()
        (rule,) = (each for each in RULES if each.table == "seen_event")
        begun = time.perf_counter()
        with open_pruning(url) as pruning:
            pruned = pruning.prune(rule, datetime.now(UTC) - timedelta(days=90), lambda _done, _total: None)
        took = time.perf_counter() - begun
        figures["while_pruning"] = batches.take()
        figures |= {"pruned": pruned.rows, "pruning_s": round(took, 1), "rows_per_s": round(pruned.rows / took)}
        times = []
        for number in range(erasures):
            with open_erasure(url) as erasure:
                begun = time.perf_counter()
                erasure.erase([f"c{number * 7}"], by="benchmark", why="benchmark")
                times.append(time.perf_counter() - begun)
            time.sleep(0.1)
        figures["while_erasing"] = batches.take()
        figures["erasure_s"] = {f"p{q}": round(float(np.percentile(times, q)), 3) for q in (50, 99)}
        batches.stop()
    return figures


@click.command()
@click.option("--rows", type=int, default=11_111_112, show_default=True, help="Nine tenths of them are pruned.")
@click.option("--seconds", type=float, default=30.0, show_default=True, help="How long to measure without pruning.")
@click.option("--erasures", type=int, default=100, show_default=True)
def main(rows: int, seconds: float, erasures: int) -> None:
    """Measure, and print a JSON object."""
    load = describe()
    with tempfile.TemporaryDirectory(prefix="holdfast-") as folder, EmbeddedServices(Path(folder)) as services:
        figures = measure(services.start().ledger_url, rows, seconds, erasures)
    met = figures["while_pruning"]["longest_ms"] <= TARGET_WAIT_MS and figures["erasure_s"]["p99"] < TARGET_ERASURE_S
    click.echo(json.dumps({"machine": load, **figures, "target_met": met}))


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
