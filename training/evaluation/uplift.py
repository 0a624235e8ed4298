"""Uplift: the effect of contact where a control group was logged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from models.errors import ModelInputError
from models.inputs import numbers
from training.errors import TrainingDataError
from training.evaluation.baselines import scale
from training.evaluation.ranking import Ranking, area
from training.evaluation.resampling import bootstrap, interval, rounded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from training.data.dataset import Dataset

CONTACTED = "contacted"
EVENTS_AT_LEAST = 30
CURVE_POINTS = 101


@dataclass(frozen=True, slots=True)
class Experiment:
    """A randomised experiment: who was contacted, and the outcome.

    Attributes:
        treated: shape [rows], 1 for those contacted, 0 for the control group.
        outcome: shape [rows], 1 or 0.
    """

    treated: NDArray[np.float64]
    outcome: NDArray[np.float64]

    @classmethod
    def of(cls, treated: NDArray[Any], outcome: NDArray[Any]) -> Experiment:
        """Build from truth values and outcomes of shape [rows]."""
        return cls(treated.astype(np.float64), outcome.astype(np.float64))


def fit_uplift(
    inputs: NDArray[np.float32], treated: NDArray[np.bool_], outcome: NDArray[Any], later_inputs: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return what contact is expected to add to the outcome's probability, shape [later rows].

    A T-learner (Kuenzel et al. 2019, "Metalearners for estimating heterogeneous treatment effects"): one
    model of those contacted, one of the control group, and the difference of the two. The models are
    logistic regressions, which differ less by chance than trees on groups of unequal size.

    Args:
        inputs: shape [rows, features], null is NaN.
        treated: shape [rows], false for the control group, assigned at random.
        outcome: shape [rows], 1 or 0, both in both groups.
        later_inputs: shape [later rows, features].
    """
    linear, later = scale(inputs, later_inputs)
    with threadpool_limits(limits=1):
        with_contact, without = (
            LogisticRegression(max_iter=1000).fit(linear[group], outcome[group]).predict_proba(later)[:, 1]
            for group in (treated, ~treated)
        )
    uplift: NDArray[np.float64] = with_contact - without
    return uplift


def learn_uplift(earlier: Dataset, later: Dataset) -> tuple[NDArray[np.bool_], NDArray[np.float64]] | None:
    """Return who of the later rows was contacted, and what contact is expected to add to the probability of staying.

    For churn, by a column `contacted` that is false for a randomly chosen control group. None where there is no
    such column, or a group with fewer than 30 rows of either outcome.

    Raises:
        TrainingDataError: the column holds something other than 0 and 1.
    """
    if CONTACTED not in earlier.table.columns:
        return None
    (treated, stayed), (later_treated, later_stayed) = (_read_experiment(rows) for rows in (earlier, later))
    known, later_known = stayed >= 0, later_stayed >= 0
    counts = [
        np.sum(outcomes[seen & (group == contacted)] == outcome)
        for outcomes, seen, group in ((stayed, known, treated), (later_stayed, later_known, later_treated))
        for contacted in (True, False)
        for outcome in (0, 1)
    ]
    if min(counts) < EVENTS_AT_LEAST:
        return None
    return later_treated, fit_uplift(earlier.inputs[known], treated[known], stayed[known], later.inputs)


def _read_experiment(rows: Dataset) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Return who was contacted, and who stayed: 1, 0, or -1 where not observed."""
    try:
        contacted = numbers(CONTACTED, rows.table.columns[CONTACTED])
    except ModelInputError as error:
        raise TrainingDataError(str(error)) from error
    wrong = ~np.isin(contacted, (0, 1))
    if wrong.any():
        raise TrainingDataError(
            f"column {CONTACTED!r} holds {contacted[wrong][0]:g}; it may hold 1, and 0 for the control group: "
            "leave out rows of which it is not known, or the column"
        )
    churned = rows.targets[:, 0]
    return contacted == 1, np.where(churned >= 0, 1 - churned, churned)


def describe_uplift(uplift: NDArray[Any], experiment: Experiment, customer_ids: Sequence[str]) -> dict[str, Any]:
    """Return mean effect, Qini coefficient with its 95 % interval, and the Qini curve of an order by uplift."""
    ranking = Ranking.of(uplift)
    resampled = bootstrap(lambda weights: {"qini": qini(ranking, experiment, weights)}, customer_ids)["qini"]
    return describe_order(ranking, experiment, np.ones(len(uplift))) | {
        "qini_95": interval(resampled),
        "qini_standard_error": rounded(float(np.nanstd(resampled, ddof=1))),
    }


def describe_order(ranking: Ranking, experiment: Experiment, weights: NDArray[np.float64]) -> dict[str, Any]:
    """Return the customers of both arms, the mean effect, and Qini coefficient and curve of an order."""
    share, gained = qini_curve(ranking, experiment, weights)
    points = np.unique(np.linspace(0, len(share) - 1, CURVE_POINTS).astype(np.int64))
    return {
        "treated": int(experiment.treated.sum()),
        "control": int((1 - experiment.treated).sum()),
        "mean_effect": rounded(mean_effect(experiment, weights)),
        "qini": rounded(qini(ranking, experiment, weights)),
        "curve": [{"share": rounded(share[i]), "gained": rounded(gained[i])} for i in points],
    }


def mean_effect(experiment: Experiment, weights: NDArray[np.float64]) -> float:
    """Return the mean outcome of those contacted minus that of the control group; NaN where an arm is empty."""
    arms = (weights * experiment.treated, weights * (1 - experiment.treated))
    if not all(arm.any() for arm in arms):
        return float("nan")
    contacted, control = (float(arm @ experiment.outcome / arm.sum()) for arm in arms)
    return contacted - control


def qini(ranking: Ranking, experiment: Experiment, weights: NDArray[np.float64]) -> float:
    """Return the Qini coefficient: the area over a random order, as a share of the best order's.

    Radcliffe 2007, "Using control groups to target on predicted lift". The best order has the converted who
    were contacted first and the converted of the control group last.
    """
    perfect = Ranking.of(experiment.outcome * (2 * experiment.treated - 1))
    own, best = (_over_random(*qini_curve(each, experiment, weights)) for each in (ranking, perfect))
    return own / best if best else float("nan")


def qini_curve(
    ranking: Ranking, experiment: Experiment, weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the share of rows contacted and the conversions gained by it, per row contacted in all.

    The gain of contacting the first rows is the conversions of those of them who were contacted, minus those
    of their control group scaled to the same size.
    """
    groups = (weights * experiment.treated, weights * (1 - experiment.treated))
    contacted, control = (ranking.cumulate(group) for group in groups)
    won, won_anyway = (ranking.cumulate(group * experiment.outcome) for group in groups)
    scale_up = np.divide(contacted, control, out=np.zeros_like(contacted), where=control > 0)
    rows = contacted + control
    return rows / rows[-1], (won - won_anyway * scale_up) / max(contacted[-1], 1)


def _over_random(share: NDArray[np.float64], gained: NDArray[np.float64]) -> float:
    return area(share, gained) - float(gained[-1]) / 2
