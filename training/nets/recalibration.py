"""Bring the mean score of a net to the outcome rate of the latest rows that it was trained on.

Rates move (half of a shop's customers churned in spring, two fifths in autumn), and a net trained on several
cut-offs has learned their mean. Only the level is moved: one constant in the graph, the ranking stays.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from training.evaluation.calibration import find_prior_shift
from training.evaluation.selection_metrics import compare, row_losses
from training.nets.architecture import assemble

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.data.dataset import Dataset, Split
    from training.nets.fit import Trained
    from training.task import Task

ROUNDS = 3


def improves(trained: Trained, inner: Split, task: Task) -> bool:
    """Tell whether moving the level makes the net of an inner split lose less on its later rows, beyond the noise."""
    if task.predicts_amount or task.outputs > 1 or len(_days(inner.earlier)) < 2:  # noqa: PLR2004 - one day's rate is what was learned
        return False
    moved = calibrate(trained, inner.earlier)[0].predict(inner.later.inputs)
    targets = inner.later.targets
    lost = [row_losses(targets, scores, amounts=False) for scores in (moved, trained.predict(inner.later.inputs))]
    return compare(lost[0], lost[1]).clear


def calibrate(trained: Trained, rows: Dataset) -> tuple[Trained, float]:
    """Return the net with its level moved to the rate of the latest date of its training rows, and by how much.

    The shift is on the scale of the logit.
    """
    latest = rows.take(rows.dates == _days(rows)[-1])
    outcome = latest.targets[latest.targets[:, 0] >= 0, 0]
    inputs = latest.inputs[latest.targets[:, 0] >= 0]
    total = 0.0
    # An ensemble averages after the sigmoid, so that the shift found on its mean is not exact at once.
    for _ in range(ROUNDS):
        by = find_prior_shift(trained.predict(inputs)[:, 0], float(outcome.mean()))
        trained = shift(trained, by)
        total += by
    return trained, total


def shift(trained: Trained, by: float) -> Trained:
    """Return the net with its level moved, on the scale of the logit."""
    net = replace(trained.net, level=trained.net.level + by)
    bag = trained.bag and replace(trained.bag, level=trained.bag.level + by)
    model = assemble(net, trained.likelihood, trained.preprocessing, has_spread=trained.spreads > 0, bag=bag)
    return replace(trained, net=net, bag=bag, model=model)


def _days(rows: Dataset) -> NDArray[np.datetime64]:
    days: NDArray[np.datetime64] = np.unique(rows.dates[~np.isnat(rows.dates)])
    return days
