from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from features.errors import CacheUnavailableError, WarehouseUnavailableError
from features.store import FeatureStore
from tests.fakes.feature_cache import InMemoryFeatureCache
from tests.fakes.warehouse import InMemoryWarehouse

if TYPE_CHECKING:
    from collections.abc import Sequence

KINDS: dict[str, Any] = {"revenue": "number", "vip": "boolean", "country": "other"}
ROWS: dict[str, dict[str, Any]] = {
    "ann": {"revenue": 1.5, "vip": True, "country": "France"},
    "bob": {"revenue": None, "vip": None, "country": None},
    "cy": {"revenue": 3.0, "vip": False, "country": "Spain"},
}


class Scene:
    """A store over fakes that has read once, so that it knows the columns."""

    def __init__(self) -> None:
        self.warehouse = InMemoryWarehouse(KINDS, ROWS)
        self.cache = InMemoryFeatureCache()
        self.store = FeatureStore(self.warehouse, self.cache)

    async def read(self, *customers: str, fresh: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
        """Return the facts found, by customer."""
        table = (await self.store.read(customers, fresh=fresh)).table
        return {each: table.row(place) for place, each in enumerate(table.customer_ids)}


@pytest.fixture
async def scene() -> Scene:
    scene = Scene()
    await scene.read("nobody")
    scene.warehouse.queries.clear()
    return scene


def facts(customer: str) -> dict[str, Any]:
    return {"customer_id": customer, **ROWS[customer]}


async def test_a_second_read_comes_from_the_cache_with_every_type_as_it_was(scene: Scene) -> None:
    await scene.read(*ROWS)
    assert await scene.read(*ROWS) == {each: facts(each) for each in ROWS}
    assert len(scene.warehouse.queries) == 1


async def test_changed_and_missing_customers_share_one_query(scene: Scene) -> None:
    await scene.read("ann")
    await scene.read("ann", "bob", "cy", fresh=["cy"])
    assert scene.warehouse.queries == [["ann"], ["bob", "cy"]]


async def test_rows_come_in_the_order_asked_for_and_unknown_customers_not_at_all(scene: Scene) -> None:
    await scene.read("bob")
    table = (await scene.store.read(["cy", "nobody", "bob", "ann", "cy"], fresh=["ann"])).table
    assert table.customer_ids == ("cy", "bob", "ann")


async def test_a_changed_customer_is_read_from_the_warehouse(scene: Scene) -> None:
    await scene.read("ann")
    scene.warehouse.rows["ann"]["revenue"] = 99.0
    assert (await scene.read("ann"))["ann"]["revenue"] == 1.5
    assert (await scene.read("ann", fresh=["ann"]))["ann"]["revenue"] == 99.0
    assert (await scene.read("ann"))["ann"]["revenue"] == 99.0


async def test_a_changed_customer_is_not_stored_until_somebody_reads(scene: Scene) -> None:
    await scene.read("ann", fresh=["ann"])
    assert scene.cache.rows == {}


async def test_without_the_cache_reads_are_right_and_the_failure_is_counted(scene: Scene) -> None:
    scene.cache.away = True
    assert await scene.read("ann") == {"ann": facts("ann")}
    assert (scene.store.cache_failures, scene.store.cache_available) == (1, False)
    scene.cache.away = False
    await scene.read("ann")
    assert scene.store.cache_available


async def test_reads_of_the_cache_are_counted_by_what_they_came_to(scene: Scene) -> None:
    """Customers who have just changed are not looked for."""
    await scene.read("ann", "bob")
    await scene.read("ann", "bob", "cy", fresh=["cy"])
    scene.cache.away = True
    await scene.read("ann")
    assert scene.store.cache_reads == {"miss": 2, "hit": 2, "unavailable": 1}


async def test_a_failed_invalidation_is_reported_and_the_cache_passed_by_until_a_new_generation(scene: Scene) -> None:
    await scene.read("ann")
    scene.cache.away = True
    assert (await scene.store.read(["ann"], fresh=["ann"])).cache_lost
    scene.cache.away = False
    scene.warehouse.rows["ann"]["revenue"] = 99.0
    assert (await scene.read("ann"))["ann"]["revenue"] == 99.0
    scene.store.use_generation(1)
    assert (await scene.read("ann"))["ann"]["revenue"] == 99.0
    assert not (await scene.store.read(["ann"], fresh=["ann"])).cache_lost


async def test_an_invalidation_left_out_while_the_cache_is_passed_by_is_reported_too(scene: Scene) -> None:
    scene.cache.away = True
    await scene.read("ann", fresh=["ann"])
    scene.cache.away = False
    assert (await scene.store.read(["bob"], fresh=["bob"])).cache_lost
    assert not (await scene.store.read(["bob"], fresh=[])).cache_lost


@pytest.mark.parametrize("generation", [0, -1])
async def test_an_old_generation_does_not_end_the_passing_by(scene: Scene, generation: int) -> None:
    scene.cache.away = True
    await scene.read("ann", fresh=["ann"])
    scene.store.use_generation(generation)
    assert scene.store.must_bump


async def test_rows_of_another_generation_are_never_read_and_make_room(scene: Scene) -> None:
    await scene.read("ann")
    scene.warehouse.rows["ann"]["revenue"] = 99.0
    scene.store.use_generation(1)
    for _ in range(3):
        assert (await scene.read("ann"))["ann"]["revenue"] == 99.0
    assert len(scene.warehouse.queries) == 3


async def test_another_process_of_a_lower_generation_does_not_read_newer_rows(scene: Scene) -> None:
    scene.store.use_generation(5)
    await scene.read("ann")
    late = FeatureStore(scene.warehouse, scene.cache, generation=4)
    await late.read(["nobody"], fresh=[])
    scene.warehouse.rows["ann"]["revenue"] = 99.0
    assert (await late.read(["ann"], fresh=[])).table.row(0)["revenue"] == 99.0


@pytest.mark.parametrize("garbage", [b"", b"\x00" * 16, b"not a row", b"\xc1" * 40])
async def test_garbage_in_the_cache_is_a_miss(scene: Scene, garbage: bytes) -> None:
    scene.cache.rows["ann"] = garbage
    assert await scene.read("ann") == {"ann": facts("ann")}


async def test_a_row_that_is_cut_short_is_a_miss(scene: Scene) -> None:
    await scene.read("ann")
    scene.cache.rows["ann"] = scene.cache.rows["ann"][:-3]
    assert await scene.read("ann") == {"ann": facts("ann")}


async def test_a_changed_view_makes_old_rows_unreadable(scene: Scene) -> None:
    await scene.read("ann", "bob")
    scene.warehouse.kinds["tenure"] = "number"
    scene.warehouse.rows["ann"]["tenure"] = 7
    found = await scene.read("ann", "cy")
    assert found["ann"] == {**facts("ann"), "tenure": 7.0}
    assert found["cy"] == {**facts("cy"), "tenure": None}
    assert await scene.read("ann", "bob") == {"ann": found["ann"], "bob": {**facts("bob"), "tenure": None}}


async def test_a_customer_with_several_rows_is_named_and_the_others_are_read(scene: Scene) -> None:
    """The first read of a store, a read with a known layout, one with other customers cached."""
    scene.warehouse.copies = {"bob": 3}
    scene.store = FeatureStore(scene.warehouse, scene.cache)
    for fresh in ([], [], ["cy"], ["ann", "bob", "cy"]):
        read = await scene.store.read(["cy", "bob", "ann"], fresh=fresh)
        assert (read.table.customer_ids, read.duplicates) == (("cy", "ann"), {"bob": 3})


async def test_a_customer_with_several_rows_is_never_cached(scene: Scene) -> None:
    """So the correction of the warehouse takes effect without an event about the customer."""
    scene.warehouse.copies = {"bob": 2}
    assert set(await scene.read("ann", "bob")) == {"ann"}
    scene.warehouse.copies = {}
    assert await scene.read("ann", "bob") == {"ann": facts("ann"), "bob": facts("bob")}


async def test_columns_that_are_lost_are_named_until_they_come_back(scene: Scene) -> None:
    del scene.warehouse.kinds["country"]
    assert (await scene.store.read(["ann"], fresh=["ann"])).lost_columns == {"country"}
    assert (await scene.store.read([], fresh=[])).lost_columns == {"country"}
    scene.warehouse.kinds["country"] = "other"
    assert (await scene.store.read(["ann"], fresh=["ann"])).lost_columns == set()


async def test_an_outage_of_the_warehouse_is_not_hidden(scene: Scene) -> None:
    scene.warehouse.away = True
    with pytest.raises(WarehouseUnavailableError):
        await scene.read("ann")


class SlowCache(InMemoryFeatureCache):
    """A cache whose invalidations wait for `gate`, and then fail if it is away."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.gate.set()

    async def invalidate(self, customer_ids: Sequence[str]) -> None:
        """Wait, then remove."""
        await self.gate.wait()
        await super().invalidate(customer_ids)


async def test_a_batch_read_during_an_invalidation_does_not_see_the_old_row(scene: Scene) -> None:
    cache = SlowCache()
    scene.store = FeatureStore(scene.warehouse, cache)
    await scene.read("nobody")
    await scene.read("ann")
    scene.warehouse.rows["ann"]["revenue"] = 99.0
    cache.gate.clear()
    first = asyncio.create_task(scene.read("ann", fresh=["ann"]))
    await asyncio.sleep(0)
    assert (await scene.read("ann"))["ann"]["revenue"] == 99.0
    cache.gate.set()
    await first


async def test_a_lease_from_before_a_lost_invalidation_fills_nothing_in_the_new_generation(scene: Scene) -> None:
    asked, answer = asyncio.Event(), asyncio.Event()
    fetch = scene.warehouse.fetch

    async def slow_fetch(customer_ids: Sequence[str]) -> Any:
        table = await fetch(customer_ids)
        asked.set()
        await answer.wait()
        return table

    scene.warehouse.fetch = slow_fetch  # type: ignore[method-assign]
    slow = asyncio.create_task(scene.read("ann"))
    await asked.wait()
    scene.store.must_bump = True  # another batch could not invalidate ann
    scene.store.use_generation(1)
    answer.set()
    await slow
    assert scene.cache.rows == {}


async def test_a_failed_fill_is_counted_and_nothing_more(scene: Scene) -> None:
    async def refuse(*_: Any) -> None:
        raise CacheUnavailableError("full")

    scene.cache.fill = refuse  # type: ignore[method-assign]
    assert await scene.read("ann") == {"ann": facts("ann")}
    assert scene.store.cache_failures == 1
