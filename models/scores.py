"""The facts that models add to a table of customers.

Each customer is scored for itself: where a model gives one of them no score that can be used, the rule scores that
one, and the others keep the model's. So it does not matter which customers share a batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.errors import ModelInputError, ModelOutputError
from models.fallbacks import Fallback
from models.inputs import readable_inputs
from models.rfm import rfm_columns
from models.rules import churn_rule, lifetime_value_rule, offers_rule

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from features.table import Column, FeatureTable
    from models.fallbacks import ModelFallbacks
    from models.ports import Scorer
    from models.registry import Scorers
    from models.rules import Rule

MEDIUM_RISK = 0.4
HIGH_RISK = 0.7
TOLERANCE = 1e-4
"""How far beyond its range rounding may put a score; it is clipped to the range then."""
_RISKS = np.array(["low", "medium", "high"], dtype=object)
_VALUES = np.array(["low", "medium", "high"], dtype=object)


@dataclass(frozen=True, slots=True)
class _Question:
    """What a model is asked: its name, the rule that stands in for it, and the range of a score."""

    model: str
    rule: Rule
    highest: float
    lowest: float = 0.0


CHURN = _Question("churn", churn_rule, 1.0)
OFFERS = _Question("nbo", offers_rule, 1.0)
VALUE = _Question("ltv", lifetime_value_rule, float(np.finfo(np.float32).max))


def score_customers(table: FeatureTable, scorers: Scorers, fallbacks: ModelFallbacks | None = None) -> FeatureTable:
    """Return the table with RFM and the models' scores."""
    scored = table.with_columns(rfm_columns(table, scorers.rfm))
    return scored.with_columns(score_columns(scored, scorers, fallbacks))


def score_columns(table: FeatureTable, scorers: Scorers, fallbacks: ModelFallbacks | None = None) -> dict[str, Column]:
    """Return the scores of every customer, one column each.

    churn_probability; churn_risk: low below .4, medium below .7, else high; predicted_ltv: money in 12 months;
    predicted_ltv_low and predicted_ltv_high: the bounds of its interval, null where none is known;
    value_segment: low, medium or high; decision_basis: `model`, `rules` or `mock`, whichever gave this customer's
    churn probability.

    Args:
        table: the customers.
        scorers: what serves.
        fallbacks: told of the customers whom a rule scored in place of a model.
    """
    churn, basis = _score(scorers.churn, CHURN, table, fallbacks)
    # Rounded before it is compared, so that a rule on the probability and the risk never disagree.
    probability = churn[:, 0].astype(np.float64).round(6)
    return {
        "churn_probability": probability,
        "churn_risk": _RISKS[np.searchsorted((MEDIUM_RISK, HIGH_RISK), probability, side="right")],
        **_value_columns(table, scorers, fallbacks),
        "decision_basis": basis,
    }


def score_offers(
    table: FeatureTable, scorers: Scorers, fallbacks: ModelFallbacks | None = None
) -> tuple[NDArray[np.float32], Column]:
    """Return the score of each offer, shape [customers, 8], and what gave them, shape [customers].

    For the few customers that a campaign will contact; by rule for those whom the model gives no usable scores.
    """
    return _score(scorers.offers, OFFERS, table, fallbacks)


def score_all(scorer: Scorer, table: FeatureTable) -> NDArray[np.float32]:
    """Return a model's own scores, shape [customers, outputs]: for measuring a model, where no rule may stand in.

    Raises:
        ModelInputError: the table lacks a column the model was trained on, or holds text in it.
        ModelOutputError: a score is not a finite number.
    """
    scores = scorer.score(table)
    bad = ~np.isfinite(scores).all(axis=1)
    if bad.any():
        customer = table.customer_ids[int(bad.argmax())]
        column = next(iter(readable_inputs(table, scorer.columns)[1]), None)
        if column is not None:
            raise ModelInputError(f"column {column!r} is to be numbers for the model; map it to a numeric column")
        raise ModelOutputError(
            f"model {scorer.version} gave {int(bad.sum())} of {len(table)} customers a score that is not a finite "
            f"number, first customer {customer!r}; train it again"
        )
    return scores


