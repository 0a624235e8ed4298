"""Insights in the ledger: batch jobs write them, see features/insights.py."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from campaigns.postgres_connections import ERASURE_LOCK, connect_ledger
from campaigns.queries import QUERIES
from campaigns.tombstones import Tombstones

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from campaigns.postgres_connections import Connection

PAGE = 5_000


def write_insights(url: str, kind: str, rows: Iterable[tuple[str, Mapping[str, Any]]], *, at: datetime) -> int:
    """Write the insights of a run, page by page, remove those of earlier runs, and return the number of customers.

    Workers meanwhile read either the earlier insight of a customer or the new one. A run that ends early leaves earlier
    insights; run it again. Erased customers are left out.

    Args:
        url: of the ledger.
        kind: one of `features.insights.KINDS`.
        rows: customers and their facts; each customer once.
        at: when the run began.

    Raises:
        LedgerUnavailableError: the ledger cannot be used.
    """
    with connect_ledger(url) as connection:
        writer, waiting = _Writer(connection, kind, at), iter(rows)
        while page := list(islice(waiting, PAGE)):
            writer.write(page)
        connection.execute(QUERIES["remove_earlier_insights"], {"kind": kind, "at": at})
    return writer.written


class _Writer:
    """Writes the pages of one run, without erased customers."""

    def __init__(self, connection: Connection, kind: str, at: datetime) -> None:
        self._connection = connection
        self._kind = kind
        self._at = at
        self._tombstones, self._version = Tombstones(), -1
        self.written = 0

    def write(self, page: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        with self._connection.transaction():
            # An erasure waits until the page is written, or its tombstones are seen here.
            self._connection.execute(QUERIES["share_erasures"], {"lock": ERASURE_LOCK})
            self._read_tombstones()
            erased = self._tombstones.find(customer for customer, _ in page)
            kept = [(customer, facts) for customer, facts in page if customer not in erased]
            values = {
                "kind": self._kind,
                "customers": [customer for customer, _ in kept],
                "facts": [msgspec.json.encode(facts).decode() for _, facts in kept],
                "at": self._at,
            }
            self.written += self._connection.execute(QUERIES["write_insights"], values).rowcount

    def _read_tombstones(self) -> None:
        ((version,),) = self._connection.execute(QUERIES["tombstones_version"]).fetchall()
        if version != self._version:
            ((key, digests, buckets),) = self._connection.execute(QUERIES["tombstones"]).fetchall()
            self._tombstones = Tombstones.from_rows(key, digests, buckets)
            self._version = version


def count_insights(url: str) -> dict[str, tuple[int, datetime]]:
    """Return the number of customers with insights of each kind, and when the latest run began.

    Raises:
        LedgerUnavailableError: the ledger cannot be used.
    """
    with connect_ledger(url) as connection:
        rows = connection.execute(QUERIES["count_insights"]).fetchall()
    return {kind: (customers, at) for kind, customers, at in rows}
