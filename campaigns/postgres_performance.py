"""What became of a campaign's customers and contacts, in the ledger, for operators."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from campaigns.exposures import ContactCounts, ExposureDay
from campaigns.postgres_connections import connect_snapshot
from campaigns.queries import QUERIES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import psycopg


class PostgresPerformance:
    """What a ledger holds of campaigns: one connection, which only reads."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._connection = connection

    def count_contacts(self, *campaigns: str) -> Mapping[str, ContactCounts]:
        """Return the contacts of campaigns by arm; an arm without contacts is left out."""
        rows = self._rows("count_contacts", campaigns)
        return {arm: ContactCounts(*counts) for arm, *counts in rows}

    def exposure_days(self, *campaigns: str) -> Sequence[ExposureDay]:
        """Return the customers of campaigns by version, arm and day of the first exposure and first conversion.

        Of several campaigns each customer counts once, for the first exposure to any of them; the version then is that
        campaign's key and version, separated by a blank.
        """
        return [ExposureDay(*row) for row in self._rows("exposure_days", campaigns)]

    def count_in_both_arms(self, *campaigns: str) -> int:
        """Return the customers who were contacted and held out, as a change of `holdout_percent` makes them."""
        return int(self._rows("count_in_both_arms", campaigns)[0][0])

    def _rows(self, query: str, campaigns: Sequence[str]) -> list[tuple[Any, ...]]:
        return self._connection.execute(QUERIES[query], {"campaigns": list(campaigns)}).fetchall()


@contextmanager
def open_performance(ledger_url: str) -> Iterator[PostgresPerformance]:
    """Open a ledger to read from; all answers are of the same moment.

    Raises:
        LedgerUnavailableError: the ledger cannot be reached, or has no tables yet.
    """
    with connect_snapshot(ledger_url) as connection:
        yield PostgresPerformance(connection)
