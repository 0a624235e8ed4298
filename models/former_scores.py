"""The scores that customers would have without the promotions that began a changeover."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.changeovers import NONE
from models.scores import score_columns
from models.sources import unavailable_facts
from models.tasks.registry import TASKS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from features.table import FeatureTable
    from models.registry import Scorers


def label_changeovers(changeovers: Mapping[str, str], facts: frozenset[str]) -> list[str]:
    """Return the changeovers behind the scores among some facts, as `model@changeover`, in the order of the models."""
    return [
        f"{name}@{changeovers[name]}"
        for name, task in sorted(TASKS.items())
        if name in changeovers and not facts.isdisjoint(task.facts)
    ]


def score_as_before(
    table: FeatureTable, scorers: Scorers, then: Sequence[str], now: Sequence[str]
) -> FeatureTable | None:
    """Return the table with the scores of what served under other changeovers, where that is what served just before.

    Args:
        table: the customers, scored.
        scorers: what serves.
        then: the changeovers to score under, as `label_changeovers` returns them.
        now: those under which the table was scored.

    Returns:
        None if what served then is not loaded, or a column that it reads is missing.
    """
    past = dict(each.split("@", 1) for each in then)
    facts: dict[str, frozenset[str]] = {}
    former = scorers
    for name in (each.split("@", 1)[0] for each in now if each not in then):
        before = scorers.formers.get(name)
        if before is None or before.changeover != past.get(name, NONE):
            return None
        former = former.with_scorer(name, before.scorer)
        facts[name] = frozenset(TASKS[name].facts)
    changed = frozenset[str]().union(*facts.values())
    if not changed.isdisjoint(unavailable_facts(table.columns, (), former)):
        return None
    columns = score_columns(table, former)
    return table.with_columns({name: columns[name] for name in changed})
