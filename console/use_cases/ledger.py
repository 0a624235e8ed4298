"""One query of the ledger, from code that does not await, and the ledger opened for several."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

import psycopg

from campaigns.errors import LedgerUnavailableError
from campaigns.postgres_ledger import PostgresLedger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from streams.settings import Settings

Result = TypeVar("Result")


def ask_ledger(settings: Settings, question: Callable[[PostgresLedger], Awaitable[Result]]) -> Result:
    """Return the result of a query.

    Raises:
        LedgerUnavailableError: the ledger cannot be reached, or has no tables yet.
    """

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
        await ledger.open()
        yield ledger
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
        raise LedgerUnavailableError(
            "the ledger's tables are missing or of an older version; run: holdfast ledger migrate"
        ) from error
    finally:
        await ledger.close()
