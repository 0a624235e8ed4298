"""Services that accept a request and never answer, as after a silent network failure."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psycopg
import pytest

from campaigns.errors import LedgerUnavailableError
from campaigns.postgres_ledger import PostgresLedger
from features.errors import WarehouseUnavailableError
from features.postgres_warehouse import PostgresWarehouse
from tests.faults.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def proxy(ledger_url: str) -> Iterator[Proxy]:
    """A proxy to PostgreSQL."""
    with Proxy(urlsplit(ledger_url).port or 0) as proxy:
        yield proxy


async def test_who_never_answers_is_away_until_asked_again(ledger_url: str, warehouse_url: str, proxy: Proxy) -> None:
    """Both ledger and warehouse, although their connections are open."""
    with psycopg.connect(warehouse_url) as connection:
        connection.execute("CREATE TABLE customers AS SELECT 'ann'::text AS customer_id")
    ledger = PostgresLedger(proxy.lead(ledger_url), answer_s=0.5)
    warehouse = PostgresWarehouse(proxy.lead(warehouse_url), "customers", statement_seconds=0.1, grace_s=0.4)
    await asyncio.gather(ledger.open(), warehouse.open())
    proxy.hold()
    answers = await asyncio.gather(ledger.cache_generation(), warehouse.fetch(["ann"]), return_exceptions=True)
    proxy.cut()
    proxy.heal()
    assert [type(each) for each in answers] == [LedgerUnavailableError, WarehouseUnavailableError]
    assert await ledger.cache_generation() == 1
    assert (await warehouse.fetch(["ann"])).customer_ids == ("ann",)
    await asyncio.gather(ledger.close(), warehouse.close())
