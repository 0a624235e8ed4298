"""Re-evaluations of every customer, in the ledger."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from campaigns.errors import ReevaluationError
from campaigns.postgres_connections import connect_ledger, hold_lock
from campaigns.queries import QUERIES
from campaigns.records import ReevaluationRecord

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    import psycopg

# Any number that no other lock in the ledger has.
ADVISORY_LOCK = 481_623


class PostgresReevaluations:
    """Implements `campaigns.ports.Reevaluations`: one connection, each call a transaction of its own."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._connection = connection

    @contextmanager
    def alone(self) -> Iterator[None]:
        """See the port."""
        refusal = ReevaluationError("another process re-evaluates the customers now; wait until it ends")
        with hold_lock(self._connection, ADVISORY_LOCK, "", refusal):
            yield

    def find_unfinished(self, fingerprint: str) -> ReevaluationRecord | None:
        """See the port."""
        rows = self._rows("unfinished_reevaluation", fingerprint=fingerprint)
        return ReevaluationRecord(*rows[0]) if rows else None

    def begin(self, reevaluation_id: str, fingerprint: str, *, as_of: datetime, by: str) -> ReevaluationRecord:
        """See the port."""
        values = {"reevaluation_id": reevaluation_id, "fingerprint": fingerprint, "as_of": as_of, "by": by}
        return ReevaluationRecord(*self._rows("begin_reevaluation", **values)[0])

    def advance(self, reevaluation_id: str, *, last: str, customers: int) -> None:
        """See the port."""
        values = {"reevaluation_id": reevaluation_id, "last": last, "customers": customers}
        self._connection.execute(QUERIES["advance_reevaluation"], values)

    def finish(self, reevaluation_id: str) -> None:
        """See the port."""
        self._connection.execute(QUERIES["finish_reevaluation"], {"reevaluation_id": reevaluation_id})

    def evaluated(self, customer_ids: Sequence[str], versions: Mapping[str, str]) -> Collection[str]:
        """See the port."""
        wanted = msgspec.json.encode(versions, order="sorted").decode()
        return {row[0] for row in self._rows("evaluated_under", customers=list(customer_ids), versions=wanted)}

    def _rows(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        return self._connection.execute(QUERIES[query], values).fetchall()


@contextmanager
def open_reevaluations(ledger_url: str) -> Iterator[PostgresReevaluations]:
    """Open the re-evaluations of a ledger.

    Raises:
        LedgerUnavailableError: the ledger cannot be reached, has no tables yet, or takes no writes.
    """
    with connect_ledger(ledger_url) as connection:
        yield PostgresReevaluations(connection)
