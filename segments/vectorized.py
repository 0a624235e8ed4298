"""JSONLogic operators on whole columns. The results equal those of `segments.operators` on single values.

A value of a rule is one of five shapes: a constant, numbers, truth values, texts (each distinct text
kept once), or cells of any JSON. Numbers and texts have fast paths; all else is computed cell
by cell with the operators on single values, so every shape gives the same result.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from features.table import FeatureTable, plain
from features.times import EVENT_TIME
from segments.names import MISSING, look_up
from segments.operators import OPERATORS, normal, parse_float, to_number, truthy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from features.table import Column

    Mask = NDArray[np.bool_]
    Floats = NDArray[np.float64]
    Moments = NDArray[np.int64]
    # A kernel returns None if it has no faster way than cell by cell.
    Kernel = Callable[[Sequence["Value"], int], "Value | None"]


@dataclass(frozen=True, slots=True, eq=False)
class Constant:
    """One value for every row."""

    value: Any


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """Numbers with their nulls; where `null` is true, `data` is NaN and `coerced` is 0, as in ToNumber."""

    data: Floats
    null: Mask
    coerced: Floats


@dataclass(frozen=True, slots=True, eq=False)
class BoolColumn:
    """Truth values without null."""

    data: Mask


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """Texts and nulls: row i holds `distinct[codes[i]]`; `moments` keeps the times in `distinct`, once parsed."""

    distinct: tuple[str | None, ...]
    codes: NDArray[np.intp]
    moments: list[Moments] = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Any JSON values."""

    data: tuple[Any, ...]


Value = Constant | Numbers | BoolColumn | Texts | Cells


class Facts:
    """The columns of a table as rules read them, each prepared once for all rules.

    Attributes:
        table: the table.
        masks: where an operation is true, by its text: an operation of several rules is computed once.
        values: the values of a `reduce`, likewise.
        elements: the elements of arrays, see segments/iteration.py, by the text of what computes the arrays.
        count: how many rows there are.
    """

    def __init__(self, table: FeatureTable) -> None:
        self.table = table
        self._columns = table.columns
        self._prepared: dict[str, Value] = {}
        self.masks: dict[str, Mask] = {}
        self.values: dict[str, Value] = {}
        self.elements: dict[str, Elements] = {}
        self._parts: dict[tuple[str, ...], Value] = {}
        self._rows: dict[frozenset[str] | None, Sequence[Any]] = {}
        self.count = len(table)

    def fact(self, name: str) -> Value | None:
        """Return a column's values, or None if there is no such column."""
        value = self._prepared.get(name)
        if value is None and name in self._columns:
            value = self._prepared[name] = from_column(self._columns[name])
        return value

    def rows(self, names: frozenset[str] | None) -> Sequence[Any]:
        """Return each row's data: an object of the named columns that exist, None for all columns."""
        rows = self._rows.get(names)
        if rows is None:
            wanted = [name for name in (self._columns if names is None else names) if name in self._columns]
            cells = [to_cells(column, self.count) for name in wanted if (column := self.fact(name)) is not None]
            rows = [dict(zip(wanted, row, strict=True)) for row in zip(*cells, strict=True)] or [{}] * self.count
            self._rows[names] = rows
        return rows

    def parts(self, keys: Sequence[str]) -> list[Any]:
        """Return the part of each row's data that the keys lead to, MISSING where there is none."""
        if len(keys) == 1:
            (key,) = keys
            return [
                data[key] if type(data) is dict and key in data else look_up(data, keys) for data in self.rows(None)
            ]
        return [look_up(data, keys) for data in self.rows(None)]

    def part(self, keys: tuple[str, ...]) -> Value:
        """Return the same as a column, with null where there is none."""
        value = self._parts.get(keys)
        if value is None:
            value = self._parts[keys] = from_cells([None if part is MISSING else part for part in self.parts(keys)])
        return value

    def event_times(self) -> Value:
        """Return the time of the event that each row is evaluated for; null where it is unknown."""
        return self.fact(EVENT_TIME) or Constant(None)


class Elements(Facts):
    """The elements of one array per row, as the rows of a table of their own.

    Attributes:
        data: the elements, those of the first row first.
        owners: the row that each element is of.
        lengths: how many elements each row has.
    """

    def __init__(self, outer: Facts, data: Sequence[Any], lengths: Sequence[int]) -> None:
        super().__init__(FeatureTable((), {}))
        self.data = data
        self.count = len(data)
        self.lengths = np.array(lengths, dtype=np.intp)
        self.owners = np.repeat(np.arange(len(lengths)), self.lengths)
        self._outer = outer
        self._event_times: Value | None = None

    def rows(self, _: frozenset[str] | None) -> Sequence[Any]:
        """Return the elements."""
        return self.data

    def event_times(self) -> Value:
        """Return the time of the event of each element's row."""
        if self._event_times is None:
            self._event_times = take(self._outer.event_times(), self.owners)
        return self._event_times


