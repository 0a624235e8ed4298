"""Uplift of several campaigns, each measured on its own experiment: Qini coefficients, and what withholding costs.

A model of uplift has two scores for each campaign, the probability to convert with its contact and without. Of each
row one of the two was observed. The rows weigh 1 / propensity, the probability with which they were exposed in their
arm: so the arms compare also where versions of a campaign held out different shares, and customers who were contacted
only to explore stand for those who were not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from training.evaluation.ranking import Ranking
from training.evaluation.resampling import ALPHA, bootstrap, difference, interval, rounded
from training.evaluation.uplift import Experiment, describe_order, mean_effect, qini

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from training.evaluation.evaluation_data import EvaluationData

MODEL = "model"


@dataclass(frozen=True, slots=True)
class CampaignRows:
    """The later rows of one campaign.

    Attributes:
        campaign: its key.
        rows: shape [its rows], their positions among all.
        experiment: who was contacted, and who converted.
        weights: shape [its rows], 1 / propensity.
        uplift: by name the uplift of each row, shape [its rows]: of the model, of the baselines, and `response`, which
            takes the probability to convert with the contact for it.
    """

    campaign: str
    rows: NDArray[np.intp]
    experiment: Experiment
    weights: NDArray[np.float64]
    uplift: dict[str, NDArray[np.float64]]


def select_campaigns(data: EvaluationData, campaigns: Sequence[str]) -> list[CampaignRows]:
    """Return the rows of each campaign, whose two outputs are at its position."""
    weights = np.where(data.propensities > 0, 1 / np.where(data.propensities > 0, data.propensities, 1), 1.0)
    scored = {MODEL: data.scores, **data.baselines}
    selected = []
    for place, campaign in enumerate(campaigns):
        pair = slice(2 * place, 2 * place + 2)
        observed = data.outcome[:, pair] >= 0
        rows = np.flatnonzero(observed.any(axis=1))
        treated = observed[rows, 0]
        outcome = np.where(treated, data.outcome[rows, 2 * place], data.outcome[rows, 2 * place + 1])
        both = {name: scores[rows, pair].astype(np.float64) for name, scores in scored.items()}
        uplift = {name: each[:, 0] - each[:, 1] for name, each in both.items()}
        uplift["response"] = both[MODEL][:, 0]
        selected.append(CampaignRows(campaign, rows, Experiment.of(treated, outcome), weights[rows], uplift))
    return selected


def measure_campaigns(data: EvaluationData, campaigns: Sequence[str]) -> dict[str, Any]:
    """Return the figures of each campaign, and how the Qini coefficient differs from those of the baselines.

    A campaign is served by the model if the interval of its Qini coefficient is above 0, and if it is not established
    that contact helps those whom the model would leave alone. The intervals hold for all campaigns at once
    (Bonferroni); differences to baselines are of the mean over campaigns, weighted with their rows.

    Returns:
        campaigns: one for each; baselines: by name its `qini` and `difference`; qini, qini_95: the model's.
    """
    selected = select_campaigns(data, campaigns)
    rankings = [{name: Ranking.of(uplift) for name, uplift in each.uplift.items()} for each in selected]
    withheld = [each.uplift[MODEL] < 0 for each in selected]

    def measure(drawn: NDArray[np.float64]) -> dict[str, float]:
        found: dict[str, float] = {}
        for each, ranked, left_alone in zip(selected, rankings, withheld, strict=True):
            weights = drawn[each.rows] * each.weights
            key, experiment = each.campaign, each.experiment
            found |= {f"{key} {name}": qini(order, experiment, weights) for name, order in ranked.items()}
            found[f"{key} withheld"] = mean_effect(experiment, weights * left_alone)
        return found

    resampled = bootstrap(measure, data.customer_ids)
    once = measure(np.ones(len(data.outcome)))
    alpha = ALPHA / max(len(selected), 1)
    described = [
        _describe(each, ranked[MODEL], left_alone, resampled, once, alpha)
        for each, ranked, left_alone in zip(selected, rankings, withheld, strict=True)
    ]
    shares = np.array([len(each.rows) for each in selected], dtype=np.float64)
    own, own_drawn = (_pool(MODEL, campaigns, values, shares) for values in (once, resampled))
    names = [name for name in (selected[0].uplift if selected else {}) if name != MODEL]
    pooled = {name: tuple(_pool(name, campaigns, values, shares) for values in (once, resampled)) for name in names}
    return {
        "qini": rounded(own),
        "qini_95": interval(own_drawn),
        "campaigns": described,
        "baselines": {
            name: {"qini": rounded(other), "difference": difference("qini", own - other, own_drawn - drawn)}
            for name, (other, drawn) in pooled.items()
        },
    }


def _describe(
    selected: CampaignRows,
    ranking: Ranking,
    left_alone: NDArray[np.bool_],
    resampled: dict[str, NDArray[np.float64]],
    once: dict[str, float],
    alpha: float,
) -> dict[str, Any]:
    key = selected.campaign
    bounds = interval(resampled[f"{key} {MODEL}"], alpha)
    effect = interval(resampled[f"{key} withheld"], alpha)
    helps = bool(effect) and effect[0] is not None and effect[0] > 0
    ranks = bool(bounds) and bounds[0] is not None and bounds[0] > 0
    return {
        "campaign": key,
        **describe_order(ranking, selected.experiment, selected.weights),
        "qini_95": bounds,
        "withheld": {
            "customers": int(left_alone.sum()),
            "effect": rounded(once[f"{key} withheld"]),
            "effect_95": effect,
        },
        "is_served": ranks and not helps,
    }


def _pool(name: str, campaigns: Sequence[str], values: dict[str, Any], shares: NDArray[np.float64]) -> Any:
    return sum(share * values[f"{key} {name}"] for key, share in zip(campaigns, shares / shares.sum(), strict=True))
