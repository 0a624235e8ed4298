"""Connections to the ledger's database: pools for workers and for threads, one for commands, and locks between them."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, LiteralString

import psycopg
from psycopg import errors as pg
from psycopg_pool import AsyncConnectionPool, ConnectionPool, PoolTimeout

from campaigns.errors import LedgerUnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

    AsyncConnection = psycopg.AsyncConnection[tuple[Any, ...]]
    Connection = psycopg.Connection[tuple[Any, ...]]

# Any number that no other lock in the ledger has.
ERASURE_LOCK = 481_625
ACTIVATION_LOCK = 481_624
ANSWER_S = 20.0
"""A little longer than PostgreSQL lets a statement or a transaction take."""
MOST_KEPT = 20
IDLE_S = 60.0
"""After which a connection that is kept is closed."""


class LedgerPool:
    """A small pool of connections in autocommit.

    Args:
        url: libpq connection string.
        size: the most connections.
        configure: prepares a new connection.
        connect_timeout: seconds to wait for a connection before the ledger counts as unavailable.
        answer_s: seconds to wait for an answer before the ledger counts as unavailable.
        prepare_threshold: how often a statement runs before it is prepared.
        checks_connections: before each use; without it, the first use after a restart of PostgreSQL fails.
    """

    def __init__(
        self,
        url: str,
        *,
        size: int,
        configure: Callable[[AsyncConnection], Awaitable[None]],
        connect_timeout: float = 5,
        answer_s: float = ANSWER_S,
        prepare_threshold: int = 5,
        checks_connections: bool = False,
    ) -> None:
        self._url = url
        self._answer_s = answer_s
        self.pool: AsyncConnectionPool[AsyncConnection] = AsyncConnectionPool(
            url,
            min_size=1,
            max_size=size,
            timeout=connect_timeout,
            open=False,
            kwargs={"autocommit": True, "prepare_threshold": prepare_threshold},
            configure=configure,
            check=AsyncConnectionPool.check_connection if checks_connections else None,
        )

    async def open(self) -> None:
        """Open the first connection.

        Raises:
            LedgerUnavailableError: it cannot be opened; the message says why.
        """
        try:
            # Not through the pool: it would retry for its whole timeout and give no reason.
            await (await psycopg.AsyncConnection.connect(self._url, connect_timeout=5)).close()
            await self.pool.open(wait=True, timeout=self.pool.timeout)
        except (pg.Error, PoolTimeout) as error:
            raise _unusable(error) from error

    async def close(self) -> None:
        """Close every connection."""
        await self.pool.close()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection.

        Raises:
            LedgerUnavailableError: the ledger cannot be reached now, does not answer in time, or takes no writes.
        """
        try:
            async with asyncio.timeout(self._answer_s), self.pool.connection() as connection:
                try:
                    yield connection
                except pg.ReadOnlySqlTransaction:
                    # The connection may lead to a former primary, which stays read only.
                    await connection.close()
                    raise
        except TimeoutError as error:
            raise LedgerUnavailableError(f"the ledger did not answer within {self._answer_s:g} s") from error
        except PoolTimeout as error:
            raise LedgerUnavailableError(f"the ledger accepts no connection: {error}") from error
        except pg.ProgramLimitExceeded:
            # The only one of psycopg's OperationalErrors that a retry does not fix.
            raise
        except (
            pg.OperationalError,
            pg.InterfaceError,
            pg.ReadOnlySqlTransaction,
            pg.IdleInTransactionSessionTimeout,
            pg.TransactionTimeout,
        ) as error:
            raise LedgerUnavailableError(f"the ledger cannot be reached: {error}") from error


