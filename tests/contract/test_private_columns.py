"""Private columns on real services: their values appear neither on the wire nor in the cache."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from redis.asyncio import Redis

from features.errors import WarehouseLayoutError
from features.postgres_warehouse import PostgresWarehouse
from features.redis_cache import RedisFeatureCache
from features.store import FeatureStore

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "ann.secret@example.com"  # noqa: S105 - a value to look for
TABLE = f"""
CREATE TABLE customers (customer_id text PRIMARY KEY, email text, country text, "birth % date" date, revenue numeric);
INSERT INTO customers VALUES ('ann', '{SECRET}', 'France', '1971-03-04', 12.5)
"""  # noqa: S608 - a constant
PRIVATE = ("email", "birth % date")
FACTS = {"customer_id": "ann", "country": "France", "revenue": 12.5}


@pytest.fixture
def url(warehouse_url: str) -> str:
    execute(warehouse_url, TABLE)
    return warehouse_url


def execute(url: str, statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statements)  # type: ignore[call-overload]


@pytest.mark.skipif(sys.platform != "linux", reason="psycopg lets libpq trace on Linux alone")
@pytest.mark.parametrize("private", [PRIVATE, ()], ids=["private", "not private"])
@pytest.mark.parametrize("change", ["SELECT 1", "ALTER TABLE customers ADD tags text[]"], ids=["arrays", "rows"])
async def test_private_values_are_neither_on_the_wire_nor_in_redis(
    url: str, redis_url: str, tmp_path: Path, private: tuple[str, ...], change: str
) -> None:
    """By rows and by arrays; without the setting both have them, so the test can fail."""
    execute(url, change)
    wire = tmp_path / "wire"
    async with AsyncExitStack() as stack:
        file = stack.enter_context(wire.open("wb"))
        warehouse = PostgresWarehouse(url, "customers", private_columns=private, connections=1)
        cache = RedisFeatureCache(redis_url, timeout=5.0)
        for each in (warehouse, cache):
            stack.push_async_callback(each.close)
            await each.open()
        async with warehouse._pool.connection() as connection:
            connection.pgconn.trace(file.fileno())
        store = FeatureStore(warehouse, cache)
        facts = [(await store.read(["ann"], fresh=fresh)).table.row(0) for fresh in (["ann"], ["ann"], [], [])]
        client = await stack.enter_async_context(Redis.from_url(redis_url))
        kept = b"".join([await client.get(key) for key in await client.keys("*")])
    seen = wire.read_bytes()
    assert b"France" in seen
    assert b"France" in kept
    assert all({name: row[name] for name in FACTS} == FACTS for row in facts)
    assert (SECRET.encode() in seen, SECRET.encode() in kept, "email" in facts[0]) == ((not private,) * 3)


async def test_a_column_that_is_added_is_read_and_a_private_one_is_not(url: str) -> None:
    """With the setting, a changed view is also read without a restart."""
    warehouse = await opened(url)
    for _ in range(2):
        assert (await warehouse.fetch(["ann"])).row(0) == FACTS
    execute(url, "ALTER TABLE customers ADD tier text DEFAULT 'gold'; ALTER TABLE customers DROP revenue")
    for _ in range(2):
        assert (await warehouse.fetch(["ann"])).row(0) == {"customer_id": "ann", "country": "France", "tier": "gold"}
    execute(url, "ALTER TABLE customers DROP email")
    assert "email" not in (await warehouse.fetch(["ann"])).columns
    await warehouse.close()


async def test_select_on_the_other_columns_is_enough(url: str) -> None:
    """So the database itself can deny access to the private ones."""
    name = "reader_" + url.rpartition("_")[2]
    execute(url, f"CREATE ROLE {name} LOGIN PASSWORD 'reader'")
    execute(url, f"GRANT SELECT (customer_id, country, revenue) ON customers TO {name}")
    as_reader: Any = psycopg.conninfo.make_conninfo(url, user=name, password="reader")  # noqa: S106
    open_to_all = PostgresWarehouse(as_reader, "customers")
    await open_to_all.open()
    with pytest.raises(WarehouseLayoutError, match="grant SELECT"):
        await open_to_all.fetch(["ann"])
    await open_to_all.close()
    warehouse = await opened(as_reader)
    for _ in range(2):
        assert (await warehouse.fetch(["ann"])).row(0) == FACTS
    await warehouse.close()
    execute(url, f"DROP OWNED BY {name}; DROP ROLE {name}")


async def test_private_columns_that_the_table_lacks_are_named(url: str) -> None:
    warehouse = PostgresWarehouse(url, "customers", private_columns=("phone", "email", "e-mail"))
    await warehouse.open()
    await warehouse.close()
    assert warehouse.unknown_private_columns == ("e-mail", "phone")


async def opened(url: str) -> PostgresWarehouse:
    warehouse = PostgresWarehouse(url, "customers", private_columns=PRIVATE)
    await warehouse.open()
    return warehouse
