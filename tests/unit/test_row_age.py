"""Rows older than their events: read again within a bound, then marked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from features.row_age import RowAge, replace_rows
from features.store import FeatureStore
from features.table import FeatureTable
from features.times import STALE
from tests.fakes.feature_cache import InMemoryFeatureCache
from tests.fakes.warehouse import InMemoryWarehouse

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
KINDS: Any = {"spend": "number", "updated_at": "other", "vip": "boolean"}


class Replica(InMemoryWarehouse):
    """A replica whose rows change after so many reads."""

    def __init__(self, rows: dict[str, dict[str, Any]], later: dict[int, dict[str, dict[str, Any]]]) -> None:
        super().__init__(KINDS, rows)
        self.later = later

    async def fetch(self, customer_ids: Any) -> FeatureTable:
        """Return the rows of this read."""
        self.rows.update(self.later.get(len(self.queries), {}))
        return await super().fetch(customer_ids)


def row(at: datetime | None, spend: float = 1.0, vip: bool | None = True) -> dict[str, Any]:
    return {"spend": spend, "updated_at": at and at.isoformat(), "vip": vip}


async def read(
    replica: InMemoryWarehouse, changed_at: dict[str, datetime], wait_s: float = 2.0
) -> tuple[FeatureTable, list[float]]:
    """Return what the store reads, and how long it waited each time."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    age = RowAge("updated_at", tolerance_s=1.0, wait_s=wait_s, sleep=sleep)
    store = FeatureStore(replica, InMemoryFeatureCache(), row_age=age)
    found = await store.read(["ann", "bob"], fresh={"ann", "bob"}, changed_at=changed_at)
    return found.table, pauses


EARLIER = NOON - timedelta(minutes=5)


async def test_only_an_older_row_is_read_again_until_it_is_new() -> None:
    replica = Replica({"ann": row(EARLIER), "bob": row(NOON)}, {3: {"ann": row(NOON, spend=2.0, vip=None)}})
    table, pauses = await read(replica, {"ann": NOON, "bob": NOON})
    assert table.row(0) == {"customer_id": "ann", **row(NOON, spend=2.0, vip=None), STALE: False}
    assert table.row(1) == {"customer_id": "bob", **row(NOON), STALE: False}
    assert replica.queries == [["ann", "bob"], ["ann"], ["ann"], ["ann"]]
    assert pauses == [0.1, 0.2, 0.4]


@pytest.mark.parametrize("wait_s", [0.0, 0.5, 2.0])
async def test_after_a_bounded_wait_the_row_is_used_and_marked(wait_s: float) -> None:
    table, pauses = await read(Replica({"ann": row(EARLIER), "bob": row(NOON)}, {}), {"ann": NOON}, wait_s)
    assert table.columns[STALE].tolist() == [True, False]
    assert sum(pauses) == pytest.approx(wait_s)


@pytest.mark.parametrize(
    ("written", "changed_at"),
    [
        (row(NOON - timedelta(seconds=1)), {"ann": NOON}),
        (row(NOON + timedelta(days=1)), {"ann": NOON}),
        (row(None), {"ann": NOON}),
        ({**row(None), "updated_at": "yesterday"}, {"ann": NOON}),
        ({**row(None), "updated_at": "2026-01-31T12:00:00"}, {"ann": NOON}),
        ({**row(None), "updated_at": "2026-01-31T17:30:00+05:30"}, {"ann": NOON}),
        (row(EARLIER), {}),
    ],
)
async def test_what_is_not_known_to_be_older_is_not_waited_for(
    written: dict[str, Any], changed_at: dict[str, datetime]
) -> None:
    """Within the tolerance, later, unreadable, without a zone (UTC), in another zone, or without an update."""
    table, pauses = await read(InMemoryWarehouse(KINDS, {"ann": written}), changed_at)
    assert (table.columns[STALE].tolist(), pauses) == ([False], [])


def test_rows_of_other_columns_or_of_several_rows_replace_nothing() -> None:
    table = FeatureTable(("ann",), {"spend": np.array([1.0])})
    other = FeatureTable(("ann",), {"plan": np.array(["x"], dtype=object)})
    twice = FeatureTable(("ann", "ann"), {"spend": np.array([2.0, 3.0])})
    for rows in (other, twice, FeatureTable((), {"spend": np.array([])})):
        assert replace_rows(table, rows).row(0) == {"spend": 1.0}
