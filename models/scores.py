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
from models.tasks.protocol import Scored
from models.tasks.registry import TASKS
from models.tasks.uplift import Uplift, split_by_campaign

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from features.table import Column, FeatureTable
    from models.fallbacks import ModelFallbacks
    from models.live_drift import LiveDrift
    from models.ports import Scorer
    from models.registry import Scorers
    from models.tasks.protocol import ModelTask

    Rows = NDArray[np.intp]

TOLERANCE = 1e-4
"""How far beyond its range rounding may put a score; it is clipped to the range then."""


def score_customers(
    table: FeatureTable, scorers: Scorers, fallbacks: ModelFallbacks | None = None, drift: LiveDrift | None = None
) -> FeatureTable:
    """Return the table with RFM and the models' scores."""
    scored = table.with_columns(rfm_columns(table, scorers.rfm))
    return scored.with_columns(score_columns(scored, scorers, fallbacks, drift))


def score_columns(
    table: FeatureTable, scorers: Scorers, fallbacks: ModelFallbacks | None = None, drift: LiveDrift | None = None
) -> dict[str, Column]:
    """Return the facts that every task adds for every customer, one column each; see `add_facts` in models/tasks.

    Args:
        table: the customers.
        scorers: what serves.
        fallbacks: notes the customers whom a rule scored in place of a model.
        drift: counts the customers whom a model scored.
    """
    columns: dict[str, Column] = {}
    for task in TASKS.values():
        if not task.for_contacts_only:
            arms = split_arms(task, table, scorers)
            facts = [task_facts(task, score_with_spread(task, part, by, fallbacks, drift), by) for _, part, by in arms]
            columns |= join_arms(arms, facts)
    return columns


def task_facts(task: ModelTask, scored: Scored, scorers: Scorers) -> dict[str, Column]:
    """Return the facts that scores of a task become, one column each."""
    manifest: Mapping[str, Any] = getattr(scorers[task.name], "manifest", {})
    return task.add_facts(scored.scores, scored.basis, manifest, scorers.rfm)


def split_arms(task: ModelTask, table: FeatureTable, scorers: Scorers) -> list[tuple[Rows, FeatureTable, Scorers]]:
    """Return the customers whom each version scores: those of an experiment's challenger, and all others."""
    trial = scorers.trials.get(task.name)
    if trial is None or trial.challenger is None or trial.experiment.is_shadow:
        return [(np.arange(len(table)), table, scorers)]
    challenged = trial.experiment.assign(table.customer_ids)
    by_challenger = scorers.with_scorer(task.name, trial.challenger)
    arms = ((np.flatnonzero(~challenged), scorers), (np.flatnonzero(challenged), by_challenger))
    found = [(rows, table.take(rows), scored_by) for rows, scored_by in arms if len(rows)]
    return found or [(np.arange(0), table, scorers)]


def join_arms(
    arms: Sequence[tuple[Rows, FeatureTable, Scorers]], parts: Sequence[Mapping[str, Column]]
) -> Mapping[str, Column]:
    """Return the columns of each arm as those of the whole table."""
    if len(arms) == 1:
        return parts[0]
    joined = {}
    for name, cells in parts[0].items():
        joined[name] = np.empty(sum(len(rows) for rows, _, _ in arms), dtype=cells.dtype)
        for (rows, _, _), columns in zip(arms, parts, strict=True):
            joined[name][rows] = columns[name]
    return joined


def shadow_columns(table: FeatureTable, scorers: Scorers) -> dict[str, dict[str, Column]]:
    """Return the facts that the challengers of shadow experiments would add, by task; they decide nothing."""
    found = {}
    for name, trial in scorers.trials.items():
        if trial.experiment.is_shadow and trial.challenger is not None and not TASKS[name].for_contacts_only:
            challenged = scorers.with_scorer(name, trial.challenger)
            found[name] = task_facts(TASKS[name], score_with_spread(TASKS[name], table, challenged), challenged)
    return found


