"""Which adapter reads the data warehouse, by the scheme of its URL."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from features.extract_warehouse import SCHEMES, ExtractWarehouse
from features.postgres_warehouse import PostgresWarehouse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from features.ports import WarehouseConnection

POSTGRESQL = ("postgresql", "postgres")


def choose_warehouse(url: str, table: str, *, id_column: str, private_columns: Collection[str]) -> WarehouseConnection:
    """Return the adapter for a URL, not open yet.

    Raises:
        ServiceAddressError: the URL is malformed.
    """
    adapter = ExtractWarehouse if url.partition(":")[0] in SCHEMES else PostgresWarehouse
    return adapter(url, table, id_column=id_column, private_columns=private_columns)


@asynccontextmanager
async def opened(warehouse: WarehouseConnection) -> AsyncIterator[WarehouseConnection]:
    """Open a warehouse for the block, and close it whether or not it could be opened.

    Raises:
        WarehouseError: it cannot be used.
    """
    try:
        await warehouse.open()
        yield warehouse
    finally:
        await warehouse.close()
