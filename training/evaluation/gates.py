"""Promotion gates: named checks, each with a figure, a threshold and a sentence.

A gate that does not apply (there is no champion, a baseline's columns are missing) refuses nothing. A gate that
applies and lacks data refuses: a model is not promoted on what is unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from training.evaluation.classification import Classifier
from training.evaluation.off_policy import ENOUGH
from training.evaluation.regression import Predictor
from training.evaluation.thresholds import GateThresholds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from training.evaluation.evaluation_data import EvaluationData

    Metrics = Mapping[str, Any]

GateDecision = Literal["passed", "refused", "not enough evidence", "not applicable"]
SEVERAL = 2
CLOSE = 1e-9
EVENTS_FOR_AUC = 30
GINI = ("gini_normalised", 1, "normalised Gini")


@dataclass(frozen=True, slots=True)
class Gate:
    """The result of one gate; `asdict` makes it JSON.

    Attributes:
        name: stable across versions; `models.gate_names` has the names of earlier ones.
        passed: None where the gate does not apply to this model; False where evidence is missing.
        verdict: the same in words.
        figure: what is compared with the threshold; for a difference between models, the end of its interval
            that decides. None where it is unknown.
        against: what the figure is compared with.
        threshold: the minimum or maximum that passes, or both.
        sentence: figures and decision for a person.
    """

    name: str
    passed: bool | None
    verdict: GateDecision
    figure: float | None
    against: str
    threshold: float | list[float] | None
    sentence: str


def evaluate_gates(evidence: EvaluationData, metrics: Metrics, thresholds: GateThresholds | None = None) -> list[Gate]:
    """Return the result of every gate: those of every task and those of its own.

    Args:
        evidence: what the run collected.
        metrics: what `training.evaluation.metrics.evaluate` made of it.
        thresholds: where each gate passes; the defaults where None.
    """
    thresholds = thresholds or GateThresholds()
    return [
        check_data(evidence, metrics, thresholds),
        *evidence.task.evaluate_gates(metrics, thresholds),
        check_margin("gradient_boosting", metrics, thresholds),
        check_margin("champion", metrics, thresholds),
        check_stability(evidence.folds, thresholds),
        check_leakage(evidence, thresholds),
    ]


def promotable(gates: Iterable[Gate]) -> bool:
    """Return whether there are gates and none refuses."""
    answers = [gate.passed for gate in gates]
    return bool(answers) and False not in answers


def check_data(evidence: EvaluationData, metrics: Metrics, thresholds: GateThresholds) -> Gate:
    """Require enough training rows, and enough later rows of either outcome."""
    trained = len(evidence.training_inputs)
    if evidence.task.predicts_amount:
        events, what = min(int(metrics["spenders"]), int(metrics["rows"])), "later rows with spend"
    else:
        events, what = min(int(metrics["positives"]), int(metrics["negatives"])), "later rows of the rarer outcome"
    enough = trained >= thresholds.training_rows and events >= thresholds.events
    return Gate(
        "enough_data",
        enough,
        "passed" if enough else "not enough evidence",
        float(events),
        f"at least {thresholds.events} {what}, {thresholds.training_rows:,} rows trained on",
        float(thresholds.events),
        f"{trained:,} rows were trained on ({thresholds.training_rows:,} are needed) and there are {events:,} {what} "
        f"({thresholds.events} are needed).",
    )


def check_better(baseline: str, metrics: Metrics, lead: float) -> Gate:
    """Require a lead over a baseline beyond the noise: the interval's lower end is above `lead`."""
    name = f"beats_{baseline}"
    found = _difference_to(name, baseline, metrics)
    if isinstance(found, Gate):
        return found
    low, _ = found["interval_95"]
    passed = low > lead
    return _answer(
        name,
        low,
        baseline,
        lead,
        passed=passed,
        sentence=f"{_describe_difference(found, baseline)}, "
        + (
            f"all of it above {lead:+.4f}: better beyond the noise."
            if passed
            else f"not all of it above {lead:+.4f}: not shown to be better beyond the noise."
        ),
    )