def shadow_offers(table: FeatureTable, scorers: Scorers) -> NDArray[np.float32] | None:
    """Return the scores of each offer by the challenger of a shadow experiment, as `score_offers`; None without one."""
    task = TASKS[NextBestOffer.name]
    trial = scorers.trials.get(task.name)
    if trial is None or trial.challenger is None or not trial.experiment.is_shadow:
        return None
    return score_task(task, table, scorers.with_scorer(task.name, trial.challenger))[0]


def score_offers(
    table: FeatureTable, scorers: Scorers, fallbacks: ModelFallbacks | None = None, drift: LiveDrift | None = None
) -> tuple[NDArray[np.float32], Column]:
    """Return the score of each offer, shape [customers, offers], and what gave them, shape [customers].

    For the few customers that a campaign will contact; by rule for those whom the model gives no usable scores.
    """
    task = TASKS[NextBestOffer.name]
    arms = split_arms(task, table, scorers)
    parts = [(rows, score_task(task, part, by, fallbacks, drift)) for rows, part, by in arms]
    if len(parts) == 1:
        return parts[0][1]
    scores = np.empty((len(table), parts[0][1][0].shape[1]), dtype=np.float32)
    basis = np.empty(len(table), dtype=object)
    for rows, (of_part, basis_of_part) in parts:
        scores[rows], basis[rows] = of_part, basis_of_part
    return scores, basis


def score_contacts(
    table: FeatureTable, scorers: Scorers, fallbacks: ModelFallbacks | None = None
) -> Mapping[str, NDArray[np.float64]]:
    """Return by campaign the probability to convert with its contact and without, shape [customers, 2].

    NaN for a customer whom the model gives no usable scores; empty where no model of uplift serves.
    """
    task = TASKS[Uplift.name]
    scorer = scorers.by_name.get(Uplift.name)
    if scorer is None:
        return {}
    scores, _ = score_task(task, table, scorers, fallbacks)
    return split_by_campaign(scores, getattr(scorer, "manifest", {}))


def score_all(scorer: Scorer, table: FeatureTable) -> NDArray[np.float32]:
    """Return a model's own scores and spreads: for measuring a model, where no rule may stand in.

    Shape [customers, outputs + spreads].

    Raises:
        ModelInputError: the table lacks a column the model was trained on, or holds text in it.
        ModelOutputError: a score is not a finite number.
    """
    scores = scorer.score_with_spread(table)
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


def score_task(
    task: ModelTask,
    table: FeatureTable,
    scorers: Scorers,
    fallbacks: ModelFallbacks | None = None,
    drift: LiveDrift | None = None,
) -> tuple[NDArray[np.float32], Column]:
    """Return scores of shape [customers, outputs] and what gave them; see `score_with_spread`."""
    scored = score_with_spread(task, table, scorers, fallbacks, drift)
    return scored.scores, scored.basis


def score_with_spread(
    task: ModelTask,
    table: FeatureTable,
    scorers: Scorers,
    fallbacks: ModelFallbacks | None = None,
    drift: LiveDrift | None = None,
) -> Scored:
    """Return scores, their spreads and what gave them, `rules` where the rule had to stand in.

    The rule gives one value without bounds and spread: those are NaN for its customers.
    """
    scorer = scorers[task.name]
    counted = fallbacks if scorer.basis == "model" and len(table) else None
    try:
        matrix = scorer.score_with_spread(table)
    except ModelInputError as error:
        if counted is not None:
            counted.note(task.name, scorer.version, len(table), {Fallback.MISSING_COLUMN: len(table)}, str(error))
        unknown = np.full((len(table), scorer.spreads), np.nan, dtype=np.float32)
        return Scored(task.apply_rule(table, scorers.offers), _constant("rules", len(table)), unknown)
    outputs = matrix.shape[1] - scorer.spreads
    scores, spread = matrix[:, :outputs], matrix[:, outputs:]
    if drift is not None and scorer.basis == "model":
        drift.note(task.name, scorer, table, scores)
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
        spread[rows] = np.nan
        basis[rows] = "rules"
    return Scored(scores, basis, spread)


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
