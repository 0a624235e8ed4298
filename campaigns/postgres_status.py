"""What a ledger holds of the present state of a deployment, for operators."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from campaigns.dead_letters import DeadLetterFilter
from campaigns.postgres_connections import connect_ledger
from campaigns.postgres_dead_letters import PostgresDeadLetters
from campaigns.queries import QUERIES
from campaigns.records import StopRecord

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    import psycopg


@dataclass(frozen=True, slots=True)
class Unsent:
    """The messages that are decided and not published yet.

    Attributes:
        messages: how many.
        oldest: when the oldest was decided; None without any.
    """

    messages: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class VersionInForce:
    """A version of a segment or campaign, and since when it is in force."""

    version: str
    since: datetime


@dataclass(frozen=True, slots=True)
class UnfinishedReevaluation:
    """A re-evaluation that was begun and did not end."""

    reevaluation_id: str
    started_at: datetime
    customers: int


class PostgresStatus:
    """One connection, which only reads; each call is a transaction of its own."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._connection = connection

    def last_sequence(self) -> int:
        """Return the sequence of the latest message."""
        return int(self._rows("last_sequence")[0][0])

    def count_triggers(self, after: int) -> int:
        """Return the number of triggers decided since a message."""
        return int(self._rows("count_triggers", after=after)[0][0])

    def unsent(self) -> Unsent:
        """Return what waits to be published."""
        return Unsent(*self._rows("unsent_age")[0])

    def open_dead_letters(self) -> Mapping[str, int]:
        """Return the number of open dead letters by reason, the most frequent first."""
        return PostgresDeadLetters(self._connection).count(DeadLetterFilter())

    def stops(self) -> Sequence[StopRecord]:
        """Return the campaigns that are stopped."""
        return [StopRecord(*row) for row in self._rows("stops")]

    def segment_versions(self) -> Mapping[str, VersionInForce]:
        """Return the version of each segment with which a worker started last."""
        return {key: VersionInForce(version, since) for key, version, since in self._rows("segments_in_force")}

    def campaign_versions(self) -> Mapping[tuple[str, str], datetime]:
        """Return since when each version of a campaign is known, by key and version: when a worker first had it."""
        return {(key, version): since for key, version, since in self._rows("campaigns_known")}

    def count_evaluated(self) -> Sequence[tuple[Mapping[str, str], int]]:
        """Return how many customers were last evaluated under each combination of segment versions.

        This reads the whole table: a quarter of a second for a million customers.
        """
        return [(msgspec.json.decode(versions), count) for versions, count in self._rows("count_by_versions")]

    def was_reevaluated(self, fingerprint: str) -> bool:
        """Return whether a re-evaluation under these segment versions has ended."""
        return bool(self._rows("was_reevaluated", fingerprint=fingerprint)[0][0])

    def unfinished_reevaluations(self) -> Sequence[UnfinishedReevaluation]:
        """Return the re-evaluations that did not end, the latest first."""
        return [UnfinishedReevaluation(*row) for row in self._rows("unfinished_reevaluations")]

    def _rows(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        return self._connection.execute(QUERIES[query], values).fetchall()


@contextmanager
def open_status(ledger_url: str, *, timeout_s: float) -> Iterator[PostgresStatus]:
    """Open a ledger to read from.

    Args:
        ledger_url: libpq connection string.
        timeout_s: the server ends a statement that takes longer.

    Raises:
        LedgerUnavailableError: the ledger cannot be reached, has no tables yet, or may not be read.
    """
    with connect_ledger(ledger_url) as connection:
        connection.execute(f"SET statement_timeout = {int(timeout_s * 1000)}")
        connection.execute("SET default_transaction_read_only = on")
        yield PostgresStatus(connection)
