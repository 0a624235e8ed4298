"""The facts that decisions of the live ledger recorded, for replays."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import psycopg

from campaigns.errors import LedgerUnavailableError
from campaigns.postgres_connections import LedgerPool
from campaigns.queries import load_queries

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

QUERIES = load_queries("campaigns", "replay_queries.sql")
PAGE = 5_000


class RecordedFacts:
    """The facts that the live ledger recorded with the decisions of a period.

    Which events have a record is read once: eight bytes of memory for each, and no query for the many without one.

    Args:
        ledger_url: of the live ledger; it is only read.
    """

    def __init__(self, ledger_url: str) -> None:
        self._url = ledger_url
        # A pool: a connection that breaks is replaced.
        self._pool = LedgerPool(ledger_url, size=1, configure=_read_only)
        self._events = np.empty(0, dtype=np.int64)

    async def open(self, begin: datetime, end: datetime, customers: Sequence[str] | None) -> None:
        """Connect, and read which events of the period have a decision.

        Raises:
            LedgerUnavailableError: the ledger cannot be read.
        """
        try:
            await self._pool.open()
            values = {"begin": begin, "end": end, "customers": None if customers is None else list(customers)}
            # Not from the pool, which bounds how long an answer may take.
            async with await psycopg.AsyncConnection.connect(self._url, connect_timeout=5) as connection:
                await _read_only(connection)
                async with connection.cursor("recorded") as cursor:
                    await cursor.execute(QUERIES["recorded_events"], values)
                    cursor.itersize = PAGE
                    found = array("q")
                    async for each in cursor:
                        found.append(hash(each))
                    self._events = np.sort(np.frombuffer(found, dtype=np.int64))
        except psycopg.Error as error:
            raise LedgerUnavailableError(f"HOLDFAST_LEDGER_URL: the decisions cannot be read: {error}") from error

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.close()

    async def find(self, events: Sequence[tuple[str, str]]) -> dict[str, dict[str, Any]]:
        """Return the facts recorded with the decisions at these events, by customer; one event for each customer.

        Raises:
            LedgerUnavailableError: the ledger cannot be read.
        """
        if not events or not len(self._events):
            return {}
        hashes = np.array(list(map(hash, events)), dtype=np.int64)
        places = np.searchsorted(self._events, hashes)
        found_there = self._events[np.minimum(places, len(self._events) - 1)] == hashes
        wanted = [events[place] for place in np.flatnonzero(found_there)]
        if not wanted:
            return {}
        values = {"customers": [customer for customer, _ in wanted], "events": [event for _, event in wanted]}
        async with self._pool.connection() as connection:
            rows = await (await connection.execute(QUERIES["recorded_facts"], values)).fetchall()
        found: dict[str, dict[str, Any]] = {}
        for customer, facts in rows:
            found.setdefault(customer, {}).update(msgspec.json.decode(facts))
        return found


async def _read_only(connection: psycopg.AsyncConnection[tuple[Any, ...]]) -> None:
    await connection.execute("SET default_transaction_read_only = on")