class ThreadedPool:
    """A small pool of connections in autocommit, safe for the threads of a console.

    Args:
        url: libpq connection string.
        size: the most connections.
    """

    def __init__(self, url: str, *, size: int) -> None:
        self._pool: ConnectionPool[Connection] = ConnectionPool(
            url, min_size=0, max_size=size, timeout=5, open=False, kwargs={"autocommit": True}
        )

    def open(self) -> None:
        """Open the pool; connections are made when they are needed."""
        self._pool.open()

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()

    def ask(self, query: LiteralString, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Return the rows of a statement, which is a transaction.

        Raises:
            LedgerUnavailableError: as `connect_ledger`.
        """
        with _describing_errors("console=1"), self._pool.connection() as connection:
            return connection.execute(query, values).fetchall()


_kept: dict[str, ConnectionPool[Connection]] = {}


@contextmanager
def keep_connections(ledger_url: str) -> Iterator[None]:
    """Let `connect_ledger` lend connections that stay open, in a process that asks often and in many threads.

    A new one costs the process and PostgreSQL several milliseconds each, more than most questions. Where another part
    of the process keeps them already, nothing changes.
    """
    if ledger_url in _kept:
        yield
        return
    pool: ConnectionPool[Connection] = ConnectionPool(
        ledger_url,
        min_size=0,
        max_size=MOST_KEPT,
        timeout=5,
        max_idle=IDLE_S,
        open=False,
        kwargs={"autocommit": True},
        check=ConnectionPool.check_connection,
        reset=_reset,
    )
    with pool:
        _kept[ledger_url] = pool
        try:
            yield
        finally:
            del _kept[ledger_url]


def _reset(connection: Connection) -> None:
    """Undo what a borrower has set, and release their locks, which would last as long as the connection."""
    connection.isolation_level, connection.read_only, connection.autocommit = None, None, True
    connection.execute("RESET ALL; SELECT pg_advisory_unlock_all()")


@contextmanager
def connect_ledger(ledger_url: str) -> Iterator[Connection]:
    """Open a connection of an operator's command to the ledger; each statement is a transaction.

    Raises:
        LedgerUnavailableError: the ledger cannot be reached, has no tables yet, or takes no writes.
    """
    with _describing_errors("operator=1"), _lend(ledger_url) as connection:
        yield connection


def _lend(ledger_url: str) -> AbstractContextManager[Connection]:
    pool = _kept.get(ledger_url)
    return pool.connection() if pool else psycopg.connect(ledger_url, connect_timeout=5, autocommit=True)


@contextmanager
def _describing_errors(role: str) -> Iterator[None]:
    """Raise LedgerUnavailableError with what to do; `role` names the rights that may be missing."""
    try:
        yield
    except (pg.UndefinedTable, pg.UndefinedColumn) as error:
        raise LedgerUnavailableError(
            "the ledger's tables are missing or of an older version; run: holdfast ledger migrate"
        ) from error
    except pg.InsufficientPrivilege as error:
        raise LedgerUnavailableError(
            f"HOLDFAST_LEDGER_URL: this role may not do that ({_first_line(error)}); run campaigns/roles.sql with "
            f"{role} as the ledger's owner"
        ) from error
    except (PoolTimeout, pg.OperationalError, pg.InterfaceError, pg.ReadOnlySqlTransaction) as error:
        raise _unusable(error) from error


@contextmanager
def connect_snapshot(ledger_url: str) -> Iterator[Connection]:
    """Open a ledger to read from; all answers are of the same moment.

    Raises:
        LedgerUnavailableError: the ledger cannot be reached, or has no tables yet.
    """
    with connect_ledger(ledger_url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        with connection.transaction():
            yield connection


@contextmanager
def hold_lock(connection: Connection, number: int, name: str, refusal: Exception) -> Iterator[None]:
    """Hold an advisory lock meanwhile. It belongs to the connection, so it ends with the process.

    Args:
        connection: of the process.
        number: of what is locked; any that no other lock in the ledger has.
        name: which one of these is locked.
        refusal: raised where another process has the lock.
    """
    key = [number, name]
    (taken,) = connection.execute("SELECT pg_try_advisory_lock(%s, hashtext(%s))", key).fetchall()[0]
    if not taken:
        raise refusal
    try:
        yield
    finally:
        if not connection.broken:
            connection.execute("SELECT pg_advisory_unlock(%s, hashtext(%s))", key)


def _unusable(error: Exception) -> LedgerUnavailableError:
    return LedgerUnavailableError(f"HOLDFAST_LEDGER_URL: the ledger cannot be used: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
