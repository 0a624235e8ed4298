"""Reading of outcome columns, for the tasks' targets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from models.errors import ModelInputError
from models.inputs import numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from features.table import FeatureTable


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
    if name not in table.columns:
        raise ModelInputError(f"the training query returned no column {name!r}; add it to the query")
    cells = numbers(name, table.columns[name])
    codes = np.where(np.isnan(cells), -1, cells)
    wrong = (codes != -1) & ((codes < low) | (codes != np.floor(codes)) | (codes > (np.inf if high is None else high)))
    if wrong.any():
        allowed = f"{low} or more" if high is None else f"{low} to {high}"
        raise ModelInputError(f"column {name!r} holds {codes[wrong][0]:g}; it may hold {allowed} or null")
    return codes.astype(np.int64)


def read_amounts(table: FeatureTable, name: str) -> NDArray[np.float64]:
    """Return a column of money, 0 or more.

    Raises:
        ModelInputError: the column is missing, or holds text, null or less than 0.
    """
    if name not in table.columns:
        raise ModelInputError(f"the training query returned no column {name!r}; add it to the query")
    amounts = numbers(name, table.columns[name])
    wrong = ~(np.isfinite(amounts) & (amounts >= 0))
    if wrong.any():
        raise ModelInputError(
            f"column {name!r} holds {amounts[wrong][0]:g} in {int(wrong.sum()):,} of {len(amounts):,} rows; amounts "
            f"must be 0 or more: leave out rows whose {name} is not known yet, and use greatest({name}, 0) where "
            "refunds were subtracted"
        )
    return amounts
