"""Which net ships, chosen on rows of the training data alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from training.fit import METHODS, Options, fit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from training.fit import Method, Trained
    from training.heads import HeadName

SEED = 1
OPTIONS = Options()


@dataclass(frozen=True, slots=True)
class Inner:
    """Training rows split again: fitted on the first, chosen on the second; shapes [rows, ...]."""

    inputs: NDArray[np.float32]
    targets: NDArray[np.float32]
    later_inputs: NDArray[np.float32]
    later_targets: NDArray[np.float32]

    @classmethod
    def of(cls, inputs: NDArray[np.float32], targets: NDArray[np.float32], later: NDArray[np.bool_]) -> Inner:
        """Split rows by where `later` is true."""
        return cls(inputs[~later], targets[~later], inputs[later], targets[later])


@dataclass(frozen=True, slots=True)
class Choice:
    """The method that ships, and the net of it that was fitted on the first part of the inner split."""

    method: Method
    trained: Trained


def choose(
    inner: Inner, head: HeadName = "binary", categories: Sequence[int] = (), interval: float | None = None
) -> Choice:
    """Return the ensemble where it loses less by more than one standard error, else the additive net.

    The loss is cross-entropy, of spend the squared error with both sides cut at the 99th percentile.
    """
    nets = [
        fit(
            inner.inputs,
            inner.targets,
            head=head,
            method=method,
            seed=SEED,
            categories=categories,
            interval=interval,
            options=OPTIONS,
        )
        for method in METHODS
    ]
    additive, ensemble = (_losses(net.predict(inner.later_inputs)[:, 0], inner, head) for net in nets)
    gain = additive - ensemble
    better = gain.mean() > gain.std(ddof=1) / np.sqrt(len(gain))
    return Choice(METHODS[int(better)], nets[int(better)])


def _losses(scores: NDArray[np.float32], inner: Inner, head: HeadName) -> NDArray[np.float64]:
    outcome, scores = inner.later_targets[:, 0].astype(np.float64), scores.astype(np.float64)
    if head == "binary":
        chance = np.clip(scores, 1e-6, 1 - 1e-6)
        lost: NDArray[np.float64] = -np.log(np.where(outcome > 0, chance, 1 - chance))
        return lost
    cap = np.quantile(inner.targets, 0.99)
    squared: NDArray[np.float64] = (np.minimum(outcome, cap) - np.minimum(scores, cap)) ** 2
    return squared
