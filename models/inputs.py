"""From a table of facts to the matrix a model takes. Training and serving both go through here."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from models.categories import encode
from models.errors import ModelInputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from features.table import Column, FeatureTable

    Categories = Mapping[str, Sequence[str]]
    """Those known, by the name of a column of text or of a feature."""

_NONE: Categories = {}

FEATURE_MAPPING: Mapping[str, str] = {
    "revenue": "total_revenue",
    "transaction_count": "transaction_count",
    "days_since_last": "days_since_last_transaction",
    "avg_transaction_value": "avg_transaction_value",
    "lifetime_value": "lifetime_value",
    "transactions_90d": "transactions_90d",
    "items": "items_total",
    "cancellations": "cancellations",
}
"""The default of ML_FEATURE_MAPPING: the model's name of a feature, and the warehouse column it is in."""


_EXAMPLE = """write the feature and its column, as {"recency": "days_since_last_transaction"}"""


def read_mapping(text: str) -> dict[str, str]:
    """Return a mapping of features to columns from JSON.

    Raises:
        ValueError: it is none; the message gives an example.
    """
    try:
        mapping = json.loads(text)
    except ValueError as error:
        raise ValueError(f"is not JSON ({error}); {_EXAMPLE}") from error
    if not isinstance(mapping, dict) or not mapping or not all(isinstance(each, str) for each in mapping.values()):
        raise ValueError(f"is not an object of names of columns; {_EXAMPLE}")
    return mapping


def model_inputs(table: FeatureTable, columns: Sequence[str], categories: Categories = _NONE) -> NDArray[np.float32]:
    """Return the columns as a matrix of shape [customers, columns]; null is NaN, true is 1, a category its code.

    Args:
        table: the customers.
        columns: in order.
        categories: those known, by column, of columns of text; see models/categories.py.

    Raises:
        ModelInputError: a column is not in the table, or holds text and is not among the categories.
    """
    found = [(name, _find(table, name)) for name in columns]
    read = [encode(cells, categories[name]) if name in categories else numbers(name, cells) for name, cells in found]
    return _fill(len(table), read)


def readable_inputs(
    table: FeatureTable, columns: Sequence[str], categories: Categories = _NONE
) -> tuple[NDArray[np.float32], Mapping[str, NDArray[np.bool_]]]:
    """Return the same matrix with NaN for each cell that cannot be read, and which cells of which columns those are.

    Every cell of a column of categories can be read.

    Raises:
        ModelInputError: a column is not in the table.
    """
    read: dict[str, tuple[NDArray[np.float64], NDArray[np.bool_] | None]] = {}
    for name in columns:
        cells = _find(table, name)
        read[name] = (encode(cells, categories[name]), None) if name in categories else readable_numbers(cells)
    matrix = _fill(len(table), [read[name][0] for name in columns])
    return matrix, {name: unreadable for name, (_, unreadable) in read.items() if unreadable is not None}


def _find(table: FeatureTable, name: str) -> Column:
    if name not in table.columns:
        raise ModelInputError(
            f"the model needs column {name!r}, which the warehouse did not return; "
            "add it to the view or map the feature to another column in ML_FEATURE_MAPPING"
        )
    return table.columns[name]


def _fill(rows: int, columns: Sequence[NDArray[np.float64]]) -> NDArray[np.float32]:
    matrix = np.empty((rows, len(columns)), dtype=np.float32)
    # A value beyond float32 becomes infinite, which the graph clamps.
    with np.errstate(over="ignore"):
        for position, cells in enumerate(columns):
            matrix[:, position] = cells
    return matrix


def numbers(name: str, cells: Column) -> NDArray[np.float64]:
    """Return a column as float64, null as NaN.

    Raises:
        ModelInputError: a cell is neither number, truth value nor null.
    """
    try:
        return cells.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        example = next((cell for cell in cells if isinstance(cell, str)), "gold")
        raise ModelInputError(
            f"column {name!r} is text, and the model reads numbers ({error}); return a number for each value that "
            f"matters, as ({name} = {example!r})::int, or train a model for each of its values with --segment-by {name}"
        ) from error


def readable_numbers(cells: Column) -> tuple[NDArray[np.float64], NDArray[np.bool_] | None]:
    """Return a column as float64, null as NaN, and which cells are neither number, truth value nor null.

    Those are NaN, too. None where all can be read: then no cell is looked at by itself.
    """
    try:
        return cells.astype(np.float64), None
    except (TypeError, ValueError, OverflowError):
        read = [_number(cell) for cell in cells]
        return np.array(read, dtype=np.float64), np.array([number is None for number in read], dtype=np.bool_)


def _number(cell: Any) -> float | None:
    """Return a cell as numpy reads it, null as NaN; None where it cannot be read."""
    try:
        return np.nan if cell is None else float(cell)
    except (TypeError, ValueError, OverflowError):
        return None
