"""One query of the ledger, from code that does not await."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

import psycopg

from campaigns.errors import LedgerUnavailableError
from campaigns.postgres_ledger import PostgresLedger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from streams.settings import Settings

Result = TypeVar("Result")


def ask_ledger(settings: Settings, question: Callable[[PostgresLedger], Awaitable[Result]]) -> Result:
    """Return the result of a query.

    Raises:
        LedgerUnavailableError: the ledger cannot be reached, or has no tables yet.
    """

    async def ask() -> Result:
        ledger = PostgresLedger(settings.ledger_url)
        try:
            await ledger.open()
            return await question(ledger)
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
            raise LedgerUnavailableError(
                "the ledger's tables are missing or of an older version; run: holdfast ledger migrate"
            ) from error
        finally:
            await ledger.close()

    return asyncio.run(ask())
