"""Everything that a ledger holds of one customer, in the order in which it happened, for people."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from campaigns.postgres_connections import connect_ledger
from campaigns.queries import QUERIES
from campaigns.records import TimelineEntry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    import psycopg

# Of what happened at one time: the event, what it changed, the decisions about it, and what became of them.
KINDS = (
    "event",
    "processed",
    "feedback",
    "consent",
    "left",
    "entered",
    "decision",
    "contact",
    "delivery",
    "outcome",
)


class PostgresTimeline:
    """The timelines of a ledger's customers: one connection, which only reads."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._connection = connection

    def read(self, customer_id: str, *, since: datetime | None, limit: int) -> tuple[Sequence[TimelineEntry], bool]:
        """Return a customer's latest entries in order, and whether earlier ones are left out.

        Args:
            customer_id: the customer.
            since: the earliest time; None for the beginning.
            limit: the largest number of entries.
        """
        values = {"customer": customer_id, "since": since, "limit": limit + 1}
        found = [TimelineEntry(*row) for row in self._connection.execute(QUERIES["timeline"], values).fetchall()]
        found.sort(key=lambda each: (each.at, KINDS.index(each.kind), sorted(map(str, each.details.values()))))
        return found[-limit:], len(found) > limit

    def knows(self, customer_id: str) -> bool:
        """Return whether the ledger has anything of a customer."""
        return bool(self._connection.execute(QUERIES["is_known_customer"], {"customer": customer_id}).fetchall()[0][0])

    def find_customers(self, beginning: str, *, after: str, limit: int) -> Sequence[str]:
        """Return the ids of evaluated customers that begin so, in order.

        Args:
            beginning: of the id; every id begins with an empty text.
            after: only ids that come after this one.
            limit: the most ids.
        """
        escaped = re.sub(r"([\\%_])", r"\\\1", beginning)
        values = {"pattern": f"{escaped}%", "after": after, "limit": limit}
        return [row[0] for row in self._connection.execute(QUERIES["find_customers"], values).fetchall()]

    def members(self, segment: str, *, after: str, limit: int) -> Sequence[str]:
        """Return the ids of members of a segment that come after one, in order."""
        values = {"segment": segment, "after": after, "limit": limit}
        return [row[0] for row in self._connection.execute(QUERIES["members_after"], values).fetchall()]


@contextmanager
def open_timeline(ledger_url: str) -> Iterator[PostgresTimeline]:
    """Open a ledger to read from.

    Raises:
        LedgerUnavailableError: the ledger cannot be reached, has no tables yet, or the role may not read them.
    """
    with connect_ledger(ledger_url) as connection:
        connection.read_only = True
        with connection.transaction():
            yield PostgresTimeline(connection)
