"""An in-memory scorer with given scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from models.inputs import readable_inputs
from models.registry import Scorers
from models.rfm import RfmCuts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from features.table import FeatureTable
    from models.errors import ModelError
    from models.ports import Scorer


class InMemoryScorer:
    """Returns the given scores by customer id, and zero for other customers; raises `error` while that is set.

    With columns it reads them as a model does: a missing column is an error, and an unreadable value gives no score.
    """

    version = "given"
    basis = "model"
    spreads = 0

    def __init__(self, scores: Mapping[str, Sequence[float]], outputs: int = 1, columns: Sequence[str] = ()) -> None:
        self.columns = columns
        self._scores = scores
        self._outputs = outputs
        self.error: ModelError | None = None

    def score(self, table: FeatureTable) -> NDArray[np.float32]:
        """Return the given scores, shape [customers, outputs]."""
        if self.error is not None:
            raise self.error
        rows = [self._scores.get(customer_id, (0.0,) * self._outputs) for customer_id in table.customer_ids]
        scores = np.array(rows, dtype=np.float32).reshape(len(table), self._outputs)
        for unreadable in readable_inputs(table, self.columns)[1].values():
            scores[unreadable] = np.nan
        return scores

    def score_with_spread(self, table: FeatureTable) -> NDArray[np.float32]:
        """Return the same."""
        return self.score(table)


def build_scorers(churn: Scorer, offers: Scorer, ltv: Scorer) -> Scorers:
    """Return scorers of the three tasks with the usual cut points of RFM."""
    return Scorers({"churn": churn, "nbo": offers, "ltv": ltv}, RfmCuts())
