"""An in-memory data warehouse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from features.errors import WarehouseUnavailableError
from features.ports import SCANNED_ROWS
from features.table import FeatureTable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Mapping, Sequence

    from features.table import Kind


class InMemoryWarehouse:
    """Implements `features.ports.Warehouse`.

    `away` makes every call fail, `queries` lists the customer ids of each call, `copies` is the number of rows of each
    customer who has more than one.
    """

    def __init__(self, kinds: Mapping[str, Kind], rows: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self.kinds = dict(kinds)
        self.rows: dict[str, dict[str, Any]] = {each: dict(row) for each, row in (rows or {}).items()}
        self.queries: list[list[str]] = []
        self.away = False
        self.copies: dict[str, int] = {}

    async def fetch(self, customer_ids: Sequence[str]) -> FeatureTable:
        """Return the rows of the customers that exist, and record the ids."""
        if self.away:
            raise WarehouseUnavailableError("the in-memory warehouse is away")
        self.queries.append(list(customer_ids))
        found = [each for each in dict.fromkeys(customer_ids) if each in self.rows]
        if self.copies:
            found = [each for each in found for _ in range(self.copies.get(each, 1))]
        rows = [[each, *(self.rows[each].get(name) for name in self.kinds)] for each in found]
        return FeatureTable.from_rows(found, ["customer_id", *self.kinds], rows, ["other", *self.kinds.values()])

    async def scan(self, columns: Collection[str], *, rows: int = SCANNED_ROWS) -> AsyncGenerator[FeatureTable, None]:
        """Yield every row; see `features.ports.WarehouseConnection`."""
        customers = list(self.rows)
        for first in range(0, len(customers), rows):
            table = await self.fetch(customers[first : first + rows])
            kept = {name: cells for name, cells in table.columns.items() if name in {"customer_id", *columns}}
            yield FeatureTable(table.customer_ids, kept)

    async def list_ids(self, after: str | None, limit: int) -> Sequence[str]:
        """Return customer ids; see `features.ports.WarehouseConnection`."""
        if self.away:
            raise WarehouseUnavailableError("the in-memory warehouse is away")
        beyond = [each for each in sorted(self.rows) if after is None or each > after]
        return [each for each in beyond for _ in range(self.copies.get(each, 1))][:limit]
