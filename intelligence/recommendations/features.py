"""Candidates of each customer, and what speaks for them.

Candidates are what the customer bought, and the best products by each of these: EASE, neighbours, content, popularity.
A product outside of the head has the EASE score of the products of the head that are most alike by text, and one that
was never sold also their sales: so a new product starts where similar ones are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_matrix

from intelligence.recommendations.collaborative import fit_ease, fit_neighbours, keep_largest
from intelligence.recommendations.content import find_alike
from intelligence.recommendations.histories import UNKNOWN_DAYS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from intelligence.recommendations.content import Content
    from intelligence.recommendations.histories import History

BLOCK = 512
"""Customers that are described at a time: their scores of the head take 8 MB."""
OWN_PRODUCTS, BY_EASE, BY_NEIGHBOURS, BY_CONTENT, BY_POPULARITY = 100, 50, 30, 10, 30
TENTH = 10
STAND_INS = 5
LONGEST_DELAY = 5.0
"""Of a repeat purchase, in its usual intervals."""
OF_REPEATS = (
    "own_times",
    "own_times_log",
    "own_recency",
    "own_share",
    "own_share_root",
    "own_since",
    "own_delay",
    "own_delay_log",
)
"""Features that are 0 for products that the customer has not bought."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """What may be recommended to some customers, ordered by customer and product.

    Attributes:
        customers: the customer of each candidate, [candidates].
        products: its product, [candidates].
        pairs: the place of the two in the history's pairs, -1 if the customer has not bought it, [candidates].
        features: float32 [candidates], by name.
    """

    customers: NDArray[np.int64]
    products: NDArray[np.int64]
    pairs: NDArray[np.int64]
    features: Mapping[str, NDArray[np.float32]]

    def __len__(self) -> int:
        return len(self.customers)

    def take(self, chosen: NDArray[np.bool_]) -> Candidates:
        """Return the candidates where `chosen` is true."""
        features = {name: column[chosen] for name, column in self.features.items()}
        return Candidates(self.customers[chosen], self.products[chosen], self.pairs[chosen], features)


class CandidateFinder:
    """Finds and describes the candidates of customers as of a day.

    Args:
        history: the purchases before the day.
        content: of the products.
        prices: of the products, NaN where unknown.

    Attributes:
        history: the same.
        ease: the weights of EASE, of what was bought recently.
        head_place: the place of each product in the head of EASE, -1 for the others, [products].
        popular: the products sold to most customers in 30 days, the most first.
    """

    def __init__(self, history: History, content: Content, prices: NDArray[np.float64]) -> None:
        self.history = history
        self.ease = fit_ease(history.recent)
        self._neighbours = fit_neighbours(history.bought)
        self._alike = _as_matrix(content)
        self.head_place = np.full(len(prices), -1)
        self.head_place[self.ease.head] = np.arange(len(self.ease.head))
        self._stand_ins, self._weights = find_alike(content.vectors, STAND_INS, among=self.ease.head)
        self._of_products = self._describe_products(history)
        self.popular = np.argsort(-self._of_products["sold_30_days"], kind="stable")[:BY_POPULARITY]
        self._log_prices = np.log(np.where(prices > 0, prices, np.nan))
        self._usual_prices = self._find_usual_prices()

    def find(self, customers: NDArray[np.int64]) -> Candidates:
        """Return the candidates of a block of customers, ascending."""
        recent = self.history.recent[customers]
        ease = np.asarray(recent[:, self.ease.head] @ self.ease.weights)
        neighbours = (recent @ self._neighbours).tocsr()
        alike = (recent @ self._alike).tocsr()
        rows, products = self._choose(customers, ease, neighbours, alike)
        pairs = self.history.find_pairs(customers[rows], products)
        scores = {
            "ease": self._read_ease(ease, rows, products),
            "neighbours": neighbours.toarray()[rows, products],
            "content": alike.toarray()[rows, products],
        }
        features = self._describe(customers[rows], products, pairs, scores)
        return Candidates(customers[rows], products, pairs, features)

    def find_all(self, customers: NDArray[np.int64]) -> Iterator[Candidates]:
        """Yield the candidates of customers, ascending, block by block."""
        for start in range(0, len(customers), BLOCK):
            yield self.find(customers[start : start + BLOCK])

    def _choose(
        self, customers: NDArray[np.int64], ease: NDArray[np.float32], neighbours: Any, alike: Any
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return row and product of each candidate, each once."""
        count, products = len(customers), self.history.bought.shape[1]
        own_rows, own_products = self._choose_own(customers)
        keys = [own_rows * products + own_products]
        if ease.shape[1]:
            hidden = ease.copy()
            places = self.head_place[own_products]
            hidden[own_rows[places >= 0], places[places >= 0]] = -np.inf
            most = min(BY_EASE, ease.shape[1])
            best = np.argpartition(-hidden, most - 1, axis=1)[:, :most]
            keys.append((np.arange(count)[:, None] * products + self.ease.head[best]).ravel())
        for matrix, most in ((neighbours, BY_NEIGHBOURS), (alike, BY_CONTENT)):
            largest = keep_largest(matrix, most).tocoo()
            keys.append(largest.row.astype(np.int64) * products + largest.col)
        keys.append((np.arange(count)[:, None] * products + self.popular).ravel())
        chosen = np.unique(np.concatenate(keys))
        return chosen // products, chosen % products

    def _choose_own(self, customers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return row and product of what the customers bought, the latest of each customer."""
        bounds, pairs = self.history.bounds, self.history.pairs
        counts = bounds[customers + 1] - bounds[customers]
        rows = np.repeat(np.arange(len(customers)), counts)
        places = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts - bounds[customers], counts)
        order = np.lexsort((-pairs.last[places], rows))
        rank = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
        kept = order[rank < OWN_PRODUCTS]
        return rows[kept], pairs.products[places[kept]].astype(np.int64)

    def _read_ease(
        self, ease: NDArray[np.float32], rows: NDArray[np.int64], products: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Return the scores of EASE: outside of the head the mean of the products that stand in, by likeness."""
        scores = np.zeros(len(rows), dtype=np.float32)
        places = self.head_place[products]
        head = places >= 0
        scores[head] = ease[rows[head], places[head]]
        if not head.all() and ease.shape[1]:
            tail = products[~head]
            found = ease[rows[~head, None], self.head_place[self._stand_ins[tail]]]
            scores[~head] = (found * self._weights[tail]).mean(axis=1)
        return scores

    def _describe_products(self, history: History) -> dict[str, NDArray[np.float32]]:
        columns = {f"sold_{days}_days": np.log1p(count) for days, count in history.sold.items()}
        earlier = np.maximum(history.sold[90] - history.sold[30], 0) / 2
        columns |= {
            "buyers": np.log1p(history.buyers),
            "trend": np.log((history.sold[30] + 2) / (earlier + 2)),
            "age": np.log1p(np.maximum(history.as_of - history.first_sold, 0)),
            "unsold": np.log1p(np.minimum(history.as_of - history.last_sold, UNKNOWN_DAYS)),
            "repeat_rate": history.repeat_rate,
        }
        described = {name: column.astype(np.float32) for name, column in columns.items()}
        unsold = np.flatnonzero(history.buyers == 0)
        if len(unsold) and self._stand_ins.shape[1]:
            weights = self._weights[unsold]
            for name in ("sold_7_days", "sold_30_days", "sold_90_days", "buyers"):
                described[name][unsold] = (described[name][self._stand_ins[unsold]] * weights).mean(axis=1)
            for name in ("unsold", "repeat_rate"):
                described[name][unsold] = described[name][self._stand_ins[unsold]].mean(axis=1)
        return described

    def _find_usual_prices(self) -> NDArray[np.float64]:
        """Return the mean logarithm of the prices of what each customer bought, NaN where unknown, [customers]."""
        pairs, count = self.history.pairs, self.history.bought.shape[0]
        paid = self._log_prices[pairs.products]
        known = np.isfinite(paid)
        sums = np.bincount(pairs.customers[known], paid[known], minlength=count)
        counts = np.bincount(pairs.customers[known], minlength=count)
        return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)

    def _describe(
        self,
        customers: NDArray[np.int64],
        products: NDArray[np.int64],
        pairs: NDArray[np.int64],
        scores: Mapping[str, NDArray[np.float32]],
    ) -> dict[str, NDArray[np.float32]]:
        history, owned = self.history, pairs >= 0
        distance = np.abs(self._log_prices[products] - self._usual_prices[customers])
        found = {
            **{name: column[products] for name, column in self._of_products.items()},
            "ease": scores["ease"],
            "ease_relative": scores["ease"] / _find_tenth(scores["ease"], customers, ~owned),
            "neighbours": np.log1p(scores["neighbours"]),
            "neighbours_relative": scores["neighbours"] / _find_tenth(scores["neighbours"], customers, ~owned),
            "content": np.log1p(scores["content"]),
            "price_distance": np.nan_to_num(distance),
            "customer_products": np.log1p(history.sizes[customers]),
            "customer_visits": np.log1p(history.visits[customers]),
            "customer_recency": np.log1p(np.maximum(history.as_of - history.last_visit[customers], 0)),
        }
        found |= _describe_repeats(history, pairs)
        return {name: np.asarray(column, dtype=np.float32) for name, column in found.items()}


