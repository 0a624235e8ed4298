"""Churn: the probability of no purchase in the coming 90 days, or of what your label says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from training.data.targets import read_truths
from training.evaluation.gates import check_better, check_calibration, check_not_worse
from training.task import Purpose, Task, Words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from features.table import FeatureTable
    from training.evaluation.baselines import BaselineRows
    from training.evaluation.evaluation_data import EvaluationData
    from training.evaluation.gates import Gate
    from training.evaluation.thresholds import Costs, GateThresholds
    from training.report.sections import Cases, Section


class Churn(Task):
    """The task `churn`."""

    name = "churn"
    title = "Churn"
    summary = "Train the probability of no purchase in the coming 90 days, or of what your label says."
    predicts = "For each customer, the probability of churn, from 0 to 1: that {outcome}{window}."
    outcome_of_orders = "the customer buys nothing"
    query = """
        SELECT * FROM customer_churn_history
        WHERE {label} IS NOT NULL AND snapshot_date >= :start_date
        ORDER BY snapshot_date, customer_id"""
    variable = "DWH_CHURN_TRAINING_QUERY"
    label = "churned"
    window_days = 90
    measures_uplift = True
    words = Words("churned", "stayed", "customers", "churn rate")
    purpose = Purpose(
        (
            "Choosing which customers a retention campaign contacts.",
            "Ranking customers by risk, and sizing a campaign's budget.",
        ),
        ("Explaining why a customer leaves, or whether contact helps: the model says who is likely to leave.",),
    )

    def targets(self, table: FeatureTable) -> NDArray[np.float32]:
        """Return the label's column as targets of shape [rows, 1]."""
        return read_truths(table, self.label)[:, None].astype(np.float32)

    def fit_baselines(self, rows: BaselineRows) -> dict[str, NDArray[np.float32]]:
        """Return a constant, logistic regression, boosting, the recency rule and an RFM scorecard."""
        from training.evaluation.baselines import probability_baselines, recency_baselines

        return probability_baselines(rows) | recency_baselines(rows)

    def measure(self, data: EvaluationData, costs: Costs, thresholds: GateThresholds) -> dict[str, Any]:
        """Return metrics and calibration, lift by decile, the operating threshold, and uplift where it is known."""
        from training.evaluation.metrics import measure_probabilities, measure_targeting, measure_uplift

        _ = thresholds
        return measure_probabilities(data) | measure_targeting(data, costs) | measure_uplift(data)

    def evaluate_gates(self, metrics: Mapping[str, Any], thresholds: GateThresholds) -> list[Gate]:
        """Require a lead over the recency rule, no loss against RFM and logistic regression, and calibration."""
        return [
            check_better("recency_rule", metrics, thresholds.lead),
            check_not_worse("rfm", metrics, thresholds),
            check_not_worse("logistic_regression", metrics, thresholds),
            check_calibration(metrics, thresholds),
        ]

    def build_sections(self, manifest: Mapping[str, Any], data: EvaluationData, cases: Cases) -> tuple[Section, ...]:
        """Show ranking, calibration, the operating threshold, and uplift where it is known."""
        from training.report import classification_sections as sections

        threshold = (sections.find_threshold(manifest) or {}).get("threshold")
        return (
            sections.ranking(cases),
            sections.probabilities(cases, threshold),
            sections.operating_point(manifest, cases),
            *sections.uplift(data),
        )
