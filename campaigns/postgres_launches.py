"""Launches and the members they request, in the ledger, for operators."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from campaigns.candidates import launch_occasion
from campaigns.errors import LaunchError
from campaigns.postgres_connections import connect_ledger, hold_lock
from campaigns.queries import QUERIES
from campaigns.records import LaunchRecord

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    import psycopg

# Any number that no other lock in the ledger has.
ADVISORY_LOCK = 481_516
BEFORE_ALL = ""
"""Sorts before every customer id."""


class PostgresLaunches:
    """The launches of a ledger: one connection, each call a transaction of its own."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._connection = connection

    @contextmanager
    def launch_alone(self, campaign: str) -> Iterator[None]:
        """Lock out other operators' launches of a campaign meanwhile.

        Raises:
            LaunchError: another process launches it now.
        """
        refusal = LaunchError(f"campaign {campaign!r} is being launched by another process; wait until it ends")
        with hold_lock(self._connection, ADVISORY_LOCK, campaign, refusal):
            yield

    def find(self, launch_id: str) -> LaunchRecord | None:
        """Return a launch, None when there is none of that id."""
        return self._record("find_launch", launch_id=launch_id)

    def last(self, campaign: str) -> LaunchRecord | None:
        """Return a campaign's unfinished launch, or else its last one, None before the first."""
        return self._record("last_launch", campaign=campaign)

    def find_stop(self, campaign: str) -> str | None:
        """Return why a campaign is stopped, None if it is not."""
        stopped = self._connection.execute(QUERIES["stops"]).fetchall()
        return next((reason for key, reason, *_ in stopped if key == campaign), None)

    def begin(self, launch_id: str, campaign: str, *, as_of: datetime, by: str) -> LaunchRecord:
        """Record a new launch.

        Raises:
            LaunchError: a launch with that id exists.
        """
        begun = self._record("begin_launch", launch_id=launch_id, campaign=campaign, as_of=as_of, by=by)
        if begun is None:
            raise LaunchError(f"launch {launch_id!r} exists already; choose another --launch-id")
        return begun

    def advance(self, launch_id: str, *, last: str, members: int) -> None:
        """Record that Kafka has acknowledged requests for more members, up to the last by customer id."""
        self._connection.execute(QUERIES["advance_launch"], {"launch_id": launch_id, "last": last, "members": members})

    def finish(self, launch_id: str) -> None:
        """Record that every member has been requested."""
        self._connection.execute(QUERIES["finish_launch"], {"launch_id": launch_id})

    def count_decisions(self, launch: LaunchRecord) -> dict[tuple[str, str], int]:
        """Return the number of decisions of a launch by (outcome, reason), the most frequent first."""
        occasion = launch_occasion(launch.launch_id)
        rows = self._rows("count_launch_decisions", campaign=launch.campaign, as_of=launch.as_of, occasion=occasion)
        return {(outcome, reason): count for outcome, reason, count in rows}

    def count_members(self, segment: str, *, after: str | None) -> int:
        """Return the number of members of a segment beyond a customer id, of all when there is none."""
        return int(self._rows("count_members", segment=segment, after=after or BEFORE_ALL)[0][0])

    def members(self, segment: str, *, after: str | None, page: int) -> Iterator[Sequence[str]]:
        """Return a segment's members beyond a customer id, page by page in the order of their ids."""
        last = after or BEFORE_ALL
        while rows := self._rows("members_after", segment=segment, after=last, limit=page):
            yield [row[0] for row in rows]
            last = rows[-1][0]

    def _record(self, query: str, **values: Any) -> LaunchRecord | None:
        rows = self._rows(query, **values)
        return LaunchRecord(*rows[0]) if rows else None

    def _rows(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        return self._connection.execute(QUERIES[query], values).fetchall()


@contextmanager
def open_launches(ledger_url: str) -> Iterator[PostgresLaunches]:
    """Open the launches of a ledger.

    Raises:
        LedgerUnavailableError: the ledger cannot be reached, has no tables yet, or takes no writes.
    """
    with connect_ledger(ledger_url) as connection:
        yield PostgresLaunches(connection)
