"""The deletion of old rows: a few pages of a table at a time, in short transactions with pauses between them.

Pages are read in their order, each once, so no index on time is needed and a deleted row is never read again. A table's
unique keys begin with the customer, so it cannot be partitioned by time; see docs/decisions/0012.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import errors as pg
from psycopg import sql

from campaigns.errors import RetentionError
from campaigns.postgres_connections import connect_ledger, hold_lock
from campaigns.queries import QUERIES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    import psycopg

    from campaigns.retention import Rule

# Any number that no other lock in the ledger has.
ADVISORY_LOCK = 481_626
TARGET_S = 0.02
LOCK_MS = 20
FIRST_PAGES, MOST_PAGES = 8, 1024


@dataclass(frozen=True, slots=True)
class Pruned:
    """Rows of a table that were or would be deleted, and pages left out because a row was locked."""

    table: str
    rows: int
    locked_pages: int = 0


class PostgresPruning:
    """Deletes old rows on one connection.

    Args:
        connection: in autocommit.
        sleep: waits for seconds.
    """

    def __init__(
        self, connection: psycopg.Connection[tuple[Any, ...]], *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._connection = connection
        self._sleep = sleep

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Lock out other processes that prune meanwhile.

        Raises:
            RetentionError: another process prunes now.
        """
        with hold_lock(self._connection, ADVISORY_LOCK, "", RetentionError("another process prunes now")):
            yield

    def announce(self, horizon: datetime) -> None:
        """Let records with an older timestamp have no second effect from now on; it never goes back."""
        self._connection.execute(QUERIES["announce_pruning"], {"horizon": horizon})

    def count(self, rule: Rule, cutoff: datetime) -> int:
        """Return how many rows may be deleted."""
        query = sql.SQL("SELECT count(*) FROM {} WHERE " + rule.condition).format(sql.Identifier(rule.table))  # noqa: S608 - our own text
        return int(self._connection.execute(query, {"cutoff": cutoff}).fetchall()[0][0])

    def prune(self, rule: Rule, cutoff: datetime, on_progress: Callable[[int, int], None]) -> Pruned:
        """Delete the rows of a table that are older than its cutoff.

        Args:
            rule: of the table.
            cutoff: the time.
            on_progress: receives the pages done and all pages.
        """
        # A deletion that a crash undoes is done again by the next run.
        self._connection.execute("SET synchronous_commit = off")
        self._connection.execute(f"SET lock_timeout = {LOCK_MS}")
        size = {"table": rule.table}
        total = int(self._connection.execute(QUERIES["count_pages"], size).fetchall()[0][0])
        page, pages, rows, locked = 0, FIRST_PAGES, 0, 0
        while page < total:
            end, begun = min(page + pages, total), time.perf_counter()
            try:
                rows += self._delete(rule, cutoff, page, end)
            except pg.LockNotAvailable:
                if pages > 1:
                    pages = 1
                    continue
                locked += 1
            took = time.perf_counter() - begun
            page = end
            pages = max(1, min(MOST_PAGES, round(pages * min(2.0, TARGET_S / max(took, 1e-6)))))
            on_progress(page, total)
            # As long as it took: half of one core and of the disk is the workers'.
            self._sleep(took)
        return Pruned(rule.table, rows, locked)

    def _delete(self, rule: Rule, cutoff: datetime, first: int, end: int) -> int:
        delete = sql.SQL(
            "DELETE FROM {} WHERE ctid >= %(first)s::tid AND ctid < %(end)s::tid AND " + rule.condition  # noqa: S608 - our own text
        ).format(sql.Identifier(rule.table))
        place = {"first": f"({first},0)", "end": f"({end},0)", "cutoff": cutoff}
        return self._connection.execute(delete, place).rowcount


@contextmanager
def open_pruning(ledger_url: str) -> Iterator[PostgresPruning]:
    """Open the ledger for the deletion of old rows.

    Raises:
        LedgerUnavailableError: the ledger cannot be reached, has no tables yet, or takes no writes.
    """
    with connect_ledger(ledger_url) as connection:
        yield PostgresPruning(connection)
