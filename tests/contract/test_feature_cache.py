from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from redis.asyncio import Redis

from features.errors import CacheUnavailableError, ServiceAddressError
from features.redis_cache import RedisFeatureCache
from tests.fakes.feature_cache import InMemoryFeatureCache

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from features.ports import FeatureCache

NOBODY_LISTENS = "redis://127.0.0.1:1/0"


@pytest.fixture(params=["memory", "redis"])
async def cache(request: pytest.FixtureRequest) -> AsyncIterator[FeatureCache]:
    if request.param == "memory":
        yield InMemoryFeatureCache()
        return
    redis = RedisFeatureCache(request.getfixturevalue("redis_url"), timeout=5.0)
    yield redis
    await redis.close()


async def test_a_miss_gives_a_lease_and_no_row(cache: FeatureCache) -> None:
    rows, leases = await cache.read(["ann", "bob"])
    assert rows == {}
    assert set(leases) == {"ann", "bob"}


async def test_a_row_filled_under_its_lease_is_read_back(cache: FeatureCache) -> None:
    row = bytes(range(256))
    _, leases = await cache.read(["ann"])
    await cache.fill({"ann": row}, leases)
    assert await cache.read(["ann"]) == ({"ann": row}, {})


async def test_only_one_reader_of_a_missing_row_gets_the_lease(cache: FeatureCache) -> None:
    await cache.read(["ann"])
    assert await cache.read(["ann"]) == ({}, {})


async def test_a_row_read_before_an_invalidation_is_not_stored_after_it(cache: FeatureCache) -> None:
    _, leases = await cache.read(["ann"])
    await cache.invalidate(["ann"])
    await cache.fill({"ann": b"old"}, leases)
    rows, new = await cache.read(["ann"])
    assert rows == {}
    assert set(new) == {"ann"}


async def test_a_lease_from_before_an_invalidation_does_not_fill_over_a_newer_one(cache: FeatureCache) -> None:
    _, old = await cache.read(["ann"])
    await cache.invalidate(["ann"])
    _, new = await cache.read(["ann"])
    await cache.fill({"ann": b"old"}, old)
    await cache.fill({"ann": b"new"}, new)
    assert (await cache.read(["ann"]))[0] == {"ann": b"new"}


async def test_an_invalidation_removes_rows(cache: FeatureCache) -> None:
    _, leases = await cache.read(["ann", "bob"])
    await cache.fill({"ann": b"1", "bob": b"2"}, leases)
    await cache.invalidate(["ann", "nobody"])
    assert (await cache.read(["ann", "bob"]))[0] == {"bob": b"2"}


async def test_a_row_without_a_lease_is_not_stored(cache: FeatureCache) -> None:
    await cache.fill({"ann": b"1"}, {})
    assert (await cache.read(["ann"]))[0] == {}


async def test_a_lease_serves_once(cache: FeatureCache) -> None:
    _, leases = await cache.read(["ann"])
    await cache.fill({"ann": b"first"}, leases)
    await cache.fill({"ann": b"second"}, leases)
    assert (await cache.read(["ann"]))[0] == {"ann": b"first"}


async def test_nothing_asked_is_nothing_done(cache: FeatureCache) -> None:
    await cache.invalidate([])
    await cache.fill({}, {})
    assert await cache.read([]) == ({}, {})


async def test_five_hundred_customers_are_filled_and_removed_at_once(cache: FeatureCache) -> None:
    """Whatever characters their ids contain."""
    rows = {f"\u0416 {n}\r\n": b"%d\0" % n for n in range(500)}
    _, leases = await cache.read([*rows])
    await cache.fill(rows, leases)
    assert (await cache.read([*rows]))[0] == rows
    await cache.invalidate([*rows])
    assert (await cache.read([*rows]))[0] == {}


@pytest.fixture
async def redis_cache(redis_url: str) -> AsyncIterator[tuple[RedisFeatureCache, Redis]]:
    cache = RedisFeatureCache(redis_url, prefix="p:", timeout=5.0)
    async with Redis.from_url(redis_url) as client:
        yield cache, client
    await cache.close()


async def test_a_foreign_value_in_redis_is_a_miss(redis_cache: tuple[RedisFeatureCache, Redis]) -> None:
    cache, client = redis_cache
    await client.hset("p:list", "field", "value")
    await client.set("p:garbage", b"\xff\x00garbage")
    await client.set("p:empty", b"")
    rows, leases = await cache.read(["list", "garbage", "empty", "ann"])
    assert (rows, set(leases)) == ({}, {"ann"})


async def test_a_foreign_type_does_not_stop_the_fill_of_others(
    redis_cache: tuple[RedisFeatureCache, Redis],
) -> None:
    cache, client = redis_cache
    _, leases = await cache.read(["ann", "bob"])
    await client.delete("p:ann")
    await client.rpush("p:ann", "value")
    await cache.fill({"ann": b"1", "bob": b"2"}, leases)
    assert (await cache.read(["ann", "bob"]))[0] == {"bob": b"2"}


async def test_rows_and_leases_expire(redis_cache: tuple[RedisFeatureCache, Redis]) -> None:
    cache, client = redis_cache
    _, leases = await cache.read(["ann", "bob"])
    await cache.fill({"ann": b"1"}, leases)
    assert 0 < await client.pttl("p:bob") <= 5_000
    assert 5_000 < await client.pttl("p:ann") <= 3_600_000


async def test_the_fill_works_after_redis_forgot_its_scripts(
    redis_cache: tuple[RedisFeatureCache, Redis],
) -> None:
    cache, client = redis_cache
    await client.script_flush()
    _, leases = await cache.read(["ann"])
    await cache.fill({"ann": b"1"}, leases)
    assert (await cache.read(["ann"]))[0] == {"ann": b"1"}


async def test_a_redis_that_is_away_is_said_to_be() -> None:
    cache = RedisFeatureCache(NOBODY_LISTENS, rest_seconds=0)
    for call in (cache.read(["ann"]), cache.invalidate(["ann"]), cache.fill({"ann": b"1"}, {"ann": b"t"})):
        with pytest.raises(CacheUnavailableError, match=r"Redis could not \w+ 1 customers"):
            await call
    await cache.close()


async def test_after_an_outage_redis_is_left_alone_for_a_while() -> None:
    cache = RedisFeatureCache(NOBODY_LISTENS, rest_seconds=3600)
    with pytest.raises(CacheUnavailableError, match="could not read"):
        await cache.read(["ann"])
    with pytest.raises(CacheUnavailableError, match="a moment ago"):
        await cache.invalidate(["ann"])
    await cache.close()


def test_a_url_that_cannot_be_understood_is_refused_without_quoting_it() -> None:
    with pytest.raises(ServiceAddressError) as refused:
        RedisFeatureCache("postgres://user:secret@host")
    assert "secret" not in str(refused.value)
    assert refused.value.__cause__ is None
