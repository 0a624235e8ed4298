"""What a finished training run has measured: input of metrics, gates and report."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from training.task import Task


@dataclass(frozen=True, slots=True)
class EvaluationData:
    """Scores and outcomes of one run on rows later than any trained on.

    Attributes:
        task: what was learned.
        outcome: shape [rows, outputs]; 1, 0, or -1 where not observed; or amounts.
        scores: shape [rows, outputs], from the exported model through the serving code.
        baselines: scores of the same shape by name: recency_rule, logistic_regression, rfm, gradient_boosting,
            constant, past_spend, tweedie, and champion where there is one; those that suit the task.
        interval: shape [rows, 2], the lower and upper bound of each prediction; None without.
        propensities: shape [rows], the logged probability of the offer shown; NaN where not logged.
        customer_ids: shape [rows].
        dates: shape [rows], datetime64[D].
        training_inputs: shape [rows, features], what the model was trained on, null is NaN.
        training_scores: shape [rows, outputs], its scores there.
        later_inputs: shape [rows, features].
        features: names of the features, in order.
        categories: the values of each feature that is a code of one, by its name.
        importance: by feature, the loss in AUC (churn, nbo) or in rank correlation (ltv) when it is shuffled.
        shapes: by feature, values and what the additive model adds to the score there; empty for other models.
        folds: by cut-off, the metric of a model trained on the rows before it, for stability.
        treated: for churn, shape [rows], true where contacted, false for the random control group; None
            where no control group was logged.
        uplift: shape [rows], what contact is expected to add to the probability of staying; None without `treated`.
    """

    task: Task
    outcome: NDArray[np.float32]
    scores: NDArray[np.float32]
    baselines: Mapping[str, NDArray[np.float32]]
    interval: NDArray[np.float32] | None
    propensities: NDArray[np.float64]
    customer_ids: tuple[str, ...]
    dates: NDArray[np.datetime64]
    training_inputs: NDArray[np.float32]
    training_scores: NDArray[np.float32]
    later_inputs: NDArray[np.float32]
    features: tuple[str, ...]
    categories: Mapping[str, Sequence[str]] = field(default_factory=dict)
    importance: Mapping[str, float] = field(default_factory=dict)
    shapes: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]] = field(default_factory=dict)
    folds: Mapping[str, float] = field(default_factory=dict)
    treated: NDArray[np.bool_] | None = None
    uplift: NDArray[np.float64] | None = None

    def summarise(self) -> EvaluationData:
        """Return the same with the outputs alone by which the task is summed up."""
        pick = self.task.summarise
        return replace(
            self,
            outcome=pick(self.outcome),
            scores=pick(self.scores),
            baselines={name: pick(each) for name, each in self.baselines.items()},
            training_scores=pick(self.training_scores),
        )
