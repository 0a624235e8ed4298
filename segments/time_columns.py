"""The operators of `time.` on whole columns: each distinct text is parsed once for all rules of a batch.

The results equal those of `segments.moments` on single values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from segments.moments import DAY, read_moment
from segments.vectorized import BoolColumn, Cells, Constant, Numbers, Texts, parse_floats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segments.vectorized import Floats, Moments, Value

# No time is so early: years begin with 1.
NO_MOMENT = np.iinfo(np.int64).min


def apply_to_times(name: str, args: Sequence[Value]) -> Value | None:
    """Apply an operator to columns of which one has a row for each customer; None where each cell must be computed."""
    first, second = read_moments(args[0]), read_moments(args[-1])
    match name:
        case "time.days_since":
            days, null = _ages(first, second), (first == NO_MOMENT) | (second == NO_MOMENT)
            return Numbers(np.where(null, np.nan, days), null, np.where(null, 0.0, days))
        case "time.within_last":
            days, most = _ages(first, second), parse_floats(args[1])
            known = (first != NO_MOMENT) & (second != NO_MOMENT)
            return None if most is None else BoolColumn(known & (days >= 0) & (days <= most))
        case "time.before":
            return BoolColumn((first != NO_MOMENT) & (first < second))
        case _:
            return BoolColumn((second != NO_MOMENT) & (second < first))


def read_moments(value: Value) -> Moments:
    """Return the times of a column in microseconds since 1970, of a constant in an array of one."""
    match value:
        case Texts():
            if not value.moments:
                value.moments.append(_moments(value.distinct))
            return value.moments[0][value.codes]
        case Constant():
            return _moments([value.value])
        case Cells():
            return _moments(value.data)
        case _:
            return np.full(len(value.data), NO_MOMENT)


def _moments(cells: Sequence[Any]) -> Moments:
    moments = [NO_MOMENT if (moment := read_moment(cell)) is None else moment for cell in cells]
    return np.array(moments, dtype=np.int64)


def _ages(then: Moments, now: Moments) -> Floats:
    # The difference to what is no time overflows, and is not used.
    with np.errstate(over="ignore"):
        return np.asarray((now - then).astype(np.float64) / DAY)