def check_not_worse(baseline: str, metrics: Metrics, thresholds: GateThresholds) -> Gate:
    """Require that the model is not worse than a simple one fitted on the same rows: logistic regression, RFM, Tweedie.

    The difference decides and not its interval: without the model the rule serves and not the simple model, so a
    lead within the noise passes. Where the two are level within the noise, a second metric decides (Brier score, for
    amounts the normalised Gini), so that the sign of a zero does not.
    """
    name = f"not_worse_than_{baseline}"
    found = _difference_to(name, baseline, metrics)
    if isinstance(found, Gate):
        return found
    low, high = found["interval_95"]
    if found["value"] > thresholds.fitted_lead:
        passed, words = True, "better beyond the noise." if low > 0 else "better, within the noise."
    elif high >= 0:
        passed, words = _break_tie(baseline, metrics)
    else:
        passed, words = False, "worse, beyond the noise."
    sentence = f"{_describe_difference(found, baseline)}: {words}"
    return _answer(name, found["value"], baseline, thresholds.fitted_lead, passed=passed, sentence=sentence)


def _break_tie(baseline: str, metrics: Metrics) -> tuple[bool, str]:
    measure, sign, called = ("brier", -1, "Brier score") if "brier" in metrics["model"] else GINI
    own, other = metrics["model"][measure], metrics["baselines"][baseline][measure]
    if own is None or other is None:
        return False, f"level within the noise, and no {called} to decide by."
    passed = sign * (own - other) > 0
    figures = f"by {called}, {own:.4f} against {other:.4f}"
    return passed, f"level within the noise and {'better' if passed else 'no better'} {figures}."


def check_margin(baseline: str, metrics: Metrics, thresholds: GateThresholds) -> Gate:
    """Require that the model is not worse than boosting or the champion beyond noise and margin.

    It is refused where the whole interval of the difference is below minus the margin. The wide interval of few rows
    lets much pass; enough_data prevents that.
    """
    name = f"not_worse_than_{baseline}"
    found = _difference_to(name, baseline, metrics)
    if isinstance(found, Gate):
        return found
    _, high = found["interval_95"]
    passed = high >= -thresholds.margin - CLOSE
    limit = f"{-thresholds.margin:+.4f}"
    words = f"not all of it below {limit}: not worse beyond the noise."
    if not passed:
        words = f"all of it below {limit}: worse, beyond the noise."
    return _answer(
        name,
        high,
        baseline,
        -thresholds.margin,
        passed=passed,
        sentence=f"{_describe_difference(found, baseline)}, {words}",
    )


def check_calibration(metrics: Metrics, thresholds: GateThresholds) -> Gate:
    """Require calibrated probabilities.

    A changed base rate shifts all probabilities and is not the model's fault, so ECE and slope are checked after
    prior-shift correction (`ece_recentred`). The shift has a limit of its own, because thresholds and costs use the
    probabilities as they are. An ECE that chance alone explains does not refuse.
    """
    if "calibration" not in metrics:
        return _missing("calibrated", "limits of ECE, slope and shift", metrics)
    found = metrics["calibration"]
    low, high = thresholds.slope
    slope, moved = found["slope"], found["rate"] - found["mean_score"]
    most = max(thresholds.ece, found["ece_by_chance"])
    faults = [
        (found["ece_recentred"] <= most, "the calibration error is too high"),
        (slope is None or slope >= low, "scores are too extreme"),
        (slope is not None and slope <= high, "scores are too close to the base rate"),
        (abs(moved) <= thresholds.shift, "the base rate has moved too far; calibrate on newer labels"),
    ]
    reasons = [reason for fine, reason in faults if not fine]
    return _answer(
        "calibrated",
        found["ece_recentred"],
        f"ECE at most {most:.3f}, slope {low} to {high}, rate within {thresholds.shift} of the mean score",
        most,
        passed=not reasons,
        sentence=f"ECE {found['ece']:.3f}, {found['ece_recentred']:.3f} after prior-shift correction (mean score "
        f"{found['mean_score']:.3f}, rate {found['rate']:.3f}), slope {_format_slope(slope)}: "
        f"{'; '.join(reasons) or 'calibrated'}.",
    )


def check_totals(metrics: Metrics, thresholds: GateThresholds) -> Gate:
    """Require that predicted spend adds up to actual spend; refused where the whole interval is out of limits."""
    name, against = "calibrated", "predicted over actual total spend"
    bounds = metrics.get("model", {}).get("total_ratio_95")
    if not bounds:
        return _missing(name, against, metrics)
    low, high = thresholds.total_ratio
    ratio = metrics["model"]["total_ratio"]
    passed = bounds[0] <= high and bounds[1] >= low
    return _answer(
        name,
        ratio,
        against,
        [low, high],
        passed=passed,
        sentence=f"Predicted spend is {ratio:.2f} times the actual [{bounds[0]:.2f}, {bounds[1]:.2f}]; {low} to {high} "
        f"is allowed: {'it adds up' if passed else 'it does not add up'}.",
    )


