"""The cost of an event is counted, not timed, so that no change makes the hot path more expensive unnoticed.

A package above its budget fails, and `python -m benchmarks.counts <package>` shows which functions cost more. If the
cost is worth it, take the budgets from `python -m benchmarks.counts` in the same commit, so that a reviewer sees it.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from functools import cache
from typing import TYPE_CHECKING

import pytest

from benchmarks.contenders.own_code import RestlessWarehouse, batches, build_pipeline, decide
from benchmarks.counts import PACKAGES, SIZE, count, count_work, warm_pipeline
from benchmarks.workload import Size, draw_events, first_events
from tests.fakes.feature_cache import InMemoryFeatureCache
from tests.fakes.ledger import InMemoryLedger
from tests.fakes.warehouse import InMemoryWarehouse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.counts import Counts
    from campaigns.ports import BatchChanges, Committed
    from features.table import FeatureTable

# Calls and instructions for an event: what `python -m benchmarks.counts` prints.
BUDGETS = {
    "streams": (10.86, 178.0),
    "features": (2.18, 47.0),
    "models": (10.38, 61.1),
    "segments": (4.81, 59.6),
    "campaigns": (3.34, 47.1),
}
COUNTED_ON = (3, 11)
TOLERANCE = 1.10
KEPT_BLOCKS = 150
"""Between the looks at the memory are 22,000 events; some blocks are what the ledger in memory still learns."""

only_the_version_counted = pytest.mark.skipif(
    sys.version_info[:2] != COUNTED_ON, reason=f"the budgets hold for Python {COUNTED_ON[0]}.{COUNTED_ON[1]}"
)


@pytest.fixture(scope="module")
def counts() -> Counts:
    """What the work measured takes."""
    return asyncio.run(count_work())


@only_the_version_counted
@pytest.mark.parametrize("package", PACKAGES)
def test_an_event_costs_a_package_no_more_than_its_budget(counts: Counts, package: str) -> None:
    for what, found, budget in zip(("calls", "instructions"), counts.of(package), BUDGETS[package], strict=True):
        assert found / SIZE.total <= budget * TOLERANCE, (
            f"{package} takes {found / SIZE.total:.2f} {what} for an event, its budget is {budget}. "
            f"`python -m benchmarks.counts {package}` shows which functions; if the cost is worth it, raise the budget"
        )


@cache
def count_batch(events: int, *, rules: int = 100, entering: float = 66.0) -> Counts:
    """Count a batch of so many events, each of another customer."""
    size = Size(customers=4000, rules=rules, entering=entering)

    async def run() -> Counts:
        return await count(await warm_pipeline(size), [next(batches(first_events(size)))[:events]])

    return asyncio.run(run())


def total(counts: Counts) -> int:
    return sum(sum(counts.of(package)) for package in PACKAGES)


def test_twice_the_events_take_at_most_twice_the_work() -> None:
    assert total(count_batch(1000)) <= 2 * total(count_batch(500))


def evaluation(counts: Counts) -> list[int]:
    """Return what the evaluation of rules takes, without the memberships that come of it."""
    return [sum(both) for both in zip(counts.of("segments.expression"), counts.of("segments.vectorized"), strict=True)]


def test_a_rule_takes_the_same_work_whatever_the_number_of_customers() -> None:
    added = []
    for events in (100, 1000):
        few, many = (evaluation(count_batch(events, rules=rules, entering=0)) for rules in (100, 200))
        added.append([after - before for before, after in zip(few, many, strict=True)])
    assert added[0] == added[1]


def test_more_rules_take_no_work_outside_the_segments() -> None:
    few, many = (count_batch(1000, rules=rules, entering=0) for rules in (100, 200))
    for package in set(PACKAGES) - {"segments"}:
        assert many.of(package) == few.of(package)


class SwingingWarehouse(RestlessWarehouse):
    """Lets every customer enter a segment that a campaign waits for at each second read, and leave it at the next."""

    async def fetch(self, customer_ids: Sequence[str]) -> FeatureTable:
        """Return the rows with an `activity` that is in no segment, or in one."""
        for customer_id in customer_ids:
            row = self.rows[customer_id]
            row["activity"] = 1.0 if row["activity"] == 999 else 999.0
        self.queries.clear()
        return await InMemoryWarehouse.fetch(self, customer_ids)


class ForgetfulLedger(InMemoryLedger):
    """Keeps no history, only what the next batch needs."""

    async def commit(self, changes: BatchChanges, *, owners: Mapping[int, int]) -> Committed:
        """Commit, and forget decisions, messages and contacts."""
        committed = await super().commit(changes, owners=owners)
        self.outbox.clear()
        for customer in self.customers.values():
            for kept in (customer.decisions, customer.contacts, customer.seen):
                kept.clear()
        return committed


async def watch_memory(size: Size, passes: int) -> list[int]:
    """Decide the same work again and again, and return how many blocks of memory are in use after each pass."""
    pipeline = await build_pipeline(size, SwingingWarehouse(size), InMemoryFeatureCache(), ForgetfulLedger())
    work, blocks = list(batches(draw_events(size))), []
    for _ in range(passes):
        for batch in work:
            await decide(pipeline, batch)
        gc.collect()
        blocks.append(sys.getallocatedblocks())
    return blocks


def test_deciding_keeps_no_memory() -> None:
    size = Size(events=5000, customers=300)
    blocks = asyncio.run(watch_memory(size, passes=8))
    assert blocks[7] - blocks[3] < KEPT_BLOCKS
