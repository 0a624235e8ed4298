"""The facts that models add to a table of customers.

Each customer is scored for itself: where a model gives one of them no score that can be used, the rule scores that
one, and the others keep the model's. So it does not matter which customers share a batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from models.errors import ModelInputError, ModelOutputError
from models.fallbacks import Fallback
from models.inputs import readable_inputs
from models.rfm import rfm_columns
from models.tasks.nbo import NextBestOffer
from models.tasks.registry import TASKS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from features.table import Column, FeatureTable
    from models.fallbacks import ModelFallbacks
    from models.ports import Scorer
    from models.registry import Scorers
    from models.tasks.protocol import ModelTask

TOLERANCE = 1e-4
"""How far beyond its range rounding may put a score; it is clipped to the range then."""


def score_customers(table: FeatureTable, scorers: Scorers, fallbacks: ModelFallbacks | None = None) -> FeatureTable:
    """Return the table with RFM and the models' scores."""
    scored = table.with_columns(rfm_columns(table, scorers.rfm))
    return scored.with_columns(score_columns(scored, scorers, fallbacks))


def score_columns(table: FeatureTable, scorers: Scorers, fallbacks: ModelFallbacks | None = None) -> dict[str, Column]:
    """Return the facts that every task adds for every customer, one column each; see `add_facts` in models/tasks.

    Args:
        table: the customers.
        scorers: what serves.
        fallbacks: notes the customers whom a rule scored in place of a model.
    """
    columns: dict[str, Column] = {}
    for task in TASKS.values():
        if not task.for_contacts_only:
            scores, basis = score_task(task, table, scorers, fallbacks)
            manifest: Mapping[str, Any] = getattr(scorers[task.name], "manifest", {})
            columns |= task.add_facts(scores, basis, manifest, scorers.rfm)
    return columns


def score_offers(
    table: FeatureTable, scorers: Scorers, fallbacks: ModelFallbacks | None = None
) -> tuple[NDArray[np.float32], Column]:
    """Return the score of each offer, shape [customers, offers], and what gave them, shape [customers].

    For the few customers that a campaign will contact; by rule for those whom the model gives no usable scores.
    """
    return score_task(TASKS[NextBestOffer.name], table, scorers, fallbacks)


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
        column = next(iter(readable_inputs(table, scorer.columns, scorer.categories)[1]), None)
        if column is not None:
            raise ModelInputError(f"column {column!r} is to be numbers for the model; map it to a numeric column")
        raise ModelOutputError(
            f"model {scorer.version} gave {int(bad.sum())} of {len(table)} customers a score that is not a finite "
            f"number, first customer {customer!r}; train it again"
        )
    return scores


def score_task(
    task: ModelTask, table: FeatureTable, scorers: Scorers, fallbacks: ModelFallbacks | None = None
) -> tuple[NDArray[np.float32], Column]:
    """Return scores of shape [customers, outputs] and what gave them, `rules` where the rule had to stand in.

    The rule gives one value without bounds: those are NaN for its customers.
    """
    scorer = scorers[task.name]
    counted = fallbacks if scorer.basis == "model" and len(table) else None
    try:
        scores = scorer.score(table)
    except ModelInputError as error:
        if counted is not None:
            counted.note(task.name, scorer.version, len(table), {Fallback.MISSING_COLUMN: len(table)}, str(error))
        return task.apply_rule(table, scorers.offers), _constant("rules", len(table))
    # NaN compares as false, too.
    usable = ((scores >= task.lowest - TOLERANCE) & (scores <= task.highest + TOLERANCE)).all(axis=1)
    if scorer.basis == "rules":
        # What a rule does not know is null.
        usable |= np.isnan(scores).all(axis=1)
    reasons, detail = ({}, "") if usable.all() else _explain(scorer, table, scores, np.flatnonzero(~usable))
    if counted is not None:
        counted.note(task.name, scorer.version, len(table), reasons, detail)
    basis = _constant(scorer.basis, len(table))
    scores = scores.clip(task.lowest, task.highest)
    if not usable.all():
        rows = np.flatnonzero(~usable)
        by_rule = task.apply_rule(table.take(rows), scorers.offers)
        scores[rows] = np.nan
        scores[rows, : by_rule.shape[1]] = by_rule
        basis[rows] = "rules"
    return scores, basis


def _explain(
    scorer: Scorer, table: FeatureTable, scores: NDArray[np.float32], rows: NDArray[np.intp]
) -> tuple[dict[Fallback, int], str]:
    """Return for how many rows a model gave no usable score, by reason, and an example in words."""
    columns = readable_inputs(table.take(rows), scorer.columns, scorer.categories)[1]
    unreadable = np.logical_or.reduce([np.zeros(len(rows), dtype=np.bool_), *columns.values()])
    outside = np.isfinite(scores[rows]).all(axis=1) & ~unreadable
    counts = {
        Fallback.UNREADABLE_INPUT: int(unreadable.sum()),
        Fallback.OUT_OF_RANGE: int(outside.sum()),
        Fallback.NOT_FINITE: int((~outside & ~unreadable).sum()),
    }
    if unreadable[0]:
        column = next(name for name, cells in columns.items() if cells[0])
        detail = f"column {column!r} is not a number for some customers; correct the view"
    else:
        detail = f"a customer was given {scores[rows[0]].tolist()}; roll back or train again"
    return {reason: count for reason, count in counts.items() if count}, detail


def _constant(cell: str, length: int) -> Column:
    column = np.empty(length, dtype=object)
    column[:] = cell
    return column
