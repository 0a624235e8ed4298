"""The ports of the feature store: the data warehouse and the feature cache."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Mapping, Sequence

    from features.table import FeatureTable
    from features.unreadable_values import UnreadableValues


SCANNED_ROWS = 20_000
"""Rows of one table of a scan."""


class Warehouse(Protocol):
    """The company's data warehouse, read only. Implementations: PostgresWarehouse, InMemoryWarehouse."""

    async def fetch(self, customer_ids: Sequence[str]) -> FeatureTable:
        """Return every row of the customers, in any order; a customer without a row is unknown.

        A warehouse should have one row per customer. It may have several by mistake, and all of them are returned.
        A value that cannot be read is null, for any reason.

        Raises:
            WarehouseUnavailableError: the warehouse cannot be reached now; retry.
            WarehouseLayoutError: the table is missing, lacks the id column, or may not be read.
            WarehouseRowError: the server fails on one of the rows.
        """


class WarehouseConnection(Warehouse, Protocol):
    """A warehouse that is opened and closed. Implementations: PostgresWarehouse, ExtractWarehouse."""

    unreadable_values: UnreadableValues
    unknown_private_columns: tuple[str, ...]

    async def open(self) -> None:
        """Connect, and check that the table can be read.

        Raises:
            WarehouseUnavailableError: the warehouse cannot be reached.
            WarehouseLayoutError: the table or the id column is missing, or may not be read.
        """

    async def sample(self, count: int) -> FeatureTable:
        """Return at most so many rows, whichever the warehouse gives first.

        Raises:
            WarehouseError: as for `fetch`.
        """

    def scan(self, columns: Collection[str], *, rows: int = SCANNED_ROWS) -> AsyncGenerator[FeatureTable, None]:
        """Yield every row that has a customer id, in tables of at most so many rows; one table is in memory at a time.

        Close it (`contextlib.aclosing`) unless it is read to its end. A warehouse without rows yields nothing.

        Args:
            columns: the columns to read besides the id column; those that do not exist or are private are left out.
            rows: the largest number of rows of a table.

        Raises:
            WarehouseError: as for `fetch`.
        """

    async def list_ids(self, after: str | None, limit: int) -> Sequence[str]:
        """Return at most so many customer ids beyond one, or the first ones, in an order that the warehouse chooses.

        The order is the same for every call. A customer with several rows may come several times, one after another.

        Args:
            after: an id that an earlier call returned; None begins.
            limit: the largest number of ids.

        Raises:
            WarehouseError: as for `fetch`.
        """

    async def count_duplicates(self) -> int:
        """Return the number of customers with more than one row; this reads the whole table.

        Raises:
            WarehouseError: as for `fetch`.
        """

    async def close(self) -> None:
        """Close what is open."""


class FeatureCache(Protocol):
    """Encoded rows by customer, each guarded by a lease, so that an outdated row is never stored.

    A reader that misses gets a lease. `fill` stores a row only while its lease is held, and `invalidate` removes rows
    and leases. So a row that was read before an invalidation is never stored after it.
    """

    async def read(self, customer_ids: Sequence[str]) -> tuple[dict[str, bytes], dict[str, bytes]]:
        """Return (rows found, leases for those missing), each by customer id.

        A missing customer whose lease another reader holds has neither.

        Raises:
            CacheUnavailableError: the cache cannot be reached now.
        """

    async def fill(self, rows: Mapping[str, bytes], leases: Mapping[str, bytes]) -> None:
        """Store each row whose lease is still held."""

    async def invalidate(self, customer_ids: Sequence[str]) -> None:
        """Remove the customers' rows and leases.

        Raises:
            CacheUnavailableError: it is not certain that they are removed.
        """
