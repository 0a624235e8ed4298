"""How good survival curves are: the integrated Brier score and concordance, with customers lost to follow-up.

Times are grouped: of each customer it is known in which of equal periods of the window the purchase fell. What was
censored is weighted by the inverse probability of being observed (IPCW; Graf et al. 1999, "Assessment and comparison
of prognostic classification schemes for survival data").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from training.evaluation.calibration import describe_calibration
from training.evaluation.probability_metrics import brier_score, expected_calibration_error, roc_auc
from training.evaluation.resampling import bootstrap, difference, interval, rounded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.evaluation.evaluation_data import EvaluationData

    Curves = NDArray[np.float64]

KAPLAN_MEIER = "kaplan_meier"
SEVERAL = 2


@dataclass(frozen=True, slots=True)
class FollowUp:
    """When customers bought, or until when they were observed.

    Attributes:
        status: shape [rows, periods], at the end of each period 1 where nothing was bought so far, 0 where something
            was, -1 where it is not known.
        period: shape [rows], the period of the purchase; as many as there are periods where there is none.
        known: shape [rows], periods at whose end the status is known.
        observed: shape [periods + 1], the probability of being observed until the end of each period, 1 before the
            first: Kaplan and Meier's estimate, for censoring in place of purchases.
    """

    status: NDArray[np.float64]
    period: NDArray[np.intp]
    known: NDArray[np.intp]
    observed: NDArray[np.float64]

    @classmethod
    def of(cls, status: NDArray[Any]) -> FollowUp:
        """Build from the status of each row."""
        periods = status.shape[1]
        bought = status == 0
        period = np.where(bought.any(axis=1), bought.argmax(axis=1), periods)
        known = (status >= 0).sum(axis=1)
        observed = [1.0]
        for each in range(periods):
            # Purchases of a period come before what is lost in it.
            waiting = int(((known >= each) & (period > each)).sum())
            lost = int(((known == each) & (period == periods)).sum())
            observed.append(observed[-1] * (1 - lost / waiting if waiting else 1))
        return cls(status.astype(np.float64), period, known, np.array(observed))

    def weigh(self) -> NDArray[np.float64]:
        """Return what the status of each row counts for at the end of each period, shape [rows, periods]."""
        periods = self.status.shape[1]
        ends = np.arange(periods)
        until = np.where(self.period[:, None] <= ends, self.period[:, None], ends + 1)
        chance = self.observed[until]
        usable = (self.status >= 0) & (chance > 0)
        return np.divide(1.0, chance, out=np.zeros(chance.shape), where=usable)


def kaplan_meier(status: NDArray[Any]) -> NDArray[np.float64]:
    """Return the share without a purchase at the end of each period, shape [periods] (Kaplan and Meier 1958).

    Args:
        status: see `FollowUp`.
    """
    seen = FollowUp.of(status)
    ends = range(status.shape[1])
    waiting = np.array([((seen.known > each) & (seen.period >= each)).sum() for each in ends])
    bought = np.array([(seen.period == each).sum() for each in ends])
    shares: NDArray[np.float64] = np.cumprod(1 - bought / np.maximum(waiting, 1))
    return shares


def expected_wait(curves: NDArray[Any]) -> NDArray[np.float64]:
    """Return the restricted mean of each curve as a share of the window, shape [rows]."""
    whole = np.hstack([np.ones((len(curves), 1)), curves])
    mean: NDArray[np.float64] = (whole[:, :-1] + whole[:, 1:]).mean(axis=1) / 2
    return mean


def squared_errors(curves: NDArray[Any], seen: FollowUp) -> NDArray[np.float64]:
    """Return the integrated squared error of each row, shape [rows]; the mean is the integrated Brier score.

    A mean over the time of the window, by trapezoids from 0 on the first day.
    """
    errors = seen.weigh() * (np.maximum(seen.status, 0) - curves) ** 2
    integrated: NDArray[np.float64] = (errors.sum(axis=1) - errors[:, -1] / 2) / errors.shape[1]
    return integrated


def concordance(waits: NDArray[Any], seen: FollowUp, *, weighted: bool = False) -> float:
    """Return how often, of two customers, the one who bought in an earlier period had the shorter expected wait.

    Args:
        waits: shape [rows].
        seen: what happened.
        weighted: by Uno et al. 2011 ("On the C-statistics for evaluating overall adequacy of risk prediction
            procedures with censored survival data"), which does not depend on censoring; otherwise Harrell et al. 1982.

    Returns:
        NaN where no pair can be compared.
    """
    right = pairs = 0.0
    for each in range(seen.status.shape[1]):
        bought, later = seen.period == each, (seen.period > each) & (seen.known > each)
        count = float(bought.sum() * later.sum())
        if not count:
            continue
        weight = count / seen.observed[each] ** 2 if weighted else count
        rows = bought | later
        right += weight * roc_auc(-waits[rows], bought[rows])
        pairs += weight
    return right / pairs if pairs else float("nan")


def measure_survival(evidence: EvaluationData) -> dict[str, Any]:
    """Measure curves and those of the baselines on the later rows; JSON-ready.

    Returns:
        model and baselines: integrated_brier; brier_skill, 1 - the score over that of Kaplan and Meier's curve of the
        training rows (index of prediction accuracy, Kattan and Gerds 2018); concordance, uno_concordance; at the end of
        the window AUC, Brier score and calibration error. calibration: at the end of the window. curve: at the end of
        each period.
    """
    status = evidence.outcome
    last = status[:, -1]
    described: dict[str, Any] = {
        "rate": rounded(float((last[last >= 0] > 0).mean())) if (last >= 0).any() else None,
        "positives": int((last == 1).sum()),
        "negatives": int((last == 0).sum()),
    }
    if not described["positives"] or not described["negatives"]:
        return described | {"note": "the later rows have one outcome only, so curves cannot be evaluated"}
    seen = FollowUp.of(status)
    scorers = {"model": evidence.scores, **evidence.baselines}
    errors = {name: squared_errors(each.astype(np.float64), seen) for name, each in scorers.items()}
    usual = errors[KAPLAN_MEIER]

    def statistics(weights: NDArray[np.float64]) -> dict[str, float]:
        return {name: 1 - float(weights @ each) / float(weights @ usual) for name, each in errors.items()}

    resampled, skill = bootstrap(statistics, evidence.customer_ids), statistics(np.ones(len(status)))
    measured = {name: {"brier_skill": rounded(skill[name]), **_measure(scorers[name], seen)} for name in scorers}
    gaps = {
        name: difference("brier_skill", skill["model"] - skill[name], resampled["model"] - resampled[name])
        for name in evidence.baselines
    }
    observed = last >= 0
    return described | {
        "model": measured["model"] | {"brier_skill_95": interval(resampled["model"])},
        "baselines": {name: measured[name] | {"difference": gap} for name, gap in gaps.items()},
        "calibration": describe_calibration(evidence.scores[observed, -1], last[observed]),
        "curve": describe_curve(evidence, kaplan_meier(status)),
    }


def _measure(curves: NDArray[Any], seen: FollowUp) -> dict[str, float | None]:
    curves = curves.astype(np.float64)
    waits, rows = expected_wait(curves), seen.status[:, -1] >= 0
    outcome, at_end = seen.status[rows, -1], curves[rows, -1]
    return {
        "integrated_brier": rounded(float(squared_errors(curves, seen).mean())),
        "concordance": rounded(concordance(waits, seen)),
        "uno_concordance": rounded(concordance(waits, seen, weighted=True)),
        "auc": rounded(roc_auc(at_end, outcome)),
        "brier": rounded(brier_score(at_end, outcome)),
        "ece": rounded(expected_calibration_error(at_end, outcome)),
    }


def describe_curve(evidence: EvaluationData, observed: NDArray[np.float64]) -> list[dict[str, Any]]:
    """Return, at the end of each period, the mean predicted share without a purchase and the observed one."""
    days = evidence.task.window_days / evidence.outcome.shape[1]
    return [
        {
            "day": rounded(days * place),
            "predicted": rounded(float(predicted)),
            "observed": rounded(float(actual)),
        }
        for place, (predicted, actual) in enumerate(
            zip(evidence.scores.mean(axis=0, dtype=np.float64), observed, strict=True), start=1
        )
    ]
