"""Which columns of the view the facts that models add are computed from, and which of these facts are unavailable.

A fact is unavailable, and not null, if a column behind it is missing: a rule of a segment must not take the missing
column for a change of the customer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.rfm import RFM_SOURCES
from models.routing import RoutedScorer
from models.tasks.registry import TASKS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from models.ports import Scorer
    from models.registry import Scorers


def unavailable_facts(
    columns: Collection[str], lost: Collection[str], scorers: Scorers
) -> Mapping[str, Collection[str]]:
    """Return the missing columns behind each fact that cannot be computed, by fact.

    RFM and models need every column that they read. The rules that stand in for models define what a missing column
    means; but a column that disappears while the worker runs must not change the meaning of their scores.

    Args:
        columns: those of the warehouse's table.
        lost: columns that it had before.
        scorers: the models, or the rules that stand in for them.
    """
    present = set(columns)
    missing = {fact: set(sources) - present for fact, sources in RFM_SOURCES.items()}
    for name, scorer in scorers.by_name.items():
        task = TASKS[name]
        lacking = _missing(scorer, task.rule_columns, present, lost)
        if (trial := scorers.trials.get(name)) and trial.challenger and not trial.experiment.is_shadow:
            lacking = lacking | _missing(trial.challenger, task.rule_columns, present, lost)
        missing |= dict.fromkeys(task.facts, lacking)
    return {fact: names for fact, names in missing.items() if names}


def _missing(scorer: Scorer, rule_columns: frozenset[str], present: set[str], lost: Collection[str]) -> set[str]:
    if scorer.basis == "rules":
        return {name for name in rule_columns if name in lost}
    # Segmented models also read the column that chooses the model.
    routing: Collection[str] = [scorer.column] if isinstance(scorer, RoutedScorer) else []
    read = (*scorer.columns, *routing)
    sources = {source for name in read for source in RFM_SOURCES.get(name, (name,))}
    return sources - present
