"""What the feature store needs from the outside world."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from features.table import FeatureTable


class Warehouse(Protocol):
    """The company's data warehouse, read only."""

    async def fetch(self, customer_ids: Sequence[str]) -> FeatureTable:
        """Return one row for each of the customers that exist, in no particular order.

        Raises:
            WarehouseUnavailableError: the warehouse cannot be reached now; asking again may help.
        """


class FeatureCache(Protocol):
    """Encoded rows by customer, each guarded by a lease so that no old row comes back.

    A reader that misses receives a lease; `fill` stores a row only while its lease is still the one held, and
    `invalidate` removes rows and leases alike. So a row read before an invalidation is never stored after it.
    """

    async def read(self, customer_ids: Sequence[str]) -> tuple[dict[str, bytes], dict[str, bytes]]:
        """Return (rows found, leases for those missing), each by customer id.

        A missing customer whose lease somebody else holds has neither.

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
