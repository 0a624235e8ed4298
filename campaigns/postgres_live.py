"""What workers have just decided, from the messages that are committed with the decisions."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg

from campaigns.errors import LedgerUnavailableError
from campaigns.postgres_connections import connect_ledger
from campaigns.queries import QUERIES
from campaigns.records import StopRecord

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class LiveMessage:
    """A decision, or the alert of a lead that has become hot.

    Attributes:
        sequence: increases with every message; a transaction may commit a smaller one later than a larger one.
        destination: `decisions` or `lead_alerts`.
        created_at: when it was decided.
        body: of the message.
    """

    sequence: int
    destination: str
    created_at: datetime
    body: Mapping[str, Any]


class PostgresLive:
    """The latest messages of a ledger, on a connection that only reads."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._connection = connection

    def after(self, sequence: int, *, limit: int) -> Sequence[LiveMessage]:
        """Return messages with a larger sequence, in order.

        Raises:
            LedgerUnavailableError: the ledger cannot be read.
        """
        return [_read(row) for row in self._ask("live_after", {"after": sequence, "limit": limit})]

    def latest(self, limit: int) -> Sequence[LiveMessage]:
        """Return the latest messages, the newest first.

        Raises:
            LedgerUnavailableError: the ledger cannot be read.
        """
        return [_read(row) for row in self._ask("live_latest", {"limit": limit})]

    def stops(self) -> Sequence[StopRecord]:
        """Return the campaigns that are stopped.

        Raises:
            LedgerUnavailableError: the ledger cannot be read.
        """
        return [StopRecord(*row) for row in self._ask("stops", {})]

    def _ask(self, query: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(QUERIES[query], values).fetchall()
        except psycopg.OperationalError as error:
            raise LedgerUnavailableError(f"the ledger cannot be read: {str(error).strip()}") from error


def _read(row: tuple[Any, ...]) -> LiveMessage:
    sequence, destination, created_at, value = row
    return LiveMessage(sequence, destination, created_at, json.loads(value))


@contextmanager
def open_live(ledger_url: str) -> Iterator[PostgresLive]:
    """Open a ledger to read from.

    Raises:
        LedgerUnavailableError: the ledger cannot be reached, has no tables yet, or the role may not read them.
    """
    with connect_ledger(ledger_url) as connection:
        connection.read_only = True
        connection.autocommit = True
        yield PostgresLive(connection)
