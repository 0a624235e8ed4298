"""Next purchase: how long until a customer buys again, as a discrete-time hazard model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from models.errors import ModelInputError
from models.inputs import numbers
from models.tasks.next_purchase import PERIODS
from training.evaluation.gates import check_better, check_calibration, check_not_worse
from training.task import Purpose, Task, Words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from features.table import FeatureTable
    from training.data.dataset import Split
    from training.evaluation.baselines import BaselineRows
    from training.evaluation.evaluation_data import EvaluationData
    from training.evaluation.gates import Gate
    from training.evaluation.thresholds import Costs, GateThresholds
    from training.report.sections import Cases, Section

FITTED = PERIODS // 4
"""Periods between two points at which baselines are fitted."""
OBSERVED_COLUMN = "days_observed"
"""Days for which a customer was followed, if the rows have it: it is not known what came after them."""


class NextPurchase(Task):
    """The task `next_purchase`."""

    name = "next_purchase"
    title = "Next purchase"
    summary = "Train the days until a customer buys again, from orders."
    predicts = (
        "For each customer and each twelfth of the window, the probability that the customer has bought nothing until "
        "its end{window}."
    )
    query = ""
    variable = "DWH_NEXT_PURCHASE_TRAINING_QUERY"
    label = "days_to_next_purchase"
    window_days = 90
    outputs = PERIODS
    likelihoods = ("discrete_hazard",)
    words = Words("bought nothing", "bought", "customers", "share without a purchase")
    purpose = Purpose(
        (
            "When to write to a customer: soon after the day by which they would have bought.",
            "Ordering customers by how soon they buy, and sums over many customers.",
        ),
        ("The day on which a single customer buys.", "Whether a message brings the purchase forward."),
    )

    def targets(self, table: FeatureTable) -> NDArray[np.float32]:
        """Return whether nothing was bought until the end of each period, shape [rows, 12]; -1 where it is not known.

        The label holds the days from a row's date to the next purchase, 0 on that day, null where there is none within
        the window or within `days_observed`.
        """
        if self.label not in table.columns:
            raise ModelInputError(f"the training query returned no column {self.label!r}; add it to the query")
        wait = numbers(self.label, table.columns[self.label])
        if (wait < 0).any():
            raise ModelInputError(
                f"column {self.label!r} holds {wait[wait < 0][0]:g}; it may hold 0 or more days, or null for none: "
                "count from the row's date on"
            )
        unlimited = np.full(len(table), float(self.window_days))
        followed = numbers(OBSERVED_COLUMN, table.columns.get(OBSERVED_COLUMN, unlimited))
        if np.isnan(followed).any() or (followed < 0).any():
            raise ModelInputError(f"column {OBSERVED_COLUMN!r} must hold 0 or more days in every row")
        ends = np.arange(1, PERIODS + 1) * self.window_days / PERIODS
        bought = np.nan_to_num(wait, nan=np.inf)[:, None] < np.minimum(ends, followed[:, None])
        known = bought | (ends <= followed[:, None])
        return np.where(known, ~bought, -1).astype(np.float32)

    def summarise(self, cells: NDArray[Any]) -> NDArray[Any]:
        """Return the last output: no purchase within the window."""
        return cells[:, -1:]

    def fit_baselines(self, rows: BaselineRows) -> dict[str, NDArray[np.float32]]:
        """Return the curve of all customers, and logistic regression and boosting.

        Of these one is fitted for each fourth of the window, with straight lines between: twelve cost three times as
        much and say little more.
        """
        from training.evaluation.baselines import probability_baselines
        from training.evaluation.survival import KAPLAN_MEIER, kaplan_meier

        curve = kaplan_meier(rows.targets).astype(np.float32)
        fitted = probability_baselines(replace(rows, targets=rows.targets[:, FITTED - 1 :: FITTED]))
        fitted.pop("constant")
        return {KAPLAN_MEIER: np.tile(curve, (len(rows.later_inputs), 1))} | {
            name: connect(each) for name, each in fitted.items()
        }

    def measure(self, data: EvaluationData, costs: Costs, thresholds: GateThresholds) -> dict[str, Any]:
        """Return the integrated Brier score, concordance, and calibration at the end of the window."""
        from training.evaluation.survival import measure_survival

        _ = costs, thresholds
        return measure_survival(data)

    def evaluate_gates(self, metrics: Mapping[str, Any], thresholds: GateThresholds) -> list[Gate]:
        """Require a lead over the curve of all customers, no loss against logistic regressions, and calibration."""
        return [
            check_better("kaplan_meier", metrics, thresholds.lead),
            check_not_worse("logistic_regression", metrics, thresholds),
            check_calibration(metrics, thresholds),
        ]

    def build_sections(self, manifest: Mapping[str, Any], data: EvaluationData, cases: Cases) -> tuple[Section, ...]:
        """Show the curves, and ranking and calibration at the end of the window."""
        from training.report import classification_sections, survival_sections

        _ = manifest
        return (
            survival_sections.curves_by_group(data),
            classification_sections.ranking(cases),
            classification_sections.probabilities(cases),
        )

    def describe_limits(self, rows: Split) -> list[str]:
        """Say that nothing is known beyond the window."""
        days = rows.earlier.window_days
        return [
            f"Nothing is known beyond {days} days: who does not buy by then counts with {days} in the expected days."
        ]


def connect(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return curves through 1 and points at every third period, shape [rows, periods]; they never rise."""
    # Fitted one by one, the points may.
    known = np.minimum.accumulate(np.hstack([np.ones((len(points), 1), np.float32), points]), axis=1)
    place = np.arange(1, PERIODS + 1) / FITTED
    before = np.minimum(place.astype(np.intp), points.shape[1] - 1)
    part = (place - before).astype(np.float32)
    curves: NDArray[np.float32] = (1 - part) * known[:, before] + part * known[:, before + 1]
    return curves