def _describe_repeats(history: History, places: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
    """Return what speaks for repeat purchases; 0 for products that the customer has not bought."""
    pairs, owned = history.pairs, (places >= 0).astype(np.float32)
    times = np.where(places >= 0, pairs.times[places], 0)
    since = history.as_of - pairs.last[places]
    interval = (pairs.last[places] - pairs.first[places]) / np.maximum(times - 1, 1)
    delay = np.where(times > 1, since / np.maximum(interval, 1), 0)
    share = times / np.maximum(history.visits[pairs.customers[places]], 1)
    columns = (
        times,
        np.log1p(times),
        pairs.recency[places] * owned,
        share,
        np.sqrt(share),
        np.log1p(np.maximum(since, 0)) * owned,
        np.minimum(delay, LONGEST_DELAY),
        np.log1p(delay),
    )
    return dict(zip(OF_REPEATS, columns, strict=True))


def _find_tenth(
    values: NDArray[np.float32], customers: NDArray[np.int64], counted: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Return the TENTH largest of the counted values of each candidate's customer, or the least there is."""
    starts = np.flatnonzero(np.diff(customers, prepend=-1))
    lengths = np.diff(starts, append=len(customers))
    order = np.lexsort((-np.where(counted, values, -np.inf), np.repeat(np.arange(len(starts)), lengths)))
    within = np.add.reduceat(counted.astype(np.int64), starts) if len(starts) else lengths
    tenth = values[order[starts + np.clip(within - 1, 0, TENTH - 1)]]
    return np.repeat(np.maximum(tenth, 0) + 1e-3, lengths).astype(np.float32)


def _as_matrix(content: Content) -> Any:
    """Return the likeness of products, sparse float32 [products, products]."""
    count, each = content.alike.shape
    known = content.similarity > 0
    rows = np.repeat(np.arange(count), each).reshape(count, each)
    return csr_matrix((content.similarity[known], (rows[known], content.alike[known])), shape=(count, count))
