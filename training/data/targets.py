"""Reading of outcome columns, for the tasks' targets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from features.table import plain
from models.errors import ModelInputError
from models.inputs import numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from features.table import FeatureTable


_TRUTHS: dict[Any, int] = {None: -1, 1: 1, 0: 0, **dict.fromkeys(("1", "t", "true", "y", "yes"), 1)}
_TRUTHS |= dict.fromkeys(("0", "f", "false", "n", "no"), 0)


def read_codes(table: FeatureTable, name: str, low: int, high: int | None) -> NDArray[np.int64]:
    """Return a column of whole numbers, null as -1.

    Args:
        table: the training rows.
        name: of the column.
        low: the least value allowed.
        high: the greatest; None for no limit.

    Raises:
        ModelInputError: the column is missing, or holds another value.
    """
    _require(table, name)
    cells = numbers(name, table.columns[name])
    codes = np.where(np.isnan(cells), -1, cells)
    wrong = (codes != -1) & ((codes < low) | (codes != np.floor(codes)) | (codes > (np.inf if high is None else high)))
    if wrong.any():
        allowed = f"{low} or more" if high is None else f"{low} to {high}"
        raise ModelInputError(f"column {name!r} holds {codes[wrong][0]:g}; it may hold {allowed} or null")
    return codes.astype(np.int64)


def read_truths(table: FeatureTable, name: str) -> NDArray[np.int64]:
    """Return a column of outcomes as 1 or 0, null as -1: numbers, truth values, or text in any case.

    Raises:
        ModelInputError: the column is missing, or holds another value.
    """
    _require(table, name)
    cells = [plain(cell) for cell in table.columns[name]]
    codes = [_TRUTHS.get(cell.strip().lower() if isinstance(cell, str) else cell) for cell in cells]
    if wrong := sorted(
        {
            f"{cell:g}" if isinstance(cell, float) else repr(cell)
            for cell, code in zip(cells, codes, strict=True)
            if code is None
        }
    ):
        raise ModelInputError(
            f"the label {name!r} holds {', '.join(wrong[:5])}; it may hold 1 and 0, true and false, yes and no, or "
            f"null: translate it in the query, as ({name} = {wrong[0]})::int AS {name}"
        )
    return np.array(codes, dtype=np.int64)


def read_amounts(table: FeatureTable, name: str) -> NDArray[np.float64]:
    """Return a column of money, 0 or more.

    Raises:
        ModelInputError: the column is missing, or holds text, null or less than 0.
    """
    _require(table, name)
    amounts = numbers(name, table.columns[name])
    wrong = ~(np.isfinite(amounts) & (amounts >= 0))
    if wrong.any():
        raise ModelInputError(
            f"column {name!r} holds {amounts[wrong][0]:g} in {int(wrong.sum()):,} of {len(amounts):,} rows; amounts "
            f"must be 0 or more: leave out rows whose {name} is not known yet, and use greatest({name}, 0) where "
            "refunds were subtracted"
        )
    return amounts


def _require(table: FeatureTable, name: str) -> None:
    if name not in table.columns:
        folded = name.lower()
        hint = f"; there is {folded!r}, as PostgreSQL folds names without quotes" if folded in table.columns else ""
        raise ModelInputError(f"the training query returned no column {name!r}{hint}; add it to the query")
