"""Products for clients: by what they mention against the catalogue's words, and by what similar clients bought.

The content score is the cosine of client and product in the space of concept_space.py; a client's vector is a sum over
concepts, so the score is, too, and its terms are the explanation. Where purchases are known, the share of the nearest
buyers who bought a product, weighted by their similarity, is blended in; the weight is the one that finds most of the
known purchases of those who bought. A client's own purchases are no part of its scores, so all of them can be tested
on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_matrix

from intelligence.analytics.concept_space import BLOCK, find_nearest

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from intelligence.analytics.catalogue import Product
    from intelligence.analytics.concept_space import ConceptSpace
    from intelligence.analytics.mentions import Mentions

Purchases = Mapping[str, frozenset[str]]
BLENDS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Weights of similar clients that are tried."""
NEIGHBOURS = 20
FEWEST_BUYERS = 20
MOST_TESTED = 2_000
"""Buyers that ways of recommending are compared on; a sample where there are more."""
CONCEPTS_NAMED = 3
LEAST = 1e-3
"""A score or a part of one that is smaller is rounding."""


@dataclass(frozen=True, slots=True)
class Recommended:
    """Recommendations of all clients.

    Attributes:
        of_clients: a list for each client, the best first; shorter than asked for where nothing else matches.
        metrics: how well known purchases are found; empty without purchases.
        empty: how many clients have none.
        unmatched: ids of products that match what no client mentions.
    """

    of_clients: Mapping[str, Sequence[dict[str, Any]]]
    metrics: Mapping[str, Any]
    empty: int
    unmatched: Sequence[str]


def recommend(
    mentions: Mentions,
    space: ConceptSpace,
    products: Sequence[Product],
    purchases: Purchases,
    count: int,
    show: Callable[[int, int], None],
) -> Recommended:
    """Return the best products of each client, without those that it bought.

    Args:
        mentions: of concepts.
        space: learned from them and from the texts of the products.
        products: the catalogue.
        purchases: the products that clients bought; may be empty.
        count: how many for each client.
        show: receives how many clients are done, and of how many.
    """
    bought = _find_bought(mentions, products, purchases)
    buyers = np.flatnonzero(bought.getnnz(axis=1))
    neighbours = _Neighbours(space, bought, buyers) if len(buyers) >= FEWEST_BUYERS else None
    blend, metrics = _choose_blend(space, bought, buyers, neighbours, count) if neighbours else (0.0, {})
    found: dict[str, list[dict[str, Any]]] = {}
    reached = np.zeros(len(products), dtype=bool)
    for begin in range(0, len(mentions.clients), BLOCK):
        places = np.arange(begin, min(begin + BLOCK, len(mentions.clients)))
        content = space.clients[places] @ space.products.T
        shares, voters = neighbours.vote(places) if neighbours else (np.zeros_like(content), None)
        blended = _blend(content, shares, blend)
        reached |= (content > LEAST).any(axis=0)
        blended[bought[places].toarray() > 0] = -np.inf
        for row, place in enumerate(places):
            best = np.argsort(-blended[row].round(6), kind="stable")[:count]
            found[mentions.clients[place]] = [
                _describe(
                    products[product],
                    float(content[row, product]),
                    float(blended[row, product]),
                    _explain(mentions, space, int(place), int(product)),
                    0 if voters is None or blend == 0 else int(voters[row, product]),
                )
                for product in best
                if blended[row, product] > LEAST
            ]
        show(int(places[-1]) + 1, len(mentions.clients))
    unmatched = [products[place].product_id for place in np.flatnonzero(~reached)]
    return Recommended(found, metrics, sum(not each for each in found.values()), unmatched)