def check_coverage(metrics: Metrics, thresholds: GateThresholds) -> Gate:
    """Require that the predicted interval covers as much of the actual spend as it should."""
    name, against = "interval_covers", "share of actual spend within the predicted interval"
    if "interval" not in metrics:
        return _not_applicable(name, against, "The model predicts no interval.")
    low, high = thresholds.coverage
    share = metrics["interval"]["coverage"]
    passed = low <= share <= high
    words = "as promised." if passed else "too narrow." if share < low else "too wide to be of use."
    return _answer(
        name,
        share,
        against,
        [low, high],
        passed=passed,
        sentence=f"{share:.1%} of actual spend is within the predicted interval, {low:.0%} to {high:.0%} is allowed: "
        f"{words}",
    )


def check_personalisation(metrics: Metrics) -> Gate:
    """Require that choosing an offer for each customer earns more than one offer for all, beyond the noise."""
    policy = metrics["policy"]
    name, against = "personalisation_pays", "the best constant offer, by DR"
    if policy["verdict"] != ENOUGH:
        sentence = f"Not enough evidence: {policy['reason']}. Keep the best constant offer or the rule."
        return Gate(name, False, "not enough evidence", None, against, 0.0, sentence)
    gap, best = policy["difference_to_constant"], policy["best_constant_offer"]
    passed = gap["interval_95"][0] > 0
    words = "personalise." if passed else f"keep offer {best['offer_id']} for all customers."
    return _answer(
        name,
        gap["interval_95"][0],
        against,
        0.0,
        passed=passed,
        sentence=f"The best scored offer earns {policy['model']['dr']:.4f} per customer, offer {best['offer_id']} "
        f"for all {best['dr']:.4f}: a difference of {gap['value']:+.4f} +- {gap['standard_error']:.4f} on "
        f"{policy['model']['effective_rows']:,.0f} effective rows: {words}",
    )


def check_uplift(metrics: Metrics) -> Gate:
    """Require a campaign whose order by uplift is better than random beyond the noise; the others are not served.

    It must not be established, either, that contact helps those whom the model would leave alone.
    """
    name, against = "uplift_ranks", "0, a random order: the lower end of the best campaign's Qini interval"
    if not metrics.get("campaigns"):
        return _missing(name, against, metrics)
    described = [_describe_campaign(each) for each in metrics["campaigns"]]
    lowest = [each["qini_95"][0] for each in metrics["campaigns"] if each["is_served"]]
    figure = max(lowest or [each["qini_95"][0] for each in metrics["campaigns"] if each["qini_95"]], default=None)
    if figure is None:
        return _missing(name, against, {"note": "the Qini coefficients cannot be resampled"})
    return _answer(name, figure, against, 0.0, passed=bool(lowest), sentence=". ".join(described) + ".")


def _describe_campaign(found: Mapping[str, Any]) -> str:
    if not found["qini_95"]:
        return f"{found['campaign']}: its Qini coefficient cannot be resampled: not served"
    low, high = found["qini_95"]
    qini = f"{found['campaign']}: Qini {found['qini']:+.3f} [{low:+.3f}, {high:+.3f}]"
    of = f"{found['treated']:,} contacted and {found['control']:,} held out"
    if found["is_served"]:
        return f"{qini} on {of}: better than a random order"
    if low <= 0:
        return f"{qini} on {of}: not shown to be better than a random order, so not served"
    return f"{qini}, but contact helps those whom it would leave alone ({found['withheld']['effect']:+.3f}): not served"


def check_stability(folds: Mapping[str, float], thresholds: GateThresholds) -> Gate:
    """Require that models trained up to earlier cut-offs did about as well on the rows after them."""
    name, against = "stable", "the worst of the cut-offs against the best"
    folds = {day: figure for day, figure in folds.items() if not np.isnan(figure)}
    if len(folds) < SEVERAL:
        return _not_applicable(name, against, "Fewer than two cut-offs were cross-validated.")
    worst, best = min(folds, key=lambda day: folds[day]), max(folds, key=lambda day: folds[day])
    spread = folds[best] - folds[worst]
    passed = spread <= thresholds.spread + CLOSE
    return _answer(
        name,
        spread,
        against,
        thresholds.spread,
        passed=passed,
        sentence=f"From {folds[worst]:.3f} at {worst} to {folds[best]:.3f} at {best} over {len(folds)} cut-offs; "
        f"a spread of {thresholds.spread} is allowed: "
        f"{'stable' if passed else 'the result depends on the training date'}.",
    )


