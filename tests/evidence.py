"""Evidence of small made-up runs: a test names only what it is about."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from training.evaluation.evaluation_data import EvaluationData
from training.tasks.registry import TASKS

if TYPE_CHECKING:
    from numpy.typing import NDArray

OFFERS = 3


def evidence(task: str, outcome: NDArray[Any], scores: NDArray[Any], /, **changes: Any) -> EvaluationData:
    """A run of 1,500 training rows, one harmless feature, and a customer for each row."""
    rows = len(outcome)
    noise = np.random.default_rng(5).random((rows, 1)).astype(np.float32)
    plain = EvaluationData(
        task=TASKS[task].sized(outcome.reshape(rows, -1).shape[1]),
        outcome=outcome.reshape(rows, -1).astype(np.float32),
        scores=scores.reshape(rows, -1).astype(np.float32),
        baselines={},
        interval=None,
        propensities=np.full(rows, np.nan),
        customer_ids=tuple(str(number) for number in range(rows)),
        dates=np.full(rows, "2011-06-01", dtype="datetime64[D]"),
        training_inputs=np.zeros((1500, 1), dtype=np.float32),
        training_scores=np.full((1500, 1), 0.4, dtype=np.float32),
        later_inputs=noise,
        features=("shoe_size",),
    )
    return replace(plain, **changes)


def churn(rows: int = 1200, seed: int = 1, **changes: Any) -> EvaluationData:
    """Calibrated probabilities of churn."""
    generator = np.random.default_rng(seed)
    chance = generator.beta(1.2, 1.8, rows)
    return evidence("churn", generator.random(rows) < chance, chance, **changes)


def spend(rows: int = 1200, seed: int = 1, **changes: Any) -> EvaluationData:
    """Expected spend, of which half the customers spend nothing and the others about twice as much."""
    generator = np.random.default_rng(seed)
    expected = generator.gamma(2, 50, rows)
    actual = expected * 2 * (generator.random(rows) < 1 / 2) * generator.gamma(9, 1 / 9, rows)
    return evidence("ltv", actual, expected, **changes)


def offers(gain: float, rows: int = 6000, seed: int = 1, **changes: Any) -> EvaluationData:
    """Three offers shown by chance: offer 2 converts at .2, and each customer's favourite at .1 + gain.

    The scores know the favourite, which is offer 1 or 3.
    """
    generator = np.random.default_rng(seed)
    chance = np.tile([0.1, 0.2, 0.1], (rows, 1))
    chance[np.arange(rows), 2 * generator.integers(0, 2, rows)] += gain
    shown = generator.integers(0, OFFERS, rows)
    outcome = np.full((rows, OFFERS), -1.0)
    outcome[np.arange(rows), shown] = generator.random(rows) < chance[np.arange(rows), shown]
    propensities = np.full(rows, 1 / OFFERS)
    return evidence("nbo", outcome, chance, **{"propensities": propensities, **changes})
