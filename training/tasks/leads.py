"""Leads: the probability that a lead converts. Not of customers, so the registry does not have it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from features.table import FeatureTable
from models.leads import FEATURES, LEADS, LeadScorer
from training.data.targets import read_truths
from training.evaluation.gates import check_better, check_calibration, check_not_worse
from training.task import Purpose, Task, Words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from training.evaluation.baselines import BaselineRows
    from training.evaluation.evaluation_data import EvaluationData
    from training.evaluation.gates import Gate
    from training.evaluation.thresholds import Costs, GateThresholds
    from training.report.sections import Cases, Section

POINTS = "lead_points"
"""The baseline: the points that score leads without a model."""
SHARES = np.concatenate([np.linspace(0, 0.9, 91), np.linspace(0.901, 1, 100)])
"""Where the two distributions are matched: finer at the top, where a lead becomes hot."""


class Leads(Task):
    """The task `leads`.

    Args:
        by_points: what scores without a model.
    """

    name = LEADS
    title = "Leads"
    summary = "Train the probability that a lead converts, from the ledger or a file."
    predicts = "For each lead, the probability from 0 to 1 that it converts."
    query = ""
    variable = ""
    label = "converted"
    window_days = 0
    words = Words("converted", "did not convert", "leads", "conversion rate")
    purpose = Purpose(
        ("Whom of the leads sales call first.",),
        ("Whether a call brings the sale: the model says who buys.", "Leads of a source that no training row is of."),
    )

    def __init__(self, by_points: LeadScorer | None = None) -> None:
        self._by_points = by_points or LeadScorer()

    def targets(self, table: FeatureTable) -> NDArray[np.float32]:
        """Return the label's column as targets of shape [rows, 1]."""
        return read_truths(table, self.label)[:, None].astype(np.float32)

    def fit_baselines(self, rows: BaselineRows) -> dict[str, NDArray[np.float32]]:
        """Return a constant, logistic regression, boosting, and the points as probabilities.

        The points get the benefit of a logistic regression on the training rows: as they are, they are no
        probabilities, and any model would beat their Brier score.
        """
        from training.evaluation.baselines import fit_logistic, probability_baselines

        earlier, later = (self._score(table) for table in (rows.earlier, rows.later))
        return probability_baselines(rows) | {POINTS: fit_logistic(earlier[:, None], rows.targets, later[:, None])}

    def measure(self, data: EvaluationData, costs: Costs, thresholds: GateThresholds) -> dict[str, Any]:
        """Return metrics and calibration, and lift by decile."""
        from training.evaluation.metrics import measure_probabilities, measure_targeting

        _ = thresholds
        return measure_probabilities(data) | measure_targeting(data, costs)

    def evaluate_gates(self, metrics: Mapping[str, Any], thresholds: GateThresholds) -> list[Gate]:
        """Require a lead over the points beyond the noise, no loss against logistic regression, and calibration."""
        return [
            check_better(POINTS, metrics, thresholds.lead),
            check_not_worse("logistic_regression", metrics, thresholds),
            check_calibration(metrics, thresholds),
        ]

    def build_sections(self, manifest: Mapping[str, Any], data: EvaluationData, cases: Cases) -> tuple[Section, ...]:
        """Show ranking and calibration."""
        from training.report import classification_sections as sections

        _ = manifest, data
        return (sections.ranking(cases), sections.probabilities(cases, None))

    def extend_manifest(self, data: EvaluationData, window_days: int, metrics: Mapping[str, Any]) -> dict[str, Any]:
        """Return the score of each probability: as many training leads reach each score as by points."""
        _ = window_days, metrics
        features = dict(zip(data.features, data.training_inputs.astype(np.float64).T, strict=True))
        points = self._score(FeatureTable(("",) * len(data.training_inputs), features))
        return {"lead_scores": match_quantiles(data.training_scores[:, 0].astype(np.float64), points)}

    def _score(self, table: FeatureTable) -> NDArray[np.float64]:
        return np.array([self._by_points.score_by_points(each).score for each in _leads(table)], dtype=np.float64)


def match_quantiles(probabilities: NDArray[np.float64], points: NDArray[np.float64]) -> dict[str, list[float]]:
    """Return probabilities in ascending order and the score of each, equal quantiles of both; the ends are 0 and 100.

    Of equal probabilities the highest score counts.
    """
    levels = np.quantile(probabilities, SHARES).round(6)
    scores = np.quantile(points, SHARES).round(2)
    last = np.append(np.diff(levels) > 0, True)
    kept = list(zip(levels[last].tolist(), scores[last].tolist(), strict=True))
    inner = [(level, score) for level, score in kept if 0 < level < 1]
    ends = [(0.0, 0.0), *inner, (1.0, 100.0)]
    return {"probabilities": [level for level, _ in ends], "scores": [score for _, score in ends]}


def _leads(table: FeatureTable) -> Sequence[Mapping[str, float | None]]:
    names = [name for name in FEATURES if name in table.columns]
    cells = zip(*(table.columns[name].tolist() for name in names), strict=True)
    return [dict(zip(names, (None if cell != cell else cell for cell in row), strict=True)) for row in cells]  # noqa: PLR0124 - NaN
