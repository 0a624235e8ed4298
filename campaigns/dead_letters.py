"""Dead letters as the ledger keeps them, and what operators made of each.

A letter is a row of the outbox; its fate is a row beside it. A letter that goes back to its topic is `requeueing`
while it is not certain that Kafka has it, which is why it carries the number of the Kafka transaction, its run.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec
import psycopg
from psycopg import errors as pg

from campaigns.errors import DeadLetterError, LedgerUnavailableError
from campaigns.queries import QUERIES
from campaigns.triggers import Headers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

# Any number serves that no other lock in the ledger has.
ADVISORY_LOCK = 4_815_162_399
LOCK_TIMEOUT_S = 30
# The first header of ours on a dead letter; all after it are ours, too.
FIRST_OF_OURS = "holdfast_dead_letter_id"


class Status(StrEnum):
    """Where a dead letter stands."""

    OPEN = "open"
    REQUEUEING = "requeueing"
    REQUEUED = "requeued"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that could not be decided, all but its value. `size` is the value's bytes, None when it has none.

    `key` and `headers` are the producer's own; `topic`, `partition` and `offset` are where the record lay. `truncated`
    names what was too large to keep whole: value, key, headers or batch.
    """

    letter_id: str
    written_at: datetime
    key: bytes | None
    headers: Headers
    size: int | None
    stage: str
    reason: str
    detail: str
    topic: str
    partition: int
    offset: int
    status: Status
    settled_at: datetime | None
    settled_by: str | None
    why: str | None
    truncated: str = ""


@dataclass(frozen=True, slots=True)
class DeadLetterFilter:
    """Which dead letters are meant; None leaves a field open.

    Args:
        customer: the key of the original record.
        since: the time from which on letters were written to the ledger.
    """

    ids: Sequence[str] | None = None
    status: Status | None = Status.OPEN
    reason: str | None = None
    topic: str | None = None
    customer: str | None = None
    since: datetime | None = None


class PostgresDeadLetters:
    """The dead letters of a ledger, for operators: one connection, each call a transaction of its own."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._connection = connection

    def ledger_id(self) -> str:
        """Return the name that tells this ledger from any other."""
        return str(self._rows("ledger_id")[0][0])

    def find(self, wanted: DeadLetterFilter) -> list[DeadLetter]:
        """Return the letters that are meant, oldest first."""
        rows = self._rows(
            "dead_letters",
            ids=None if wanted.ids is None else list(wanted.ids),
            status=wanted.status,
            key=None if wanted.customer is None else wanted.customer.encode(),
            since=wanted.since,
        )
        return [letter for letter in map(read_letter, rows) if _is_meant(letter, wanted)]

    def name(self, ids: Sequence[str]) -> list[DeadLetter]:
        """Return the letters of these ids, in this order, each once.

        Raises:
            DeadLetterError: there is no such letter.
        """
        found = {letter.letter_id: letter for letter in self.find(DeadLetterFilter(ids=ids, status=None))}
        for letter_id in ids:
            if letter_id not in found:
                raise DeadLetterError(
                    f"there is no dead letter {letter_id!r}; `holdfast dead-letters list --status all` shows them"
                )
        return [found[letter_id] for letter_id in dict.fromkeys(ids)]

    def read_values(self, ids: Sequence[str]) -> Mapping[str, bytes | None]:
        """Return the original values by letter id."""
        return dict(self._rows("dead_letter_values", ids=list(ids)))

    def discard(self, ids: Sequence[str], *, by: str, why: str) -> set[str]:
        """Mark letters that are open as never to be sent again, and return their ids."""
        return {row[0] for row in self._rows("discard_dead_letters", ids=list(ids), by=by, why=why)}

    @contextmanager
    def requeue_alone(self) -> Iterator[None]:
        """Keep every other operator from requeueing meanwhile.

        The lock is the connection's own, so it goes when the process does.

        Raises:
            DeadLetterError: somebody else requeues, and does not come to an end.
        """
        try:
            self._connection.execute(f"SET lock_timeout = '{LOCK_TIMEOUT_S}s'")
            self._connection.execute("SELECT pg_advisory_lock(%s)", [ADVISORY_LOCK])
        except pg.LockNotAvailable as error:
            raise DeadLetterError(
                f"somebody else has been requeueing for {LOCK_TIMEOUT_S} s now; try again when that is done"
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
        """Mark letters that are open as being requeued in a run, and return their ids."""
        return {row[0] for row in self._rows("claim_dead_letters", ids=list(ids), by=by, run=run)}

    def finish(self, run: int) -> int:
        """Mark what is being requeued, in this run or an earlier one, as requeued; return how many letters it was."""
        return self._connection.execute(QUERIES["finish_dead_letters"], {"run": run}).rowcount

    def reopen(self) -> int:
        """Mark what is being requeued as open again, and return how many letters it was."""
        return self._connection.execute(QUERIES["reopen_dead_letters"]).rowcount

    def _rows(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        return self._connection.execute(QUERIES[query], values).fetchall()


@contextmanager
def open_dead_letters(ledger_url: str) -> Iterator[PostgresDeadLetters]:
    """Lend the dead letters of a ledger.

    Raises:
        LedgerUnavailableError: the ledger cannot be reached, has no tables yet, or takes no writes.
    """
    try:
        with psycopg.connect(ledger_url, connect_timeout=5, autocommit=True) as connection:
            yield PostgresDeadLetters(connection)
    except pg.UndefinedTable as error:
        raise LedgerUnavailableError("the ledger has no tables yet; run: holdfast ledger migrate") from error
    except (pg.OperationalError, pg.InterfaceError, pg.ReadOnlySqlTransaction) as error:
        reason = str(error).strip().splitlines()[0]
        raise LedgerUnavailableError(f"HOLDFAST_LEDGER_URL: the ledger cannot be used: {reason}") from error


def read_letter(row: tuple[Any, ...]) -> DeadLetter:
    """Return a row of the query `dead_letters` as a letter."""
    letter_id, written_at, key, packed, size, status, settled_at, settled_by, why = row
    theirs, ours = part_headers(msgspec.msgpack.decode(packed, type=Headers))
    return DeadLetter(
        letter_id,
        written_at,
        key,
        theirs,
        size,
        ours["holdfast_stage"],
        ours["holdfast_reason"],
        ours["holdfast_detail"],
        ours["holdfast_topic"],
        int(ours["holdfast_partition"]),
        int(ours["holdfast_offset"]),
        Status(status),
        settled_at,
        settled_by,
        why,
        ours.get("holdfast_truncated", ""),
    )


def part_headers(headers: Headers) -> tuple[Headers, dict[str, str]]:
    """Part a dead letter's headers into the producer's and ours.

    Ours begin at the last `holdfast_dead_letter_id`: a producer that sent a dead letter back by hand, with all its
    headers, has such ones of its own, and they are to be kept.
    """
    names = [name for name, _ in headers]
    first = len(names) - 1 - names[::-1].index(FIRST_OF_OURS)
    return headers[:first], {name: (value or b"").decode() for name, value in headers[first:]}


def _is_meant(letter: DeadLetter, wanted: DeadLetterFilter) -> bool:
    """Compare what only the headers tell, and they are opaque to the database."""
    return wanted.reason in (None, letter.reason) and wanted.topic in (None, letter.topic)
