"""Poison records: the records that make a batch fail, found by bisection; the others are decided without them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from streams.formats.events import Reject, RejectReason

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from streams.formats.events import Record

MOST_IN_A_ROW = 20

log = structlog.get_logger()


class PoisonSearch:
    """Finds the records that make a batch fail, and counts how many come in a row.

    Many in a row mean a bad release, view or rule rather than bad data: the error is raised, the process ends and no
    more records become dead letters.
    """

    def __init__(self, most_in_a_row: int = MOST_IN_A_ROW) -> None:
        self._most_in_a_row = most_in_a_row
        self._in_a_row = 0

    def note_success(self) -> None:
        """Reset the count: a record was decided."""
        self._in_a_row = 0

    async def find(
        self, records: Sequence[Record], fails: Callable[[Sequence[Record]], Awaitable[Exception | None]]
    ) -> list[Reject]:
        """Return the records that make the batch fail: all others together do not fail.

        Args:
            records: a batch, in order.
            fails: makes a dry run of records and returns their error, or None.

        Raises:
            Exception: the error of the last of too many in a row.
        """
        poison: list[Reject] = []
        kept: list[Record] = []
        rest = list(records)
        while rest and (error := await fails([*kept, *rest])) is not None:
            # The last record of the shortest prefix that fails is the cause.
            passes, fails_at = 0, len(rest)
            while fails_at - passes > 1:
                middle = (passes + fails_at) // 2
                found = await fails([*kept, *rest[:middle]])
                if found is None:
                    passes = middle
                else:
                    fails_at, error = middle, found
            self._count(passes, error)
            poison.append(describe_poison(rest[passes], error))
            kept, rest = [*kept, *rest[:passes]], rest[fails_at:]
        if rest:
            self.note_success()
        return poison

    def _count(self, passed_before: int, error: Exception) -> None:
        self._in_a_row = 1 if passed_before else self._in_a_row + 1
        if self._in_a_row > self._most_in_a_row:
            log.error("too_many_poison_records", in_a_row=self._in_a_row, advice="check the last release, rule or view")
            raise error


def describe_poison(record: Record, error: Exception) -> Reject:
    """Return the reject of a record that cannot be decided, with the error it raises."""
    detail = f"deciding it raises {type(error).__name__}: {error}".strip()
    return Reject(record, "decide", RejectReason.UNDECIDABLE, detail)
