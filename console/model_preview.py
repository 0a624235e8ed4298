"""What a swap of models would change among today's customers, before it is made. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from features.signals import as_columns
from features.times import EVENT_TIME, event_times
from models.scores import score_customers, score_task
from models.tasks.registry import TASKS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from features.table import Column, FeatureTable
    from models.ports import Scorer
    from models.registry import Scorers
    from models.tasks.protocol import ModelTask
    from segments.definition import Segment


@dataclass(frozen=True, slots=True)
class Preview:
    """How many customers a swap would move.

    Attributes:
        before: version that serves.
        after: version that would serve.
        customers: how many were scored with both.
        moves: by fact (churn_risk, value_segment, recommended_offer) how many go from which value to which.
        segments: by key how many would enter and leave by the rule, where any would.
    """

    before: str
    after: str
    customers: int
    moves: Mapping[str, Mapping[tuple[str, str], int]]
    segments: Mapping[str, tuple[int, int]]


def preview_swap(
    name: str, scorer: Scorer, scorers: Scorers, today: FeatureTable, segments: Sequence[Segment], as_of: datetime
) -> Preview:
    """Score today's customers with what serves and with what would, and compare facts and segments.

    Args:
        name: the task.
        scorer: what would serve.
        scorers: what serves.
        today: the customers; what conversations said of them is not known here, and null.
        segments: the segments in force; their exit rules, which need a history, are left out.
        as_of: the moment that signals are aged to.
    """
    swapped = scorers.with_scorer(name, scorer)
    signals = as_columns({}, today.customer_ids, as_of)
    plain = today.with_columns({**signals, EVENT_TIME: event_times([as_of] * len(today))})
    before, after = (score_customers(plain, each) for each in (scorers, swapped))
    task = TASKS[name]
    if task.for_contacts_only:
        facts = [_preview(task, plain, each) for each in (scorers, swapped)]
    else:
        facts = [each.columns[task.fact] for each in (before, after)]
    moves = {task.fact: count_moves(*facts)}
    crossing = {each.key: _crossing(each, before, after) for each in segments}
    return Preview(
        scorers.versions.get(name, "none"),
        scorer.version,
        len(today),
        moves,
        {key: counts for key, counts in crossing.items() if any(counts)},
    )


def _preview(task: ModelTask, customers: FeatureTable, scorers: Scorers) -> Column:
    """Return the fact of a task for contacts only; all null where it is optional and nothing serves."""
    if task.name not in scorers.by_name:
        return np.full(len(customers), None, dtype=object)
    return task.preview(score_task(task, customers, scorers)[0])


def count_moves(before: Column, after: Column) -> dict[tuple[str, str], int]:
    """Return how many cells changed from which value to which."""
    changed = np.flatnonzero(before != after)
    return dict(Counter((str(before[place]), str(after[place])) for place in changed).most_common())


def _crossing(segment: Segment, before: FeatureTable, after: FeatureTable) -> tuple[int, int]:
    was, will = segment.rule.evaluate(before), segment.rule.evaluate(after)
    return int((will & ~was).sum()), int((was & ~will).sum())
