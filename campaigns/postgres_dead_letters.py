"""The dead letters of a ledger in PostgreSQL, for operators."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import psycopg
from psycopg import errors as pg

from campaigns.dead_letters import DeadLetter, DeadLetterFilter, Resolution
from campaigns.errors import DeadLetterError, UnknownDeadLetterError
from campaigns.postgres_connections import connect_ledger
from campaigns.queries import QUERIES
from campaigns.triggers import Headers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# Any number that no other lock in the ledger has.
ADVISORY_LOCK = 4_815_162_399
LOCK_TIMEOUT_S = 30
NO_NUMBER = 2**63 - 1
"""Beyond the number of any letter."""
# Not a parameter: only an order that is written out is read from the index.
_OLDEST_FIRST = QUERIES["dead_letters"]
_NEWEST_FIRST = _OLDEST_FIRST.replace("ORDER BY number", "ORDER BY number DESC")


class PostgresDeadLetters:
    """The dead letters of a ledger: one connection, each call a transaction of its own."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._connection = connection

    def ledger_id(self) -> str:
        """Return the name that distinguishes this ledger from any other."""
        return str(self._rows("ledger_id")[0][0])

    def find(
        self,
        wanted: DeadLetterFilter,
        *,
        limit: int | None = None,
        newest_first: bool = False,
        after: int = 0,
        before: int = NO_NUMBER,
    ) -> list[DeadLetter]:
        """Return the letters that match, oldest first unless the newest are wanted.

        Args:
            wanted: which letters.
            limit: at most so many.
            newest_first: begin with the newest.
            after: only letters with a higher number.
            before: only letters with a lower number.
        """
        values = {**_filter_values(wanted), "limit": limit, "after": after, "before": before}
        rows = self._connection.execute(_NEWEST_FIRST if newest_first else _OLDEST_FIRST, values).fetchall()
        return [_read_letter(row) for row in rows]

    def count(self, wanted: DeadLetterFilter) -> dict[str, int]:
        """Return the number of letters that match, by reason, most frequent first."""
        return dict(self._rows("count_dead_letters", **_filter_values(wanted)))

    def name(self, ids: Sequence[str]) -> list[DeadLetter]:
        """Return the letters of these ids, in this order, each once.

        Raises:
            UnknownDeadLetterError: there is no such letter.
        """
        found = {letter.letter_id: letter for letter in self.find(DeadLetterFilter(ids=ids, resolution=None))}
        for letter_id in ids:
            if letter_id not in found:
                raise UnknownDeadLetterError(
                    f"there is no dead letter {letter_id!r}; `holdfast dead-letters list --status all` shows them"
                )
        return [found[letter_id] for letter_id in dict.fromkeys(ids)]

    def read_values(self, ids: Sequence[str]) -> Mapping[str, bytes | None]:
        """Return the values that are kept, by letter id."""
        return dict(self._rows("dead_letter_values", ids=list(ids)))

    def discard(self, ids: Sequence[str], *, by: str, why: str) -> set[str]:
        """Mark open letters as never to be sent again, and return their ids."""
        return {row[0] for row in self._rows("discard_dead_letters", ids=list(ids), by=by, why=why)}

    @contextmanager
    def requeue_alone(self) -> Iterator[None]:
        """Lock out other operators' requeues meanwhile.

        The lock belongs to the connection, so it ends with the process.

        Raises:
            DeadLetterError: another operator requeues and does not finish.
        """
        try:
            self._connection.execute(f"SET lock_timeout = '{LOCK_TIMEOUT_S}s'")
            self._connection.execute("SELECT pg_advisory_lock(%s)", [ADVISORY_LOCK])
        except pg.LockNotAvailable as error:
            raise DeadLetterError(
                f"another operator is requeueing and did not finish within {LOCK_TIMEOUT_S} s; try again later"
            ) from error
        try:
            yield
        finally:
            if not self._connection.broken:
                self._connection.execute("SELECT pg_advisory_unlock(%s)", [ADVISORY_LOCK])

    def last_run(self) -> int:
        """Return the highest run that any letter carries, 0 when none does."""
        return int(self._rows("dead_letter_last_run")[0][0])

    def claim(self, ids: Sequence[str], *, by: str, run: int) -> set[str]:
        """Mark open letters as being requeued in a run, and return their ids."""
        return {row[0] for row in self._rows("claim_dead_letters", ids=list(ids), by=by, run=run)}

    def finish(self, run: int) -> int:
        """Mark what is being requeued, in this run or an earlier one, as requeued; return the number of letters."""
        return self._connection.execute(QUERIES["finish_dead_letters"], {"run": run}).rowcount

    def reopen(self) -> int:
        """Mark what is being requeued as open again, and return the number of letters."""
        return self._connection.execute(QUERIES["reopen_dead_letters"]).rowcount

    def _rows(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        return self._connection.execute(QUERIES[query], values).fetchall()


@contextmanager
def open_dead_letters(ledger_url: str) -> Iterator[PostgresDeadLetters]:
    """Open the dead letters of a ledger.

    Raises:
        LedgerUnavailableError: the ledger cannot be reached, has no tables yet, or takes no writes.
    """
    with connect_ledger(ledger_url) as connection:
        yield PostgresDeadLetters(connection)


def _filter_values(wanted: DeadLetterFilter) -> dict[str, Any]:
    return {
        "ids": None if wanted.ids is None else list(wanted.ids),
        "resolution": wanted.resolution,
        "reason": wanted.reason,
        "topic": wanted.topic,
        "key": None if wanted.customer is None else wanted.customer.encode(),
        "since": wanted.since,
    }


def _read_letter(row: tuple[Any, ...]) -> DeadLetter:
    """Return a row of the query `dead_letters` as a letter."""
    letter_id, number, created_at, stage, reason, detail, topic, partition, offset, key, packed, size, *rest = row
    digest, truncated, resolution, resolved_at, actor, why = rest
    return DeadLetter(
        letter_id=letter_id,
        number=number,
        created_at=created_at,
        stage=stage,
        reason=reason,
        detail=detail,
        topic=topic,
        partition=partition,
        offset=offset,
        key=key,
        headers=msgspec.msgpack.decode(packed, type=Headers),
        size=size,
        digest=digest,
        truncated=truncated,
        resolution=Resolution(resolution),
        resolved_at=resolved_at,
        actor=actor,
        why=why,
    )
