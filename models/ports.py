"""What decisions need from a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from features.table import FeatureTable


class Scorer(Protocol):
    """One model, or the rule that stands in for it."""

    @property
    def version(self) -> str:
        """The model's version, for example `churn-20111001-3f2a`, or `rules`."""

    @property
    def basis(self) -> str:
        """`model`, `rules` or `mock`."""

    @property
    def columns(self) -> Sequence[str]:
        """The columns that a model takes as numbers; none for a rule, which does without."""

    @property
    def spreads(self) -> int:
        """For how many of the scores, from the first on, `score_with_spread` gives a spread; 0 where none is known."""

    def score(self, table: FeatureTable) -> NDArray[np.float32]:
        """Return scores of shape [customers, outputs]: as many as its task in models/tasks has.

        A customer's scores do not depend on the others in the table. A customer who cannot be scored, as one with
        text in a column of numbers, has NaN and does not hinder the others.

        Raises:
            ModelInputError: the table lacks a column the model was trained on.
        """

    def score_with_spread(self, table: FeatureTable) -> NDArray[np.float32]:
        """Return the same scores and their spreads, shape [customers, outputs + spreads].

        A spread is the standard deviation of a score over the members of an ensemble: how much the score depends on
        which customers the model happened to learn from.

        Raises:
            ModelInputError: the table lacks a column the model was trained on.
        """