def check_leakage(evidence: EvaluationData, thresholds: GateThresholds) -> Gate:
    """Require that no single feature, or its being null, predicts the outcome too well to have been known before it.

    By AUC for each output with enough of either outcome, for amounts by rank correlation.
    """
    name, against = "no_leakage", "the best single feature"
    strengths = _strengths(evidence)
    if not strengths:
        return _missing(name, against, {"note": "no output has enough of either outcome"})
    feature = max(strengths, key=lambda each: strengths[each])
    figure = strengths[feature]
    most = thresholds.single_correlation if evidence.task.predicts_amount else thresholds.single_auc
    measure = "a rank correlation" if evidence.task.predicts_amount else "an AUC"
    passed = figure <= most
    words = "nothing suspicious." if passed else "it probably contains the outcome; check how the feature is computed."
    return _answer(
        name,
        figure,
        against,
        most,
        passed=passed,
        sentence=f"{feature} alone has {measure} of {figure:.3f}; {most} is allowed: {words}",
    )


def _strengths(evidence: EvaluationData) -> dict[str, float]:
    """Return by feature how well it alone predicts any output, in either direction; rare outputs are left out."""
    found: dict[str, float] = {}
    amounts = evidence.task.predicts_amount
    for outcome in evidence.outcome.T:
        rows = outcome >= 0
        if not _is_measurable(outcome[rows], amounts=amounts):
            continue
        for name, cells in zip(evidence.features, evidence.later_inputs[rows].T, strict=True):
            strength = max(_strength(each, outcome[rows], amounts=amounts) for each in _readings(cells))
            found[name] = max(found.get(name, 0.0), strength)
    return found


def _is_measurable(outcome: NDArray[np.float32], *, amounts: bool) -> bool:
    if amounts:
        return len(np.unique(outcome)) >= SEVERAL
    return int(np.bincount(outcome.astype(np.int64), minlength=2).min()) >= EVENTS_FOR_AUC


def _readings(cells: NDArray[np.float32]) -> list[NDArray[np.float64]]:
    """Return a feature as it is, null as its median, and whether it is null."""
    missing = np.isnan(cells)
    median = float(np.median(cells[~missing])) if not missing.all() else 0.0
    filled = np.clip(np.where(missing, median, cells.astype(np.float64)), -1e30, 1e30)
    return [filled, missing.astype(np.float64)] if missing.any() else [filled]


def _strength(feature: NDArray[np.float64], outcome: NDArray[np.float32], *, amounts: bool) -> float:
    once = np.ones(len(feature))
    if amounts:
        rank = Predictor.of(feature, outcome).spearman(once)
        return 0.0 if np.isnan(rank) else abs(rank)
    auc = Classifier.of(feature, outcome).auc(once)
    return max(auc, 1 - auc)


def _difference_to(name: str, baseline: str, metrics: Metrics) -> Mapping[str, Any] | Gate:
    """Return the paired difference to a baseline, or the gate's answer where there is none."""
    if "model" not in metrics:
        return _missing(name, baseline, metrics)
    found = metrics["baselines"].get(baseline)
    if found is None:
        why = "there is no champion yet" if baseline == "champion" else "the features it needs are not in the mapping"
        return _not_applicable(name, baseline, f"Not compared with {_format_name(baseline)}: {why}.")
    lead: Mapping[str, Any] = found["difference"]
    return lead if lead["interval_95"] else _missing(name, baseline, {"note": "the difference cannot be resampled"})


def _format_slope(slope: float | None) -> str:
    return "not defined (all scores are equal)" if slope is None else f"{slope:.2f}"


def _describe_difference(lead: Mapping[str, Any], baseline: str) -> str:
    low, high = lead["interval_95"]
    metric = {"auc": "AUC", "r2_winsorised": "R2 winsorised", "qini": "Qini"}[lead["metric"]]
    return f"{metric} minus that of {_format_name(baseline)} is {lead['value']:+.4f} [{low:+.4f}, {high:+.4f}]"


def _format_name(name: str) -> str:
    return {"rfm": "RFM", "champion": "the champion"}.get(name, name.replace("_", " "))


def _answer(
    name: str, figure: float, against: str, threshold: float | list[float], *, passed: bool, sentence: str
) -> Gate:
    verdict: GateDecision = "passed" if passed else "refused"
    return Gate(name, bool(passed), verdict, round(float(figure), 6), against, threshold, sentence)


def _missing(name: str, against: str, metrics: Metrics) -> Gate:
    sentence = f"Not enough evidence: {metrics.get('note', 'it was not measured')}."
    return Gate(name, False, "not enough evidence", None, against, None, sentence)


def _not_applicable(name: str, against: str, sentence: str) -> Gate:
    return Gate(name, None, "not applicable", None, against, None, sentence)