def _value_columns(table: FeatureTable, scorers: Scorers, fallbacks: ModelFallbacks | None) -> dict[str, Column]:
    """Return money in 12 months, its bounds and the value segment, on each customer's own scale."""
    scores, basis = _score(scorers.ltv, VALUE, table, fallbacks)
    scale, usual = scorers.value, scorers.rfm.value
    by_model = basis == "model"
    factor = np.where(by_model, scale.factor, 1.0)[:, None]
    unknown = np.full((len(table), 3 - scores.shape[1]), np.nan)
    money = np.hstack([scores.astype(np.float64) * factor, unknown]).round(2)
    medium, high = (np.where(by_model, *cuts) for cuts in zip(scale.cuts or usual, usual, strict=True))
    expected = money[:, 0]
    return {
        "predicted_ltv": expected,
        "predicted_ltv_low": money[:, 1],
        "predicted_ltv_high": money[:, 2],
        "value_segment": _VALUES[(expected > medium).astype(np.intp) + (expected > high)],
    }


def _score(
    scorer: Scorer, question: _Question, table: FeatureTable, fallbacks: ModelFallbacks | None
) -> tuple[NDArray[np.float32], Column]:
    """Return scores of shape [customers, outputs] and what gave them, `rules` where the rule had to stand in.

    The rule gives one value without bounds: those are NaN for its customers.
    """
    counted = fallbacks if scorer.basis == "model" and len(table) else None
    try:
        scores = scorer.score(table)
    except ModelInputError as error:
        if counted is not None:
            counted.note(question.model, scorer.version, len(table), {Fallback.MISSING_COLUMN: len(table)}, str(error))
        return question.rule(table), _constant("rules", len(table))
    # NaN compares as false, too.
    usable = ((scores >= question.lowest - TOLERANCE) & (scores <= question.highest + TOLERANCE)).all(axis=1)
    reasons, detail = ({}, "") if usable.all() else _explain(scorer, table, scores, np.flatnonzero(~usable))
    if counted is not None:
        counted.note(question.model, scorer.version, len(table), reasons, detail)
    basis = _constant(scorer.basis, len(table))
    scores = scores.clip(question.lowest, question.highest)
    if not usable.all():
        rows = np.flatnonzero(~usable)
        by_rule = question.rule(table.take(rows))
        scores[rows] = np.nan
        scores[rows, : by_rule.shape[1]] = by_rule
        basis[rows] = "rules"
    return scores, basis


def _explain(
    scorer: Scorer, table: FeatureTable, scores: NDArray[np.float32], rows: NDArray[np.intp]
) -> tuple[dict[Fallback, int], str]:
    """Return for how many rows a model gave no usable score, by reason, and an example in words."""
    columns = readable_inputs(table.take(rows), scorer.columns)[1]
    unreadable = np.logical_or.reduce([np.zeros(len(rows), dtype=np.bool_), *columns.values()])
    outside = np.isfinite(scores[rows]).all(axis=1) & ~unreadable
    counts = {
        Fallback.UNREADABLE_INPUT: int(unreadable.sum()),
        Fallback.OUT_OF_RANGE: int(outside.sum()),
        Fallback.NOT_FINITE: int((~outside & ~unreadable).sum()),
    }
    customer = table.customer_ids[rows[0]]
    if unreadable[0]:
        column = next(name for name, cells in columns.items() if cells[0])
        detail = f"column {column!r} of customer {customer!r} is not a number; correct the view"
    else:
        detail = f"customer {customer!r} was given {scores[rows[0]].tolist()}; roll back or train again"
    return {reason: count for reason, count in counts.items() if count}, detail


def _constant(cell: str, length: int) -> Column:
    column = np.empty(length, dtype=object)
    column[:] = cell
    return column
