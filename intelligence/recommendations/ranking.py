"""How much each feature of a candidate counts, learned from what customers bought next on earlier days.

Two logistic regressions on standardised features, one of new products and one of repeat purchases: of the candidates
of customers as of an earlier day, which did the customer buy within the days that follow? Nothing of the day of
recommending or later is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sklearn.linear_model import LogisticRegression

from intelligence.recommendations.features import OF_REPEATS, CandidateFinder
from intelligence.recommendations.histories import History

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from intelligence.recommendations.content import Content
    from intelligence.recommendations.features import Candidates
    from intelligence.recommendations.purchases import Purchases

HORIZON_DAYS = 90.0
STEP_DAYS = 28.0
CUT_OFFS = 2
LEAST_DAYS = 28.0
"""Of purchases before the first day that is learned from, and of a horizon."""
LEAST_POSITIVES = 100
"""Of each of the two."""
MOST_CUSTOMERS = 3_000
"""Customers that are learned from, for each day."""
PENALTY = 300.0
LARGEST = 6.0
"""Standard deviations of a feature beyond which it counts no more."""
_TINY = 1e-6

DEFAULTS: Mapping[str, float] = {
    "ease_relative": 0.5,
    "neighbours_relative": 0.2,
    "content": 0.3,
    "sold_30_days": 0.4,
    "own_recency": 1.0,
    "own_times_log": 1.0,
}
"""Weights, of features as they are, where there are too few purchases to learn from."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Weighs features, as they are or standardised.

    Attributes:
        weights: by feature.
        means: of each feature where it was learned; 0 for features as they are.
        scales: its standard deviation, likewise; 1 for features as they are.
        bias: added to the sum.
    """

    weights: Mapping[str, float]
    means: Mapping[str, float]
    scales: Mapping[str, float]
    bias: float = 0.0

    def score(self, candidates: Candidates) -> NDArray[np.float32]:
        """Return the probability of a purchase, [candidates]."""
        total = np.full(len(candidates), self.bias, dtype=np.float32)
        for name, weight in self.weights.items():
            scaled = (candidates.features[name] - self.means[name]) / self.scales[name]
            total += np.float32(weight) * np.clip(scaled, -LARGEST, LARGEST)
        return 1 / (1 + np.exp(-np.clip(total, -30, 30)))


@dataclass(frozen=True, slots=True)
class Ranking:
    """Weighs candidates.

    Attributes:
        of_new: for products that the customer has not bought.
        of_repeats: for those that the customer has bought.
        learned_from: the days that it was learned on, in days since 1970; empty for DEFAULTS.
    """

    of_new: Weights
    of_repeats: Weights
    learned_from: Sequence[float] = ()

    def score(self, candidates: Candidates) -> NDArray[np.float32]:
        """Return the probability that the customer, if they buy within the horizon, buys the product, [candidates]."""
        return np.where(candidates.pairs >= 0, self.of_repeats.score(candidates), self.of_new.score(candidates))


def choose_cut_offs(first: float, as_of: float) -> tuple[Sequence[float], float]:
    """Return the days to learn on and the length of the horizon after each; none where the purchases span too little.

    Args:
        first: the day of the first purchase.
        as_of: the day of recommending.
    """
    horizon = min(HORIZON_DAYS, (as_of - first) / 2)
    days = [as_of - horizon - number * STEP_DAYS for number in range(CUT_OFFS)]
    kept = [day for day in days if day - first >= LEAST_DAYS]
    return (kept, horizon) if horizon >= LEAST_DAYS else ((), horizon)


def learn_ranking(
    purchases: Purchases, content: Content, prices: NDArray[np.float64], as_of: float, *, seed: int = 0
) -> Ranking:
    """Return the ranking learned on days before `as_of`; DEFAULTS where there is too little to learn from."""
    cut_offs, horizon = choose_cut_offs(float(purchases.days.min()), as_of)
    before = purchases.take(purchases.days < as_of)
    parts = [part for day in cut_offs for part in _take_examples(before, content, prices, (day, horizon), seed)]
    new, repeats = (_fit([_select(*each, owned=owned) for each in parts]) for owned in (False, True))
    if new is None or repeats is None:
        defaults = Weights(DEFAULTS, dict.fromkeys(DEFAULTS, 0.0), dict.fromkeys(DEFAULTS, 1.0))
        return Ranking(defaults, defaults)
    return Ranking(new, repeats, cut_offs)


def _select(
    candidates: Candidates, targets: NDArray[np.bool_], *, owned: bool
) -> tuple[Mapping[str, NDArray[np.float32]], NDArray[np.bool_]]:
    chosen = (candidates.pairs >= 0) == owned
    names = [name for name in candidates.features if owned or name not in OF_REPEATS]
    return {name: candidates.features[name][chosen] for name in names}, targets[chosen]


def _fit(parts: Sequence[tuple[Mapping[str, NDArray[np.float32]], NDArray[np.bool_]]]) -> Weights | None:
    """Return the weights that tell what was bought; None where there are too few examples."""
    targets = np.concatenate([part for _, part in parts]) if parts else np.empty(0, dtype=np.bool_)
    if targets.sum() < LEAST_POSITIVES or targets.all():
        return None
    names = list(parts[0][0])
    inputs = np.stack([np.concatenate([part[name] for part, _ in parts]) for name in names], axis=1)
    means, scales = inputs.mean(axis=0, dtype=np.float64), inputs.std(axis=0, dtype=np.float64) + _TINY
    scaled = np.clip((inputs - means) / scales, -LARGEST, LARGEST)
    fitted = LogisticRegression(C=1 / PENALTY, solver="newton-cholesky").fit(scaled, targets)
    return Weights(
        dict(zip(names, fitted.coef_[0].tolist(), strict=True)),
        dict(zip(names, means.tolist(), strict=True)),
        dict(zip(names, scales.tolist(), strict=True)),
        float(fitted.intercept_[0]),
    )


def _take_examples(
    purchases: Purchases,
    content: Content,
    prices: NDArray[np.float64],
    window: tuple[float, float],
    seed: int,
) -> Iterator[tuple[Candidates, NDArray[np.bool_]]]:
    """Yield candidates as of a day, and whether each was bought within the horizon.

    Of customers who bought before and after. A product that was not sold before is left out: the catalogue may not have
    had it then.
    """
    day, horizon = window
    products = len(prices)
    history = History(purchases, products, day)
    after = purchases.take((purchases.days >= day) & (purchases.days < day + horizon))
    chosen = np.intersect1d(np.unique(after.customers), np.flatnonzero(history.sizes > 0)).astype(np.int64)
    if len(chosen) > MOST_CUSTOMERS:
        chosen = np.sort(np.random.default_rng(seed).choice(chosen, MOST_CUSTOMERS, replace=False))
    if not len(chosen):
        return
    bought = np.unique(after.customers.astype(np.int64) * products + after.products)
    for found in CandidateFinder(history, content, prices).find_all(chosen):
        kept = history.buyers[found.products] > 0
        sold = found.take(kept)
        yield sold, np.isin(sold.customers * products + sold.products, bought)
