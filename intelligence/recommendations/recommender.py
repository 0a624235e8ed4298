"""Recommends products to customers; computes block by block, so that memory does not grow with the customers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from intelligence.errors import RecommendationError
from intelligence.recommendations.content import learn_content
from intelligence.recommendations.features import BLOCK, CandidateFinder
from intelligence.recommendations.histories import History
from intelligence.recommendations.ranking import learn_ranking
from intelligence.recommendations.reasons import ALIKE, POPULAR, TOGETHER, Support, explain_new, explain_repeat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from intelligence.recommendations.catalogue import Catalogue
    from intelligence.recommendations.content import Content
    from intelligence.recommendations.features import Candidates
    from intelligence.recommendations.purchases import Purchases
    from intelligence.recommendations.ranking import Ranking

TOP_K = 5
LEAST_WEIGHT = 0.005
"""Of EASE, for a purchase to explain a recommendation."""


class Recommended(NamedTuple):
    """The recommendations of one customer, the best first: JSON objects, see docs/recommendations.md."""

    customer_id: str
    recommendations: Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Recommender:
    """What was learned of customers and products as of a day.

    Attributes:
        catalogue: the products.
        purchases: all of them.
        content: of the products.
        finder: finds candidates.
        ranking: weighs them.
    """

    catalogue: Catalogue
    purchases: Purchases
    content: Content
    finder: CandidateFinder
    ranking: Ranking

    def recommend_all(self, top_k: int = TOP_K, *, only_new: bool = False) -> Iterator[Recommended]:
        """Yield the recommendations of every customer with a purchase before the day, by customer."""
        yield from self._recommend(np.flatnonzero(self.finder.history.sizes > 0), top_k, only_new=only_new)

    def count_customers(self) -> int:
        """Return the number of customers with a purchase before the day."""
        return int((self.finder.history.sizes > 0).sum())

    def has_history(self, customer_id: str) -> bool:
        """Return whether a customer has a purchase before the day."""
        return customer_id in self._places

    def recommend(self, customer_id: str, top_k: int = TOP_K, *, only_new: bool = False) -> Recommended:
        """Return the recommendations of a customer who has a history."""
        return next(self._recommend(np.array([self._places[customer_id]]), top_k, only_new=only_new))

    def recommend_newcomers(
        self, customers: Iterable[tuple[str, str | None]], top_k: int = TOP_K
    ) -> Iterator[Recommended]:
        """Yield what to recommend to customers without a history, each once.

        Args:
            customers: their ids, and the category of products that interests them where it is known; those with a
                history are left out.
            top_k: how many.
        """
        seen: set[str] = set()
        by_category: dict[str | None, list[dict[str, Any]]] = {}
        for customer_id, category in customers:
            if customer_id in seen or self.has_history(customer_id):
                continue
            seen.add(customer_id)
            if category not in by_category:
                by_category[category] = self.recommend_popular(top_k, category)
            yield Recommended(customer_id, by_category[category])

    def recommend_popular(self, top_k: int = TOP_K, category: str | None = None) -> list[dict[str, Any]]:
        """Return what to recommend to a customer without purchases: what most customers bought in 30 days.

        Args:
            top_k: how many.
            category: of the products, where it is known what interests the customer; one without products counts for
                none.
        """
        sold, products = self.finder.history.sold[30], self.catalogue.products
        best = np.argsort(-sold, kind="stable").tolist()
        chosen = [each for each in best if category and products[each].category == category] or best
        share = max(float(self.finder.history.sizes.astype(bool).sum()), 1.0)
        return [
            self._describe(place, float(sold[place]) / share, owned=False)
            | explain_new(place, Support(POPULAR, (), int(sold[place])), products, self.content.concepts)
            for place in chosen[:top_k]
        ]

    @cached_property
    def _places(self) -> Mapping[str, int]:
        ids = self.purchases.customer_ids
        return {ids[place]: place for place in np.flatnonzero(self.finder.history.sizes > 0).tolist()}

    def _recommend(self, customers: NDArray[np.int64], top_k: int, *, only_new: bool) -> Iterator[Recommended]:
        for start in range(0, len(customers), BLOCK):
            block = customers[start : start + BLOCK]
            found = self.finder.find(block)
            scores = self.ranking.score(found)
            chosen = _choose_best(found, scores, top_k, only_new=only_new)
            described = self._explain(found, scores, chosen)
            bounds = np.searchsorted(found.customers[chosen], np.append(block, block[-1] + 1)).tolist()
            for number, customer in enumerate(block.tolist()):
                yield Recommended(self.purchases.customer_ids[customer], described[bounds[number] : bounds[number + 1]])

    def _explain(
        self, found: Candidates, scores: NDArray[np.float32], chosen: NDArray[np.int64]
    ) -> list[dict[str, Any]]:
        pairs, as_of = self.finder.history.pairs, self.finder.history.as_of
        new = chosen[found.pairs[chosen] < 0]
        supports = iter(self._find_supports(found.customers[new], found.products[new]))
        described = []
        for place in chosen.tolist():
            product, pair = int(found.products[place]), int(found.pairs[place])
            if pair >= 0:
                times, last, first = int(pairs.times[pair]), float(pairs.last[pair]), float(pairs.first[pair])
                reason = explain_repeat(times, last, first, as_of)
            else:
                reason = explain_new(product, next(supports), self.catalogue.products, self.content.concepts)
            described.append(self._describe(product, float(scores[place]), owned=pair >= 0) | reason)
        return described

    def _describe(self, place: int, score: float, *, owned: bool) -> dict[str, Any]:
        product = self.catalogue.products[place]
        return {
            "product_id": product.product_id,
            "name": product.name,
            "category": product.category,
            "price": product.price,
            "score": round(score, 4),
            "bought_before": owned,
        }

    def _find_supports(self, customers: NDArray[np.int64], products: NDArray[np.int64]) -> list[Support]:
        """Return what speaks for products that the customers have not bought."""
        history, finder = self.finder.history, self.finder
        counts = history.bounds[customers + 1] - history.bounds[customers]
        ends = np.cumsum(counts)
        entries = np.repeat(np.arange(len(customers)), counts)
        places = np.arange(len(entries)) - np.repeat(ends - counts - history.bounds[customers], counts)
        behind = history.pairs.products[places]
        bought, wanted = finder.head_place[behind], finder.head_place[products[entries]]
        known = (bought >= 0) & (wanted >= 0)
        weights = np.zeros(len(entries), dtype=np.float32)
        weights[known] = finder.ease.weights[bought[known], wanted[known]]
        weights *= np.minimum(history.pairs.recency[places], 1)
        together = _find_strongest(weights, entries, counts, LEAST_WEIGHT)
        unknown = ~np.isin(entries, entries[together])
        likeness = np.zeros(len(entries), dtype=np.float32)
        vectors = self.content.vectors
        likeness[unknown] = np.einsum("nd,nd->n", vectors[behind[unknown]], vectors[products[entries[unknown]]])
        alike = _find_strongest(likeness, entries, counts, LEAST_LIKENESS)
        supports = [Support(POPULAR, (), int(history.sold[30][each])) for each in products.tolist()]
        for kind, strongest in ((ALIKE, alike), (TOGETHER, together)):
            for entry, product in zip(entries[strongest].tolist(), behind[strongest].tolist(), strict=True):
                former = supports[entry]
                earlier = former.purchases if former.kind == kind else ()
                supports[entry] = Support(kind, (*earlier, product), former.sold)
        return supports


LEAST_LIKENESS = 0.3
"""The cosine of two products' texts, for a purchase to explain a recommendation."""
PURCHASES_BEHIND = 2


