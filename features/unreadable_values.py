"""Values of the warehouse that cannot be read: they are null for their customer, counted, and shown in health."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SHOWN_COLUMNS = 5
SHOWN_FOR_S = 900.0


class UnreadableValues:
    """Counts unreadable values by column.

    Args:
        clock: monotonic seconds.
        shown_for_s: how long `describe` names a column after its last unreadable value.

    Attributes:
        counts: the number of values since the start, by column.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, shown_for_s: float = SHOWN_FOR_S) -> None:
        self._clock = clock
        self._shown_for_s = shown_for_s
        self._last: dict[str, float] = {}
        self.counts: Counter[str] = Counter()

    def add(self, counts: Mapping[str, int]) -> None:
        """Count the unreadable values of one read, by column."""
        self.counts.update(counts)
        self._last.update(dict.fromkeys(counts, self._clock()))

    def describe(self) -> list[str]:
        """Return one line for each column with a recent unreadable value, for `SHOWN_COLUMNS` of them at most."""
        earliest = self._clock() - self._shown_for_s
        recent = [name for name, seen in self._last.items() if seen >= earliest]
        shown = [
            f"warehouse: column {name!r} has values that cannot be read ({self.counts[name]} so far); "
            "they count as null; correct them, or cast the column to text in the view"
            for name in recent[:SHOWN_COLUMNS]
        ]
        more = len(recent) - len(shown)
        return [*shown, f"warehouse: {more} more columns have values that cannot be read"] if more else shown
