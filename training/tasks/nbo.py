"""Next best offer: the probability that a customer converts on each offer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from training.data.targets import read_codes
from training.errors import TrainingDataError
from training.evaluation.gates import check_calibration, check_personalisation
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
    from training.report.tiles import Tile


class NextBestOffer(Task):
    """The task `nbo`.

    Args:
        offers: the highest offer id of the offers file; 0 takes the highest id of the rows.
    """

    name = "nbo"
    title = "Next best offer"
    summary = "Train the probability that a customer converts on each offer."
    predicts = "For each customer and each offer, the probability that the customer takes the offer."
    query = """
        SELECT * FROM customer_offer_history
        WHERE created_at >= :start_date
        ORDER BY created_at, customer_id"""
    variable = "DWH_NBO_TRAINING_QUERY"
    label = "converted_offer_id"
    date_column = "created_at"
    window_days = 0
    words = Words("converted", "did not convert", "offers shown", "conversion rate of offers shown")
    purpose = Purpose(
        ("Choosing which offer to show to a customer whom a campaign contacts anyway.",),
        (
            "Measuring what an offer causes: some customers would have bought without it.",
            "Offers that were never shown.",
        ),
    )

    def __init__(self, offers: int = 0) -> None:
        self.outputs = offers

    def sized(self, outputs: int) -> Task:
        """Return the task for a number of offers."""
        if self.outputs not in (0, outputs):
            raise TrainingDataError(f"nbo has {outputs} outputs and {self.outputs} offers are wanted; train it again")
        return NextBestOffer(outputs)

    def name_scores(self) -> tuple[str, ...]:
        """Return offer_1 and so on."""
        return tuple(f"offer_{number}" for number in range(1, self.outputs + 1))

    def targets(self, table: FeatureTable) -> NDArray[np.float32]:
        """Return whether each offer converted, shape [rows, offers], -1 for offers that were not shown.

        Where shown_offer_id is not logged, or nothing but conversions is, it is not known what was declined. Then
        the offers not converted on count as 0 and the model learns the share of each offer in all conversions.
        """
        converted = read_codes(table, self.label, 1, self.outputs or None)
        logged = "shown_offer_id" in table.columns
        shown = read_codes(table, "shown_offer_id", 1, self.outputs or None) if logged else np.full_like(converted, -1)
        offers = self.outputs or max(int(converted.max(initial=0)), int(shown.max(initial=0)), 1)
        targets = np.zeros((len(table), offers), dtype=np.float32)
        if logged and (converted < 0).any():
            targets[:] = -1
            targets[np.flatnonzero(shown > 0), shown[shown > 0] - 1] = 0
        rows = np.flatnonzero(converted > 0)
        targets[rows, converted[rows] - 1] = 1
        return targets

    def fit_baselines(self, rows: BaselineRows) -> dict[str, NDArray[np.float32]]:
        """Return constants, logistic regressions and boosting, one for each offer, and the rule for offers."""
        from training.evaluation.baselines import offers_rule_baseline, probability_baselines

        return probability_baselines(rows) | offers_rule_baseline(rows)

    def measure(self, data: EvaluationData, costs: Costs, thresholds: GateThresholds) -> dict[str, Any]:
        """Return metrics over the offers shown, for each offer, and the value of the policy."""
        from training.evaluation.metrics import measure_offers, measure_policy, measure_probabilities

        _ = costs
        return measure_probabilities(data) | {
            "offers": measure_offers(data),
            "policy": measure_policy(data, thresholds),
        }

    def evaluate_gates(self, metrics: Mapping[str, Any], thresholds: GateThresholds) -> list[Gate]:
        """Require that personal offers earn more than the best offer for all, and calibration."""
        return [check_personalisation(metrics), check_calibration(metrics, thresholds)]

    def build_sections(self, manifest: Mapping[str, Any], data: EvaluationData, cases: Cases) -> tuple[Section, ...]:
        """Show the value of the policy, the offers it makes, ranking and calibration."""
        from training.report import classification_sections, offer_sections

        _ = manifest
        return (
            offer_sections.policies(offer_sections.value_offers(data)),
            offer_sections.offers(data),
            classification_sections.ranking(cases),
            classification_sections.probabilities(cases),
        )

    def build_tiles(self, data: EvaluationData) -> tuple[Tile, ...]:
        """Show what the recommended offers would convert."""
        from training.report.offer_sections import policy_tiles

        return policy_tiles(data)

    def find_doubts(self, data: EvaluationData) -> list[str]:
        """Say that the value of the policy is unknown where propensities are."""
        if (data.propensities > 0).any():
            return []
        return ["Propensities were not logged, so the value of the recommended offers cannot be estimated."]