def fit_recommender(
    catalogue: Catalogue,
    purchases: Purchases,
    as_of: float,
    show: Callable[[str, int, int | None], None] = lambda *_: None,
) -> Recommender:
    """Return what was learned of purchases before a day.

    Args:
        catalogue: the products.
        purchases: of these products; those of the day and later are left out.
        as_of: the day, in days since 1970.
        show: receives what is being done, and how much of it.

    Raises:
        RecommendationError: there is no purchase before the day.
    """
    before = purchases.take(purchases.days < as_of)
    if not len(before):
        raise RecommendationError("there is no purchase before the day of recommending; choose a later one")
    prices = np.array([np.nan if each.price is None else each.price for each in catalogue.products])
    show("learning what products are alike", 0, None)
    content = learn_content(catalogue)
    show("learning from earlier purchases", 0, None)
    ranking = learn_ranking(before, content, prices, as_of)
    show("learning from all purchases", 0, None)
    finder = CandidateFinder(History(before, len(catalogue), as_of), content, prices)
    return Recommender(catalogue, before, content, finder, ranking)


def _choose_best(found: Candidates, scores: NDArray[np.float32], top_k: int, *, only_new: bool) -> NDArray[np.int64]:
    """Return the best candidates of each customer, the best first."""
    counted = np.flatnonzero(found.pairs < 0) if only_new else np.arange(len(found))
    customers = found.customers[counted]
    order = np.lexsort((found.products[counted], -scores[counted], customers))
    starts = np.searchsorted(customers, customers)
    best: NDArray[np.int64] = counted[order[np.arange(len(order)) - starts < top_k]]
    return best


def _find_strongest(
    values: NDArray[np.float32], entries: NDArray[np.int64], counts: NDArray[np.int64], least: float
) -> NDArray[np.int64]:
    """Return the places of the largest values of each entry, the largest first, which are at least so large."""
    order = np.lexsort((-values, entries))
    rank = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    strongest: NDArray[np.int64] = order[(rank < PURCHASES_BEHIND) & (values[order] >= least)]
    return strongest
