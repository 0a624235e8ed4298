"""The facts that models add to a table of customers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from models.errors import ModelInputError, ModelOutputError
from models.rfm import rfm_columns
from models.rules import churn_rule, lifetime_value_rule, offers_rule

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from features.table import Column, FeatureTable
    from models.ports import Scorer
    from models.registry import Scorers
    from models.rules import Rule

MEDIUM_RISK = 0.4
HIGH_RISK = 0.7
_RISKS = np.array(["low", "medium", "high"], dtype=object)
_VALUES = np.array(["low", "medium", "high"], dtype=object)


def score_customers(table: FeatureTable, scorers: Scorers) -> FeatureTable:
    """Return the table with RFM and the models' scores."""
    scored = table.with_columns(rfm_columns(table, scorers.rfm))
    return scored.with_columns(score_columns(scored, scorers))


def score_columns(table: FeatureTable, scorers: Scorers) -> dict[str, Column]:
    """Return the scores of every customer, one column each.

    churn_probability; churn_risk: low below .4, medium below .7, else high; predicted_ltv: money in 12 months;
    predicted_ltv_low and predicted_ltv_high: the bounds of its interval, null where none is known;
    value_segment: low, medium or high; decision_basis: `model`, `rules` or `mock`, whichever gave the churn
    probability. Where a model refuses this batch, its rule scores it.
    """
    churn, basis = _score(scorers.churn, churn_rule, table)
    predicted, cuts = _score_value(table, scorers)
    # Rounded before it is compared, so that a rule on the probability and the risk never disagree.
    probability = churn[:, 0].astype(np.float64).round(6)
    return {
        "churn_probability": probability,
        "churn_risk": _RISKS[np.searchsorted((MEDIUM_RISK, HIGH_RISK), probability, side="right")],
        "predicted_ltv": predicted[:, 0],
        "predicted_ltv_low": predicted[:, 1],
        "predicted_ltv_high": predicted[:, 2],
        "value_segment": _VALUES[np.searchsorted(cuts, predicted[:, 0], side="left")],
        "decision_basis": _constant(basis, len(table)),
    }


def score_offers(table: FeatureTable, scorers: Scorers) -> tuple[NDArray[np.float32], str]:
    """Return the score of each offer, shape [customers, 8], and its basis.

    For the few customers that a campaign will contact; by rule where the model refuses them.
    """
    return _score(scorers.offers, offers_rule, table)


def _score_value(table: FeatureTable, scorers: Scorers) -> tuple[NDArray[np.float64], tuple[float, float]]:
    """Return money in 12 months and its bounds, shape [customers, 3], and where it is medium and high."""
    scores, basis = _score(scorers.ltv, lifetime_value_rule, table)
    by_model = basis == "model"
    known = scores.astype(np.float64) * (scorers.value.factor if by_model else 1.0)
    unknown = np.full((len(table), 3 - known.shape[1]), np.nan)
    cuts = (scorers.value.cuts if by_model else None) or scorers.rfm.value
    return np.hstack([known, unknown]).round(2), cuts


def _score(scorer: Scorer, rule: Rule, table: FeatureTable) -> tuple[NDArray[np.float32], str]:
    try:
        scores = scorer.score(table)
    except (ModelInputError, ModelOutputError):
        return rule(table), "rules"
    if not np.isfinite(scores).all():
        return rule(table), "rules"
    return scores, scorer.basis


def _constant(cell: str, length: int) -> Column:
    column = np.empty(length, dtype=object)
    column[:] = cell
    return column
