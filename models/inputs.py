"""From a table of facts to the matrix a model takes. Training and serving both go through here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from models.errors import ModelInputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from features.table import Column, FeatureTable

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


def model_inputs(table: FeatureTable, columns: Sequence[str]) -> NDArray[np.float32]:
    """Return the columns as a matrix of shape [customers, columns]; null is NaN, true is 1.

    Raises:
        ModelInputError: a column is not in the table, or holds text.
    """
    matrix = np.empty((len(table), len(columns)), dtype=np.float32)
    # A value beyond float32 becomes infinite, which the graph clamps.
    with np.errstate(over="ignore"):
        for position, name in enumerate(columns):
            if name not in table.columns:
                raise ModelInputError(
                    f"the model needs column {name!r}, which the warehouse did not return; "
                    "add it to the view or map the feature to another column in ML_FEATURE_MAPPING"
                )
            matrix[:, position] = numbers(name, table.columns[name])
    return matrix


def numbers(name: str, cells: Column) -> NDArray[np.float64]:
    """Return a column as float64, null as NaN.

    Raises:
        ModelInputError: a cell is neither number, truth value nor null.
    """
    try:
        return cells.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ModelInputError(
            f"column {name!r} is to be numbers for the model ({error}); map the feature to a numeric column"
        ) from error
