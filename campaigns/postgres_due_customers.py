"""The customers who are due, in the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from campaigns.ports import DueCustomer
from campaigns.postgres_connections import LedgerPool
from campaigns.queries import QUERIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg


class PostgresDueCustomers:
    """Implements `campaigns.ports.DueCustomers` on a connection of its own.

    Args:
        url: libpq connection string.
    """

    def __init__(self, url: str) -> None:
        self._pool = LedgerPool(url, size=1, configure=_configure)

    async def open(self) -> None:
        """Open the connection.

        Raises:
            LedgerUnavailableError: it cannot be opened; the message says why.
        """
        await self._pool.open()

    async def close(self) -> None:
        """Close the connection."""
        await self._pool.close()

    async def now(self) -> int:
        """See the port."""
        return int((await self._rows("ledger_time"))[0][0])

    async def claim(self, now: int, *, limit: int, lease_s: float) -> Sequence[DueCustomer]:
        """See the port."""
        rows = await self._rows("claim_due", now=now, limit=limit, lease_s=lease_s)
        return sorted((DueCustomer(*row) for row in rows), key=lambda each: (each.due_at, each.customer_id))

    async def last_transition(self) -> int | None:
        """See the port."""
        ((found,),) = await self._rows("last_transition")
        return None if found is None else int(found)

    async def next_due(self) -> int | None:
        """See the port."""
        rows = await self._rows("next_due")
        return int(rows[0][0]) if rows else None

    async def _rows(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        async with self._pool.connection() as connection:
            return await (await connection.execute(QUERIES[query], values)).fetchall()


async def _configure(connection: psycopg.AsyncConnection[tuple[Any, ...]]) -> None:
    """Keep to the indexes: a plan made while no customer waited reads the whole table."""
    for way in ("seqscan", "hashjoin", "mergejoin", "sort"):
        await connection.execute(f"SET enable_{way} = off")
