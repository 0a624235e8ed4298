"""Drift of features and scores by the formula of models/drift.py, and the checks that advise retraining. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from models.drift import ENOUGH_ROWS, LARGEST_PSI, describe_column, measure_shift

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from training.evaluation.evaluation_data import EvaluationData
    from training.monitoring.cohorts import Cohort

    RetrainAdvice = Literal["fine", "retrain", "cannot be judged"]


@dataclass(frozen=True, slots=True)
class AlertThresholds:
    """When to retrain.

    Attributes:
        psi: of any feature or score, above it.
        auc: below it in each of the last `periods` with enough rows.
        calibration_error: of the last period with enough rows, above it and above twice the error by chance.
        periods: how many periods in a row.
        rows: with fewer, nothing is checked.
    """

    psi: float = LARGEST_PSI
    auc: float = 0.65
    calibration_error: float = 0.1
    periods: int = 2
    rows: int = ENOUGH_ROWS


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check of a served model.

    Attributes:
        check: drift, ranking or calibration.
        verdict: fine, retrain or cannot be judged.
        sentence: figures and reason for a person.
    """

    check: str
    verdict: RetrainAdvice
    sentence: str


def describe_snapshot(evidence: EvaluationData) -> dict[str, Any]:
    """Return the distribution of features and scores in training, for training_snapshot.json.

    For each feature and score the upper edges of up to ten bins, each with about as many training rows, and the
    share of rows in each bin; the last share is that of missing values.
    """
    columns = [*zip(evidence.features, evidence.training_inputs.T, strict=True)]
    names = evidence.task.name_scores()
    return {
        "format": 1,
        "rows": len(evidence.training_inputs),
        "features": {name: describe_column(values) for name, values in columns},
        "scores": {
            name: describe_column(values) for name, values in zip(names, evidence.training_scores.T, strict=True)
        },
    }


def measure_drift(
    snapshot: Mapping[str, Any], inputs: NDArray[np.float32], features: Sequence[str], scores: NDArray[np.float32]
) -> dict[str, float]:
    """Return the PSI of each feature and score by name, the largest first.

    Args:
        snapshot: what `describe_snapshot` gave.
        inputs: features of today's customers, shape [rows, features].
        features: their names, in order.
        scores: shape [rows, outputs].
    """
    found = {
        name: measure_shift(snapshot["features"][name], values)
        for name, values in zip(features, inputs.T, strict=True)
        if name in snapshot["features"]
    }
    for (name, then), values in zip(snapshot["scores"].items(), scores.T, strict=True):
        found[name] = measure_shift(then, values)
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def check_drift(drift: Mapping[str, float], rows: int, thresholds: AlertThresholds) -> CheckResult:
    """Check whether customers have drifted from the training rows.

    Args:
        drift: what `measure_drift` gave; empty where there is no snapshot.
        rows: how many customers it was measured on.
        thresholds: when to train again.
    """
    if not rows:
        return CheckResult("drift", "cannot be judged", "the view has no customers; see DWH_CUSTOMER_FEATURES_TABLE")
    if not drift:
        return CheckResult("drift", "cannot be judged", "the version has no training snapshot; train it again")
    if rows < thresholds.rows:
        return CheckResult("drift", "cannot be judged", f"{rows:,} customers; {thresholds.rows:,} are needed")
    far = [f"{name} {value:.2f}" for name, value in drift.items() if value > thresholds.psi]
    name, largest = next(iter(drift.items()))
    if far:
        return CheckResult("drift", "retrain", f"PSI over {thresholds.psi:g}: {', '.join(far)}")
    return CheckResult("drift", "fine", f"largest PSI {largest:.2f} ({name}), {thresholds.psi:g} is allowed")


def check_ranking(periods: Sequence[Cohort], thresholds: AlertThresholds) -> CheckResult:
    """Check whether the model still ranks customers, by the last periods with enough rows."""
    known = [(each.name, each.auc) for each in periods if each.auc is not None and each.rows >= thresholds.rows]
    described = ", ".join(f"{name} {auc:.3f}" for name, auc in known[-thresholds.periods :])
    if not known:
        return CheckResult("ranking", "cannot be judged", _too_little(periods, thresholds, "both outcomes"))
    low = [auc < thresholds.auc for _, auc in known[-thresholds.periods :]]
    if len(low) == thresholds.periods and all(low):
        return CheckResult(
            "ranking", "retrain", f"AUC under {thresholds.auc:g} for {thresholds.periods} periods: {described}"
        )
    return CheckResult(
        "ranking",
        "fine",
        f"AUC {described}; under {thresholds.auc:g} for {thresholds.periods} periods would be too low",
    )


def check_calibration(periods: Sequence[Cohort], thresholds: AlertThresholds) -> CheckResult:
    """Check whether predictions match outcomes, by the last period with enough rows."""
    known = [each for each in periods if each.calibration_error is not None and each.rows >= thresholds.rows]
    if not known:
        return CheckResult("calibration", "cannot be judged", _too_little(periods, thresholds, "an outcome"))
    last = known[-1]
    described = (
        f"{last.name}: error {last.calibration_error:.3f}, predicted {last.predicted:.4g}, observed {last.observed:.4g}"
    )
    if (last.calibration_error or 0.0) > max(thresholds.calibration_error, 2 * last.error_by_chance):
        return CheckResult("calibration", "retrain", f"{described}; {thresholds.calibration_error:g} is allowed")
    return CheckResult("calibration", "fine", f"{described}; {thresholds.calibration_error:g} is allowed")


def _too_little(periods: Sequence[Cohort], thresholds: AlertThresholds, needs: str) -> str:
    largest = max((each.rows for each in periods), default=0)
    return f"no period has {thresholds.rows:,} matured rows with {needs}, the largest has {largest:,}"


def conclude_checks(findings: Sequence[CheckResult]) -> RetrainAdvice:
    """Return the advice of all checks together: retrain if one says so, else fine if one says so."""
    verdicts = {finding.verdict for finding in findings}
    if "retrain" in verdicts:
        return "retrain"
    return "fine" if "fine" in verdicts else "cannot be judged"
