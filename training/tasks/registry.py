"""What can be learned: churn, lifetime value and the next best offer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from models.errors import ModelInputError
from models.inputs import numbers
from models.rules import churn_rule, lifetime_value_rule, offers_rule

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from features.table import FeatureTable
    from models.rules import Rule

OFFERS = 8
LikelihoodName = Literal["binary", "zero_inflated_lognormal", "gamma", "tweedie"]


@dataclass(frozen=True, slots=True)
class Task:
    """Something to learn from rows of the warehouse.

    Attributes:
        name: also the model's folder.
        query: the task's own SQL, with :start_date.
        label: the column that holds the outcome.
        date_column: the column by which rows are split in time, if the query returns it.
        outputs: how many scores the model gives.
        targets: makes the outcomes of a table, shape [rows, outputs], -1 where not observed.
        rule: what stands in where there is no model.
        window_column: the column that tells the days a label covers, if the query returns it.
        window_days: how many days a label covers where no column tells; 0 where labels are of the moment.
        likelihoods: the likelihoods to choose from.
        variable: the environment variable that may hold the user's own SQL.
    """

    name: Literal["churn", "ltv", "nbo"]
    query: str
    label: str
    date_column: str
    outputs: int
    targets: Callable[[FeatureTable], NDArray[np.float32]]
    rule: Rule
    variable: str
    window_days: int
    window_column: str = "window_days"

    likelihoods: tuple[LikelihoodName, ...] = ("binary",)


def churn_targets(table: FeatureTable) -> NDArray[np.float32]:
    """Return column churned as targets of shape [rows, 1].

    Raises:
        ModelInputError: the column is missing, or holds something other than 0, 1 and null.
    """
    return _codes(table, "churned", (0, 1))[:, None].astype(np.float32)


def offer_targets(table: FeatureTable) -> NDArray[np.float32]:
    """Return whether each offer converted, shape [rows, 8], -1 for offers that were not shown.

    Where shown_offer_id is not logged, or nothing but conversions is, it is not known what was declined. Then
    the offers not converted on count as 0 and the model learns the share of each offer in all conversions.

    Raises:
        ModelInputError: a column is missing, or holds something other than 1 to 8 and null.
    """
    ids = tuple(range(1, OFFERS + 1))
    converted = _codes(table, "converted_offer_id", ids)
    targets = np.zeros((len(table), OFFERS), dtype=np.float32)
    if "shown_offer_id" in table.columns and (converted < 0).any():
        shown = _codes(table, "shown_offer_id", ids)
        targets[:] = -1
        targets[np.flatnonzero(shown > 0), shown[shown > 0] - 1] = 0
    rows = np.flatnonzero(converted > 0)
    targets[rows, converted[rows] - 1] = 1
    return targets


def spend_targets(table: FeatureTable) -> NDArray[np.float32]:
    """Return column spend as targets of shape [rows, 1]: money, 0 or more.

    Raises:
        ModelInputError: the column is missing, or holds text, null or less than 0.
    """
    if "spend" not in table.columns:
        raise ModelInputError("the training query returned no column 'spend'; add it to the query")
    spend = numbers("spend", table.columns["spend"])
    wrong = ~(np.isfinite(spend) & (spend >= 0))
    if wrong.any():
        raise ModelInputError(
            f"column 'spend' holds {spend[wrong][0]:g} in {int(wrong.sum()):,} of {len(spend):,} rows; money is "
            "0 or more: leave out rows not yet known and use greatest(spend, 0) where refunds were taken off"
        )
    return spend[:, None].astype(np.float32)


def _codes(table: FeatureTable, name: str, allowed: tuple[int, ...]) -> NDArray[np.int64]:
    """Return a column of whole numbers, null as -1."""
    if name not in table.columns:
        raise ModelInputError(f"the training query returned no column {name!r}; add it to the query")
    cells = numbers(name, table.columns[name])
    codes = np.where(np.isnan(cells), -1, cells)
    wrong = ~np.isin(codes, (-1, *allowed))
    if wrong.any():
        raise ModelInputError(
            f"column {name!r} holds {codes[wrong][0]:g}; it may hold {allowed[0]} to {allowed[-1]} or null"
        )
    return codes.astype(np.int64)


TASKS: dict[str, Task] = {
    "churn": Task(
        name="churn",
        query="""
            SELECT * FROM customer_churn_history
            WHERE churned IS NOT NULL AND snapshot_date >= :start_date
            ORDER BY snapshot_date, customer_id""",
        label="churned",
        date_column="snapshot_date",
        outputs=1,
        targets=churn_targets,
        rule=churn_rule,
        variable="DWH_CHURN_TRAINING_QUERY",
        window_days=90,
    ),
    "ltv": Task(
        name="ltv",
        query="""
            SELECT * FROM customer_ltv_history
            WHERE spend IS NOT NULL AND snapshot_date >= :start_date
            ORDER BY snapshot_date, customer_id""",
        label="spend",
        date_column="snapshot_date",
        outputs=1,
        targets=spend_targets,
        rule=lifetime_value_rule,
        variable="DWH_LTV_TRAINING_QUERY",
        window_days=365,
        likelihoods=("zero_inflated_lognormal", "gamma", "tweedie"),
    ),
    "nbo": Task(
        name="nbo",
        query="""
            SELECT * FROM customer_offer_history
            WHERE created_at >= :start_date
            ORDER BY created_at, customer_id""",
        label="converted_offer_id",
        date_column="created_at",
        outputs=OFFERS,
        targets=offer_targets,
        rule=offers_rule,
        variable="DWH_NBO_TRAINING_QUERY",
        window_days=0,
    ),
}
