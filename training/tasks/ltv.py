"""Lifetime value: the money a customer will spend in the coming 12 months."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from models.rules import YEAR_DAYS
from training.data.targets import read_amounts
from training.evaluation.gates import check_better, check_coverage, check_not_worse, check_totals
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

VALUE_QUANTILES = (0.5, 0.8)
"""Of the predictions of the training rows: where the value segments medium and high begin."""


class LifetimeValue(Task):
    """The task `ltv`."""

    name = "ltv"
    title = "Lifetime value"
    summary = "Train the money a customer will spend in the coming 12 months."
    predicts = "For each customer, the money the customer will spend{window}."
    query = """
        SELECT * FROM customer_ltv_history
        WHERE {label} IS NOT NULL AND snapshot_date >= :start_date
        ORDER BY snapshot_date, customer_id"""
    variable = "DWH_LTV_TRAINING_QUERY"
    label = "spend"
    window_days = 365
    likelihoods = ("zero_inflated_lognormal", "gamma", "tweedie")
    predicts_amount = True
    words = Words("spent", "did not spend", "customers", "mean spend")
    purpose = Purpose(
        ("Value segments, and what a customer may be worth keeping for.", "Sums over many customers."),
        (
            "Forecasting the revenue of the business: future customers are not included.",
            "Statements about a single customer.",
        ),
    )

    def targets(self, table: FeatureTable) -> NDArray[np.float32]:
        """Return the label's column as targets of shape [rows, 1]."""
        return read_amounts(table, self.label)[:, None].astype(np.float32)

    def fit_baselines(self, rows: BaselineRows) -> dict[str, NDArray[np.float32]]:
        """Return a constant, a Tweedie GLM, boosting and past spend."""
        from training.evaluation.baselines import amount_baselines, past_spend_baseline

        return amount_baselines(rows) | past_spend_baseline(rows)

    def measure(self, data: EvaluationData, costs: Costs, thresholds: GateThresholds) -> dict[str, Any]:
        """Return metrics of predicted spend, the coverage of its interval, and deciles."""
        from training.evaluation.metrics import measure_amounts

        _ = costs, thresholds
        return measure_amounts(data)

    def evaluate_gates(self, metrics: Mapping[str, Any], thresholds: GateThresholds) -> list[Gate]:
        """Require a lead over past spend, no loss against the Tweedie GLM, and right totals and intervals."""
        return [
            check_better("past_spend", metrics, thresholds.lead),
            check_not_worse("tweedie", metrics, thresholds),
            check_totals(metrics, thresholds),
            check_coverage(metrics, thresholds),
        ]

    def build_sections(self, manifest: Mapping[str, Any], data: EvaluationData, cases: Cases) -> tuple[Section, ...]:
        """Show predicted and actual spend, the interval's coverage, and the value captured."""
        from training.report import spend_sections as sections

        _ = manifest
        return (sections.amounts(cases), sections.intervals(data), sections.value_captured(cases))

    def describe_limits(self, rows: Split) -> list[str]:
        """Say that serving extrapolates to 12 months where the label covers another time."""
        days = rows.earlier.window_days
        if days == YEAR_DAYS:
            return []
        trained = f"Trained and measured on the spend of {days} days."
        return [f"{trained} Serving multiplies it by {YEAR_DAYS / days:.2f}: it assumes the same rate for 12 months."]

    def extend_manifest(self, data: EvaluationData, window_days: int, metrics: Mapping[str, Any]) -> dict[str, Any]:
        """Return where the value segments begin, in money of 12 months."""
        _ = metrics
        cuts = np.quantile(data.training_scores, VALUE_QUANTILES) * (YEAR_DAYS / window_days)
        return {"value_cuts": [round(float(cut), 2) for cut in cuts]}
