"""What a swap of models would change among today's customers, before it is made. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
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
    from segments.vectorized import Mask


@dataclass(frozen=True, slots=True)
class Preview:
    """How many customers a swap would move.

    Attributes:
        before: version that serves.
        after: version that would serve.
        customers: how many were scored with both.
        moves: by fact (churn_risk, value_segment, recommended_offer) how many go from which value to which.
        segments: by key how many would enter and leave by the rule, where any would.
        moved: how many change the fact, or enter or leave a segment. An offer is no band: it changes when a customer is
            contacted, and contacts no one.
    """

    before: str
    after: str
    customers: int
    moves: Mapping[str, Mapping[tuple[str, str], int]]
    segments: Mapping[str, tuple[int, int]]
    moved: int = 0

    @property
    def share(self) -> float:
        """The share of customers who are moved."""
        return self.moved / self.customers if self.customers else 0.0


def add_previews(one: Preview, other: Preview) -> Preview:
    """Return the preview of two parts of the customers together."""
    keys = [*one.segments, *(key for key in other.segments if key not in one.segments)]
    parts = [(one.segments.get(key, (0, 0)), other.segments.get(key, (0, 0))) for key in keys]
    moves = {
        fact: dict((Counter(counts) + Counter(other.moves.get(fact, {}))).most_common())
        for fact, counts in one.moves.items()
    }
    return replace(
        one,
        customers=one.customers + other.customers,
        moves=moves,
        segments={key: (a[0] + b[0], a[1] + b[1]) for key, (a, b) in zip(keys, parts, strict=True)},
        moved=one.moved + other.moved,
    )


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
    crossing = {each.key: _crossing(each, before, after) for each in segments}
    counts = {key: (int(entering.sum()), int(leaving.sum())) for key, (entering, leaving) in crossing.items()}
    moved = [entering | leaving for entering, leaving in crossing.values()]
    if not task.for_contacts_only:
        moved.append(facts[0] != facts[1])
    return Preview(
        scorers.versions.get(name, "none"),
        scorer.version,
        len(today),
        {task.fact: count_moves(*facts)},
        {key: both for key, both in counts.items() if any(both)},
        int(np.logical_or.reduce([np.zeros(len(today), dtype=np.bool_), *moved]).sum()),
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


def _crossing(segment: Segment, before: FeatureTable, after: FeatureTable) -> tuple[Mask, Mask]:
    was, will = segment.rule.evaluate(before), segment.rule.evaluate(after)
    return will & ~was, was & ~will
