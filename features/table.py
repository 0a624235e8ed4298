"""Columns of facts about a batch of customers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from numpy.typing import NDArray

    Column = NDArray[Any]

Kind = Literal["number", "boolean", "other"]


@dataclass(frozen=True, slots=True)
class FeatureTable:
    """Facts of n customers, one array of length n per fact.

    A numeric column is float64 with NaN for null; a column of truth values without nulls is bool; any other
    column has dtype object and holds str, bool, None, or lists and objects of JSON.
    """

    customer_ids: tuple[str, ...]
    columns: Mapping[str, Column]

    def __len__(self) -> int:
        return len(self.customer_ids)

    @classmethod
    def from_rows(
        cls,
        customer_ids: Sequence[str],
        names: Sequence[str],
        rows: Sequence[Sequence[Any]],
        kinds: Sequence[Kind | None] | None = None,
    ) -> FeatureTable:
        """Build a table from one row of values per customer, in the order of `names`.

        `kinds` gives the kind of each column; without it the values decide, and a column of nulls is numeric.
        """
        values = zip(*rows, strict=True) if rows else ([] for _ in names)
        cells = zip(names, values, kinds or [None] * len(names), strict=True)
        return cls(tuple(customer_ids), {name: column(v, kind) for name, v, kind in cells})

    def with_columns(self, more: Mapping[str, Column]) -> FeatureTable:
        """Return this table with columns added or replaced."""
        return FeatureTable(self.customer_ids, {**self.columns, **more})

    def take(self, positions: Sequence[int] | NDArray[np.intp]) -> FeatureTable:
        """Return the rows at `positions`, in that order."""
        index = np.asarray(positions, dtype=np.intp)
        ids = tuple(map(self.customer_ids.__getitem__, index.tolist()))
        return FeatureTable(ids, {name: values[index] for name, values in self.columns.items()})

    def row(self, position: int) -> dict[str, Any]:
        """Return one customer's facts as plain JSON values, null as None."""
        return {name: plain(values[position]) for name, values in self.columns.items()}


def column(values: Iterable[Any], kind: Kind | None = None) -> Column:
    """Return plain values as a column: float64 if all are numbers or null, bool, or object.

    Args:
        values: JSON values, null as None.
        kind: the kind of the column; without it the types of the values decide.
    """
    cells = list(values)
    kind = kind or _kind(cells)
    if kind == "number":
        # numpy converts None to NaN here.
        return np.array(cells, dtype=np.float64)
    if kind == "boolean" and None not in cells:
        return np.array(cells, dtype=np.bool_)
    # Not np.array: it would make a second dimension of cells that are lists.
    return np.fromiter(cells, dtype=object, count=len(cells))


EXACT_BELOW = 2**53
"""Facts are doubles, which have every whole number below this and not those above."""


def clear_inexact(numbers: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
    """Return a column of exact numbers without those that a double may round to a neighbour, and how many they were.

    Two long card numbers must not become equal. Infinity, as a numeric beyond double becomes, is kept: it compares as
    it should.
    """
    # NaN and infinity are no rounded numbers; of NaN every comparison is false.
    large = (np.abs(numbers) >= EXACT_BELOW) & np.isfinite(numbers)
    return (np.where(large, np.nan, numbers), int(large.sum())) if large.any() else (numbers, 0)


def find_kind(values: Column) -> Kind:
    """Return the kind of a column; one of truth values with nulls is of kind other."""
    return {"f": "number", "b": "boolean"}.get(values.dtype.kind, "other")  # type: ignore[return-value]


def _kind(cells: Sequence[Any]) -> Kind:
    kinds = {type(cell) for cell in cells}
    if kinds == {bool}:
        return "boolean"
    return "number" if kinds <= {int, float, type(None)} else "other"


def plain(cell: Any) -> Any:
    """Return a cell as a JSON value: NaN is null, whole floats stay floats."""
    if isinstance(cell, np.generic):
        cell = cell.item()
    return None if isinstance(cell, float) and cell != cell else cell  # noqa: PLR0124 - NaN is the one value unequal to itself


def to_json(cell: Any) -> Any:
    """Return a value of a database as a JSON value; NaN is null."""
    match cell:
        case float() | Decimal():
            number = float(cell)
            return None if number != number else number  # noqa: PLR0124 - NaN is the one value unequal to itself
        case None | str() | bool() | int():
            return cell
        case dict():
            return {str(name): to_json(each) for name, each in cell.items()}
        case list() | tuple() | np.ndarray():
            return [to_json(each) for each in (cell.tolist() if isinstance(cell, np.ndarray) else cell)]
        case datetime() | date() | time() | timedelta():
            return cell.total_seconds() if isinstance(cell, timedelta) else cell.isoformat()
        case _:
            return str(cell)