def take(value: Value, rows: NDArray[np.intp]) -> Value:
    """Return the rows at these places, in their order."""
    match value:
        case Constant():
            return value
        case Numbers():
            return Numbers(value.data[rows], value.null[rows], value.coerced[rows])
        case BoolColumn():
            return BoolColumn(value.data[rows])
        case Texts():
            return Texts(value.distinct, value.codes[rows], value.moments)
        case Cells():
            return Cells(tuple(value.data[row] for row in rows.tolist()))


def from_column(column: Column) -> Value:
    """Return a table's column as a value; NaN and None are null."""
    if column.dtype.kind == "b":
        return BoolColumn(column)
    if column.dtype.kind in "fiu":
        data = column.astype(np.float64)
        return _numbers(data, np.isnan(data))
    cells = column.tolist()
    if not {type(cell) for cell in cells} <= {str, bool, type(None)}:
        cells = [normal(plain(cell)) for cell in cells]
    return from_cells(cells)


def from_cells(cells: Sequence[Any]) -> Value:
    """Return JSON values, one per row, in the narrowest shape that holds them; NaN stays NaN."""
    kinds = {type(cell) for cell in cells}
    if kinds == {bool}:
        return BoolColumn(np.array(cells, dtype=np.bool_))
    if kinds <= {str, type(None)}:
        places: dict[str | None, int] = {}
        codes = [places.setdefault(cell, len(places)) for cell in cells]
        return Texts(tuple(places), np.array(codes, dtype=np.intp))
    if kinds <= {float, type(None)}:
        null = np.array([cell is None for cell in cells], dtype=np.bool_)
        return _numbers(np.array(cells, dtype=np.float64), null)
    return Cells(tuple(cells))


def from_numbers(data: Floats) -> Numbers:
    """Return numbers without nulls; NaN stays NaN."""
    return _numbers(data, np.zeros(len(data), dtype=np.bool_))


def _numbers(data: Floats, null: Mask) -> Numbers:
    return Numbers(data, null, np.where(null, 0.0, data))


def to_cells(value: Value, count: int) -> Sequence[Any]:
    """Return one JSON value per row."""
    match value:
        case Constant():
            return [value.value] * count
        case Numbers():
            pairs = zip(value.data.tolist(), value.null.tolist(), strict=True)
            return [None if null else number for number, null in pairs]
        case BoolColumn():
            return value.data.tolist()  # type: ignore[no-any-return]
        case Texts():
            return [value.distinct[code] for code in value.codes]
        case Cells():
            return value.data


def truths(value: Value, count: int) -> Mask:
    """Return the rows whose value is true in JSONLogic."""
    match value:
        case Constant():
            return np.full(count, truthy(value.value), dtype=np.bool_)
        case Numbers():
            return np.asarray((value.coerced != 0) & ~np.isnan(value.coerced))
        case BoolColumn():
            return value.data
        case Texts():
            return np.array([truthy(text) for text in value.distinct], dtype=np.bool_)[value.codes]
        case Cells():
            return np.array([truthy(cell) for cell in value.data], dtype=np.bool_)


def blanks(value: Value, count: int) -> Mask:
    """Return the rows whose value is null or an empty text, which is what `missing` looks for."""
    match value:
        case Constant():
            return np.full(count, is_blank(value.value), dtype=np.bool_)
        case Numbers():
            return value.null
        case BoolColumn():
            return np.zeros(count, dtype=np.bool_)
        case Texts():
            return np.array([is_blank(text) for text in value.distinct], dtype=np.bool_)[value.codes]
        case Cells():
            return np.array([is_blank(cell) for cell in value.data], dtype=np.bool_)


def is_blank(cell: Any) -> bool:
    """Return whether a value is null or an empty text."""
    return cell is None or (isinstance(cell, str) and not cell)


def choose(where: Mask, then: Value, otherwise: Value) -> Value:
    """Return `then` in the rows where the mask is true, and `otherwise` in the others."""
    rows = zip(where.tolist(), to_cells(then, len(where)), to_cells(otherwise, len(where)), strict=True)
    return from_cells([first if chosen else second for chosen, first, second in rows])


def arrays(parts: Sequence[Value], count: int) -> Value:
    """Return an array per row, made of the parts in that row."""
    return Cells(tuple(list(row) for row in zip(*(to_cells(part, count) for part in parts), strict=True)))


def apply(name: str, args: Sequence[Value], count: int) -> Value:
    """Apply an operator to whole columns."""
    if all(isinstance(arg, Constant) for arg in args):
        return Constant(OPERATORS[name].apply(*(arg.value for arg in args if isinstance(arg, Constant))))
    result = _per_distinct_value(name, args)
    if result is None and name in _KERNELS:
        result = _KERNELS[name](args, count)
    return _per_cell(name, args, count) if result is None else result


def _per_cell(name: str, args: Sequence[Value], count: int) -> Value:
    operator = OPERATORS[name].apply
    rows = zip(*(to_cells(arg, count) for arg in args), strict=True)
    return from_cells([operator(*row) for row in rows])


