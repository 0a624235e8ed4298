"""Sessions of workers in PostgreSQL: a connection for each worker, with the worker's name as the application's name.

PostgreSQL ends the session of a process that dies as soon as its connection closes, which the kernel of its machine
does at once. The session of a process that stands still remains; so does, until TCP gives up, that of a lost machine.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import psycopg

from campaigns.errors import LedgerUnavailableError, SharedSessionError
from campaigns.ports import WorkerSessionsSeen
from campaigns.queries import QUERIES

if TYPE_CHECKING:
    Connection = psycopg.AsyncConnection[tuple[Any, ...]]

PREFIX = "holdfast worker "
LONGEST_NAME = 63 - len(PREFIX)
"""PostgreSQL cuts longer names of applications off. A member id is `holdfast-` and a UUID: 45 characters."""
ANSWER_S = 5.0


class PostgresWorkerSessions:
    """Implements `campaigns.ports.WorkerSessions` with one connection.

    Args:
        url: libpq connection string; to PostgreSQL itself, or to a pooler that gives each client a session.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Connection | None = None
        self._name = ""

    async def find(self, name: str) -> WorkerSessionsSeen:
        """See the port; a name has `LONGEST_NAME` ASCII characters at most."""
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._find(name)
        except (psycopg.OperationalError, psycopg.InterfaceError, TimeoutError) as error:
            await self.close()
            raise LedgerUnavailableError(f"the ledger cannot be reached: {error}") from error

    async def close(self) -> None:
        """See the port."""
        connection, self._connection, self._name = self._connection, None, ""
        if connection is not None:
            await connection.close()

    async def _find(self, name: str) -> WorkerSessionsSeen:
        if self._connection is None:
            self._connection = await psycopg.AsyncConnection.connect(self._url, autocommit=True, connect_timeout=5)
        if name != self._name:
            await self._connection.execute(QUERIES["name_session"], {"name": PREFIX + name})
            self._name = name
        found = await self._connection.execute(QUERIES["worker_sessions"], {"prefix": PREFIX})
        ((session, own, names),) = await found.fetchall()
        if own != PREFIX + name:
            raise SharedSessionError(f"this session of the ledger has the name {own!r}, which another client gave it")
        return WorkerSessionsSeen(frozenset(names), session)