class _Neighbours:
    """The nearest buyers of clients, and what they bought."""

    def __init__(self, space: ConceptSpace, bought: csr_matrix, buyers: NDArray[np.int64]) -> None:
        self._space, self._bought, self._buyers = space, bought, buyers

    def vote(self, places: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the weighted share and the number of nearest buyers who bought each product, shape [places, products].

        A buyer is no neighbour of itself.
        """
        clients = self._space.clients
        near, cosines = find_nearest(clients[places], NEIGHBOURS + 1, clients[self._buyers])
        near = self._buyers[near]
        weights = np.where(near == places[:, None], 0.0, np.maximum(cosines, 0.0))
        # Who is no buyer has one neighbour more, the last.
        weights[(weights > 0).sum(axis=1) > NEIGHBOURS, -1] = 0.0
        rows = np.repeat(np.arange(len(places)), near.shape[1])
        shape = (len(places), len(clients))
        weighted = csr_matrix((weights.ravel(), (rows, near.ravel())), shape=shape) @ self._bought
        voters = csr_matrix(((weights > 0).ravel().astype(float), (rows, near.ravel())), shape=shape) @ self._bought
        shares = weighted.toarray() / np.maximum(weights.sum(axis=1), 1e-12)[:, None]
        return shares, voters.toarray()


def _find_bought(mentions: Mentions, products: Sequence[Product], purchases: Purchases) -> csr_matrix:
    columns = {each.product_id: place for place, each in enumerate(products)}
    cells = [
        (row, columns[product])
        for row, client in enumerate(mentions.clients)
        for product in sorted(purchases.get(client, ()))
    ]
    rows, places = np.array(cells, dtype=np.int64).reshape(-1, 2).T
    return csr_matrix((np.ones(len(cells)), (rows, places)), shape=(len(mentions.clients), len(products)))


def _blend(content: NDArray[np.float64], shares: NDArray[np.float64], weight: float) -> NDArray[np.float64]:
    return (1 - weight) * content + weight * shares


def _choose_blend(
    space: ConceptSpace, bought: csr_matrix, buyers: NDArray[np.int64], neighbours: _Neighbours, count: int
) -> tuple[float, dict[str, Any]]:
    """Return the weight of similar clients that finds most known purchases, and the figures of all ways."""
    if len(buyers) > MOST_TESTED:
        buyers = np.sort(np.random.default_rng(0).choice(buyers, MOST_TESTED, replace=False))
    truth = bought[buyers].toarray()
    content = space.clients[buyers] @ space.products.T
    shares, _ = neighbours.vote(buyers)
    recalls = {weight: _measure_recall(_blend(content, shares, weight), truth, count) for weight in BLENDS}
    # Without the buyer's own purchase, as for the other ways.
    popular = truth.sum(axis=0)[None, :] - truth
    best = max(BLENDS, key=lambda weight: recalls[weight])
    return best, {
        "buyers": len(buyers),
        "weight_of_similar_clients": best,
        f"recall_at_{count}": {
            "blended": recalls[best],
            "content": recalls[0.0],
            "similar_clients": recalls[1.0],
            "most_popular": _measure_recall(popular, truth, count),
        },
    }


def _measure_recall(scores: NDArray[np.float64], truth: NDArray[np.float64], count: int) -> float:
    """Return the mean share of a client's purchases that are among the best `count` products."""
    best = np.argsort(-scores.round(6), axis=1, kind="stable")[:, :count]
    hits = np.take_along_axis(truth, best, axis=1).sum(axis=1)
    return round(float((hits / truth.sum(axis=1)).mean()), 4)


def _explain(mentions: Mentions, space: ConceptSpace, client: int, product: int) -> list[dict[str, Any]]:
    """Return the concepts that speak most for a product, with their part of the content score."""
    row = space.weights.getrow(client)
    parts = row.data * (space.concepts[row.indices] @ space.products[product]) / max(space.lengths[client], 1e-12)
    order = [place for place in np.argsort(-parts, kind="stable")[:CONCEPTS_NAMED] if parts[place] > LEAST]
    return [
        {"concept": mentions.concepts[row.indices[place]], "contribution": round(float(parts[place]), 4)}
        for place in order
    ]


def _describe(
    product: Product, content: float, score: float, concepts: Sequence[Mapping[str, Any]], voters: int
) -> dict[str, Any]:
    reasons = [f"mentions {', '.join(each['concept'] for each in concepts)}"] if concepts else []
    reasons += [f"{voters} of the {NEIGHBOURS} most similar buyers bought it"] if voters else []
    return {
        "product_id": product.product_id,
        "name": product.name,
        "category": product.category,
        "price": product.price,
        "similarity_score": round(content, 4),
        "score": round(score, 4),
        "reason": "; ".join(reasons),
        "concepts": list(concepts),
        "similar_buyers": voters,
    }
