"""One query of the ledger, from code that does not await, and the ledger opened for several."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, TypeVar

import psycopg

from campaigns.errors import LedgerUnavailableError
from campaigns.postgres_ledger import PostgresLedger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from streams.settings import Settings

Result = TypeVar("Result")


class KeptLedger:
    """A ledger that stays open, asked by many threads; all queries run in one thread of its own.

    Args:
        url: of the ledger.
    """

    def __init__(self, url: str) -> None:
        self._ledger = PostgresLedger(url, checks_connections=True)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="ledger", daemon=True)
        self._opening = asyncio.Lock()
        self._is_open = False

    def start(self) -> None:
        """Start the thread; the ledger is opened with the first query."""
        self._thread.start()

    def stop(self) -> None:
        """Close the ledger, and end the thread."""
        asyncio.run_coroutine_threadsafe(self._ledger.close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def ask(self, question: Callable[[PostgresLedger], Awaitable[Result]]) -> Result:
        """Return the result of a query.

        Raises:
            LedgerUnavailableError: as ask_ledger.
        """
        return asyncio.run_coroutine_threadsafe(self._ask(question), self._loop).result()

    async def _ask(self, question: Callable[[PostgresLedger], Awaitable[Result]]) -> Result:
        with _naming_missing_tables():
            async with self._opening:
                if not self._is_open:
                    await self._ledger.open()
                    self._is_open = True
            return await question(self._ledger)


_kept: dict[str, KeptLedger] = {}


@contextmanager
def keep_ledger(settings: Settings) -> Iterator[None]:
    """Let `ask_ledger` ask a ledger that stays open, in a process that asks often; see keep_connections."""
    if settings.ledger_url in _kept:
        yield
        return
    kept = KeptLedger(settings.ledger_url)
    kept.start()
    _kept[settings.ledger_url] = kept
    try:
        yield
    finally:
        del _kept[settings.ledger_url]
        kept.stop()


def ask_ledger(settings: Settings, question: Callable[[PostgresLedger], Awaitable[Result]]) -> Result:
    """Return the result of a query.

    Raises:
        LedgerUnavailableError: the ledger cannot be reached, or has no tables yet.
    """
    if kept := _kept.get(settings.ledger_url):
        return kept.ask(question)

    async def ask() -> Result:
        async with open_ledger(settings) as ledger:
            return await question(ledger)

    return asyncio.run(ask())


@asynccontextmanager
async def open_ledger(settings: Settings, *, read_only: bool = False) -> AsyncIterator[PostgresLedger]:
    """Lend the ledger for the block.

    Args:
        settings: where it is.
        read_only: PostgreSQL refuses every write.

    Raises:
        LedgerUnavailableError: the ledger cannot be reached, or has no tables yet.
    """
    ledger = PostgresLedger(settings.ledger_url, read_only=read_only)
    try:
        with _naming_missing_tables():
            await ledger.open()
            yield ledger
    finally:
        await ledger.close()


@contextmanager
def _naming_missing_tables() -> Iterator[None]:
    try:
        yield
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
        raise LedgerUnavailableError(
            "the ledger's tables are missing or of an older version; run: holdfast ledger migrate"
        ) from error