def _per_distinct_value(name: str, args: Sequence[Value]) -> Value | None:
    """Compute once for each distinct text or truth value, where all other arguments are constants."""
    columns = [arg for arg in args if not isinstance(arg, Constant)]
    if len(columns) != 1 or not isinstance(columns[0], Texts | BoolColumn):
        return None
    distinct, codes = _coded(columns[0])
    operator = OPERATORS[name].apply
    answers = [operator(*(_constant_or(arg, each) for arg in args)) for each in distinct]
    if {type(answer) for answer in answers} == {bool}:
        return BoolColumn(np.array(answers, dtype=np.bool_)[codes])
    return from_cells([answers[code] for code in codes])


def _coded(value: Texts | BoolColumn) -> tuple[tuple[str | bool | None, ...], NDArray[np.intp]]:
    if isinstance(value, Texts):
        return value.distinct, value.codes
    return (False, True), value.data.astype(np.intp)


def _constant_or(arg: Value, cell: Any) -> Any:
    return arg.value if isinstance(arg, Constant) else cell


def to_numbers(value: Value, count: int) -> Floats | float:
    """Return ToNumber of a value in every row, one number for a constant."""
    numbers = _coerced(value)
    if numbers is None:
        return np.array([to_number(cell) for cell in to_cells(value, count)], dtype=np.float64)
    return numbers


def _coerced(value: Value) -> Floats | float | None:
    """Return ToNumber of a value, or None where each cell would have to be converted."""
    match value:
        case Numbers():
            return value.coerced
        case BoolColumn():
            return value.data.astype(np.float64)
        case Constant():
            return to_number(value.value)
        case _:
            return None


def parse_floats(value: Value) -> Floats | float | None:
    """Return parseFloat of a value, or None where each cell would have to be parsed; parseFloat of null is NaN."""
    match value:
        case Numbers():
            return value.data
        case Constant():
            return parse_float(value.value)
        case _:
            return None


def _ordering(compare: Callable[[Any, Any], Any]) -> Kernel:
    def kernel(args: Sequence[Value], _: int) -> Value | None:
        # Two adjacent constants may both be texts, which are not compared as numbers.
        if any(isinstance(left, Constant) and isinstance(right, Constant) for left, right in pairwise(args)):
            return None
        sides = [_coerced(arg) for arg in args]
        if any(side is None for side in sides):
            return None
        return BoolColumn(reduce(np.logical_and, (compare(left, right) for left, right in pairwise(sides))))

    return kernel


def _equality(*, strict: bool, wanted: bool) -> Kernel:
    def kernel(args: Sequence[Value], _: int) -> Value | None:
        left, right = args if isinstance(args[0], Numbers) else (args[1], args[0])
        if not isinstance(left, Numbers):
            return None
        equal = _equals(left, right, strict=strict)
        return None if equal is None else BoolColumn(equal == wanted)

    return kernel


def _equals(left: Numbers, right: Value, *, strict: bool) -> Mask | None:
    if isinstance(right, Numbers):
        return np.asarray((left.data == right.data) | (left.null & right.null))
    if not isinstance(right, Constant):
        return None
    if right.value is None:
        return left.null
    if strict and not isinstance(right.value, float):
        return np.zeros(len(left.null), dtype=np.bool_)
    return np.asarray(left.data == to_number(right.value))


def _membership(args: Sequence[Value], count: int) -> Value | None:
    needle, haystack = args
    if not (isinstance(needle, Numbers) and isinstance(haystack, Constant) and isinstance(haystack.value, list)):
        return None
    numbers = [each for each in haystack.value if isinstance(each, float)]
    mask = np.isin(needle.data, numbers) if numbers else np.zeros(count, dtype=np.bool_)
    return BoolColumn(mask | needle.null if None in haystack.value else mask)


def _arithmetic(
    compute: Callable[[Any, Any], Any], read: Callable[[Value], Floats | float | None], *start: float
) -> Kernel:
    def kernel(args: Sequence[Value], count: int) -> Value | None:
        sides = [*start, *(read(arg) for arg in args)]
        if len(sides) == 1 or any(side is None for side in sides):
            return None
        with np.errstate(all="ignore"):
            data = np.asarray(reduce(compute, sides))
        return _numbers(data, np.zeros(count, dtype=np.bool_))

    return kernel


ORDERINGS: Mapping[str, Callable[[Floats, float], Mask]] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}
_KERNELS: Mapping[str, Kernel] = {
    **{name: _ordering(compare) for name, compare in ORDERINGS.items()},
    "==": _equality(strict=False, wanted=True),
    "===": _equality(strict=True, wanted=True),
    "!=": _equality(strict=False, wanted=False),
    "!==": _equality(strict=True, wanted=False),
    "in": _membership,
    "+": _arithmetic(np.add, parse_floats, 0.0),
    "*": _arithmetic(np.multiply, parse_floats),
    "-": _arithmetic(np.subtract, _coerced),
    "/": _arithmetic(np.divide, _coerced),
}
