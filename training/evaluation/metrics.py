"""Metrics of a finished run on rows later than the training rows.

Nothing here resamples before a split or weights the classes: what is measured is what will be served.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from training.evaluation import classification
from training.evaluation import regression as values
from training.evaluation.calibration import describe_calibration
from training.evaluation.off_policy import compare_policies, read_log
from training.evaluation.resampling import rounded
from training.evaluation.thresholds import Costs, GateThresholds
from training.evaluation.uplift import Experiment, describe_uplift

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.evaluation.evaluation_data import EvaluationData

SEVERAL = 2


def evaluate(
    evidence: EvaluationData, costs: Costs | None = None, thresholds: GateThresholds | None = None
) -> dict[str, Any]:
    """Measure a model and its baselines on the later rows; JSON-ready.

    Intervals are of 95 %, by a bootstrap over customers; differences are paired.

    Args:
        evidence: what the run collected.
        costs: what the operating threshold of churn is chosen by; the defaults where None.
        thresholds: of these, how much evidence the value of a policy needs; the defaults where None.

    Returns:
        task, rows, customers, rate; model and baselines (see `classification.compare`, `values.compare`);
        churn: calibration, lift_by_decile, threshold, and uplift where a control group was logged; ltv:
        interval, deciles; nbo: calibration, offers, policy. Where the later rows have one outcome only, a note
        in place of what is then not defined.
    """
    described = {
        "task": evidence.task.name,
        "rows": len(evidence.outcome),
        "customers": len(set(evidence.customer_ids)),
    }
    return described | evidence.task.measure(evidence, costs or Costs(), thresholds or GateThresholds())


def measure_probabilities(evidence: EvaluationData) -> dict[str, Any]:
    """Measure every observed cell: for nbo the customers and the offers they were shown."""
    outcome, scores = _observed(evidence, evidence.outcome), _observed(evidence, evidence.scores)
    described: dict[str, Any] = {
        "rate": rounded(outcome.mean()) if len(outcome) else None,
        "positives": int(outcome.sum()),
        "negatives": int((outcome == 0).sum()),
    }
    if len(np.unique(outcome)) < SEVERAL:
        return described | {"note": "the later rows have one outcome only, so scores cannot be evaluated"}
    baselines = {name: _observed(evidence, each) for name, each in evidence.baselines.items()}
    ids = np.asarray(evidence.customer_ids)[np.nonzero(evidence.outcome >= 0)[0]]
    described |= classification.compare(scores, baselines, outcome, ids.tolist())
    calibration = describe_calibration(scores, outcome)
    calibration["training_mean_score"] = (
        rounded(evidence.training_scores.mean()) if len(evidence.training_scores) else None
    )
    return described | {"calibration": calibration}


def measure_targeting(evidence: EvaluationData, costs: Costs) -> dict[str, Any]:
    """Return lift by decile and the operating threshold; empty where the later rows have one outcome only."""
    outcome = _observed(evidence, evidence.outcome)
    if len(np.unique(outcome)) < SEVERAL:
        return {}
    scores = _observed(evidence, evidence.scores)
    return {
        "lift_by_decile": classification.lift_by_decile(scores, outcome),
        "threshold": classification.choose_threshold(scores, outcome, costs),
    }


def measure_offers(evidence: EvaluationData) -> list[dict[str, Any]]:
    """Return rate and AUC of each offer among those it was shown to; None where AUC is not defined."""
    described = []
    for i, (outcome, scores) in enumerate(zip(evidence.outcome.T, evidence.scores.T, strict=True), start=1):
        shown = outcome >= 0
        offer = classification.Classifier.of(scores[shown], outcome[shown]) if shown.any() else None
        auc = offer.auc(np.ones(int(shown.sum()))) if offer else float("nan")
        described.append(
            {
                "offer_id": i,
                "shown": int(shown.sum()),
                "converted": int((outcome == 1).sum()),
                "auc": None if np.isnan(auc) else rounded(auc),
            }
        )
    return described


def measure_policy(evidence: EvaluationData, thresholds: GateThresholds) -> dict[str, Any]:
    """Return what the best scored offer would have earned; see `off_policy.compare_policies`."""
    log, rows = read_log(evidence.outcome, evidence.propensities, evidence.customer_ids)
    return compare_policies(evidence.scores[rows].astype(np.float64), log, thresholds)


def measure_amounts(evidence: EvaluationData) -> dict[str, Any]:
    """Measure predictions of spend, their interval where they have one, and each decile."""
    actual, predicted = evidence.outcome[:, 0], evidence.scores[:, 0]
    described: dict[str, Any] = {
        "rate": rounded((actual > 0).mean()) if len(actual) else None,
        "spenders": int((actual > 0).sum()),
        "mean_spend": rounded(actual.mean()) if len(actual) else None,
    }
    if len(np.unique(actual)) < SEVERAL:
        return described | {"note": "the later rows have one value only, so predictions cannot be evaluated"}
    baselines = {name: each[:, 0] for name, each in evidence.baselines.items()}
    described |= values.compare(predicted, baselines, actual, evidence.customer_ids)
    if evidence.interval is not None:
        described["interval"] = values.cover(evidence.interval, actual)
    return described | {"deciles": values.compare_deciles(predicted, actual)}


def measure_uplift(evidence: EvaluationData) -> dict[str, Any]:
    """Compare contacting by uplift with contacting by risk, which says who will leave and not who can be kept."""
    if evidence.treated is None or evidence.uplift is None:
        return {}
    if len(np.unique(_observed(evidence, evidence.outcome))) < SEVERAL:
        return {}
    known = evidence.outcome[:, 0] >= 0
    experiment = Experiment.of(evidence.treated[known], 1 - evidence.outcome[known, 0])
    ids = np.asarray(evidence.customer_ids)[known].tolist()
    return {
        "uplift": {
            "t_learner": describe_uplift(evidence.uplift[known], experiment, ids),
            "by_risk": describe_uplift(evidence.scores[known, 0], experiment, ids),
        }
    }


def _observed(evidence: EvaluationData, cells: NDArray[Any]) -> NDArray[Any]:
    chosen: NDArray[Any] = cells[evidence.outcome >= 0]
    return chosen
