"""Metrics of predicted amounts.

A few wholesalers dominate RMSE and plain R2 (a standard error of .1 is usual), so both are reported and the gates
use R2 winsorised: spend and prediction clipped at the 99th percentile of the spend observed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from training.evaluation.ranking import Ranking, area, spearman
from training.evaluation.resampling import bootstrap, difference, interval, rounded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

WINSORISED_AT = 0.99
DECILES = 10


@dataclass(frozen=True, slots=True)
class Predictor:
    """Predicted and actual spend of rows.

    Attributes:
        predicted, actual: shape [rows].
        cap: where both are clipped for R2 winsorised.
        by_predicted, by_actual: the rows ranked.
    """

    predicted: NDArray[np.float64]
    actual: NDArray[np.float64]
    cap: float
    by_predicted: Ranking
    by_actual: Ranking

    @classmethod
    def of(cls, predicted: NDArray[Any], actual: NDArray[Any]) -> Predictor:
        """Build from predictions and actual spend of shape [rows]."""
        predicted, actual = predicted.astype(np.float64), actual.astype(np.float64)
        cap = float(np.quantile(actual, WINSORISED_AT))
        return cls(predicted, actual, cap, Ranking.of(predicted), Ranking.of(actual))

    def r2_winsorised(self, weights: NDArray[np.float64]) -> float:
        """Return R2 with spend and prediction clipped at the cap."""
        return _r2(np.minimum(self.predicted, self.cap), np.minimum(self.actual, self.cap), weights)

    def measure(self, weights: NDArray[np.float64]) -> dict[str, float]:
        """Return every measure by name; NaN where it is not defined."""
        error = self.predicted - self.actual
        gini, best = (self._gini(ranking, weights) for ranking in (self.by_predicted, self.by_actual))
        return {
            "mae": float(np.average(np.abs(error), weights=weights)),
            "rmse": float(np.sqrt(np.average(error**2, weights=weights))),
            "r2": _r2(self.predicted, self.actual, weights),
            "r2_winsorised": self.r2_winsorised(weights),
            "spearman": self.spearman(weights),
            "gini": gini,
            "gini_normalised": gini / best if best else float("nan"),
            "total_ratio": _ratio(weights @ self.predicted, weights @ self.actual),
        }

    def spearman(self, weights: NDArray[np.float64]) -> float:
        """Return the rank correlation of predicted and actual spend."""
        return spearman(self.by_predicted, self.by_actual, weights)

    def _gini(self, ranking: Ranking, weights: NDArray[np.float64]) -> float:
        """Return twice the area between the share of spend captured and the share of customers.

        From the highest prediction down; over that of a perfect order it is the normalised Gini used for
        lifetime values (Wang et al. 2019, "A deep probabilistic model for customer lifetime value").
        """
        rows, spend = ranking.cumulate(weights), ranking.cumulate(weights * self.actual)
        return 2 * area(rows / rows[-1], spend / spend[-1]) - 1 if spend[-1] > 0 else float("nan")


def compare(
    predicted: NDArray[Any],
    baselines: Mapping[str, NDArray[Any]],
    actual: NDArray[Any],
    customer_ids: Sequence[str],
) -> dict[str, Any]:
    """Measure a model and its baselines on the same rows and the same resamples of customers.

    Returns:
        model: each measure, with its 95 % interval under the name and `_95`; baselines: by name, each
        measure and `difference`, the model's R2 winsorised minus the baseline's.
    """
    model = Predictor.of(predicted, actual)
    others = {name: Predictor.of(each, actual) for name, each in baselines.items()}
    once = np.ones(len(actual))

    def statistics(weights: NDArray[np.float64]) -> dict[str, float]:
        return model.measure(weights) | {name: each.r2_winsorised(weights) for name, each in others.items()}

    resampled = bootstrap(statistics, customer_ids)
    measured = model.measure(once)
    described: dict[str, Any] = {"model": {}, "baselines": {}}
    for name, value in measured.items():
        described["model"] |= {name: rounded(value), f"{name}_95": interval(resampled[name])}
    for name, each in others.items():
        own = each.measure(once)
        gain = measured["r2_winsorised"] - own["r2_winsorised"]
        lead = difference("r2_winsorised", gain, resampled["r2_winsorised"] - resampled[name])
        described["baselines"][name] = {key: rounded(value) for key, value in own.items()} | {"difference": lead}
    return described


def cover(bounds: NDArray[Any], actual: NDArray[Any]) -> dict[str, float | None]:
    """Return the share of actual spend within bounds of shape [rows, 2], and how wide they are on average."""
    low, high = bounds.T.astype(np.float64)
    return {
        "coverage": rounded(((low <= actual) & (actual <= high)).mean()),
        "below": rounded((actual < low).mean()),
        "above": rounded((actual > high).mean()),
        "mean_width": rounded((high - low).mean()),
    }


def find_widening(bounds: NDArray[Any], actual: NDArray[Any], coverage: float) -> float:
    """Return what moves bounds apart, on the scale of log1p, so that they cover a share of rows; negative: together.

    Conformalised quantile regression (Romano, Patterson and Candes 2019): the quantile of what each row needs to lie
    inside. A lower bound of 0 stays 0, see `training.nets.likelihoods.widen`, so spend of 0 above one lies inside
    whatever is added. Without that, where many spend nothing, the quantile is 0 and intervals that cover too much
    stay as they are.

    Args:
        bounds: shape [rows, 2], of rows that were not trained on.
        actual: what they spent, shape [rows].
        coverage: the share that is to lie inside.
    """
    low, high = np.log1p(bounds.T.astype(np.float64))
    spend = np.log1p(np.maximum(actual.astype(np.float64), 0))
    needed = np.maximum(np.where(low > 0, low - spend, -np.inf), np.where(spend > 0, spend - high, -np.inf))
    found = float(np.quantile(needed, min(1.0, coverage * (1 + 1 / len(needed))), method="higher"))
    # Where so many spend nothing that no interval is too narrow, the upper bounds become 0.
    return max(found, -float(high.max()))


def compare_deciles(predicted: NDArray[Any], actual: NDArray[Any]) -> list[dict[str, Any]]:
    """Return mean prediction and mean actual spend of each tenth of the rows, highest prediction first."""
    parts = np.array_split(np.argsort(-predicted, kind="stable"), DECILES)
    return [
        {
            "decile": number,
            "rows": len(part),
            "predicted": rounded(predicted[part].mean()),
            "actual": rounded(actual[part].mean()),
        }
        for number, part in enumerate(parts, start=1)
        if len(part)
    ]


def _r2(predicted: NDArray[np.float64], actual: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    left = weights @ (actual - predicted) ** 2
    return 1 - _ratio(left, weights @ (actual - np.average(actual, weights=weights)) ** 2)


def _ratio(value: Any, by: Any) -> float:
    return float(value / by) if by else float("nan")
