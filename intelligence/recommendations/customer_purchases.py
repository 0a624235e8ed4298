"""What each customer bought, as a vector and as a list, for the search for similar customers. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sklearn.utils.extmath import randomized_svd

from intelligence.customer_vectors import PURCHASE_DIMENSIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from intelligence.recommendations.catalogue import Catalogue
    from intelligence.recommendations.histories import History
    from intelligence.recommendations.purchases import Purchases

LISTED = 50
"""Products of a customer that are listed at most: those bought most often and most recently."""


@dataclass(frozen=True, slots=True)
class CustomerPurchases:
    """What customers bought.

    Attributes:
        names: of the products, by id.
        vectors: float32 [customers, PURCHASE_DIMENSIONS], of length 1.
        bounds: customer c has entries bounds[c] to bounds[c + 1].
        products: ids of products, by customer, the strongest first, [entries].
        strengths: how often and how recently it was bought, 1 at most, [entries].
        places: of each customer with purchases, in `vectors`.
    """

    names: Mapping[str, str]
    vectors: NDArray[np.float32]
    bounds: NDArray[np.int64]
    products: Sequence[str]
    strengths: NDArray[np.float32]
    places: Mapping[str, int]

    def list_of(self, customer_id: str) -> tuple[Sequence[str], Sequence[float]]:
        """Return the products of a customer and their strengths, the strongest first."""
        place = self.places.get(customer_id)
        if place is None:
            return (), ()
        entries = slice(self.bounds[place], self.bounds[place + 1])
        return self.products[entries], self.strengths[entries].tolist()


def summarize_purchases(history: History, purchases: Purchases, catalogue: Catalogue) -> CustomerPurchases:
    """Return what each customer bought.

    Args:
        history: of the purchases.
        purchases: name the customers.
        catalogue: names the products.
    """
    customers = np.flatnonzero(history.sizes > 0)
    strengths = np.minimum(history.pairs.recency, 1)
    order = np.lexsort((history.pairs.products, -strengths, history.pairs.customers))
    rank = np.arange(len(order)) - history.bounds[history.pairs.customers[order]]
    listed = order[rank < LISTED]
    counts = np.bincount(history.pairs.customers[listed], minlength=len(history.sizes))[customers]
    products = catalogue.products
    return CustomerPurchases(
        {each.product_id: each.name for each in products},
        embed_customers(history),
        np.append(0, np.cumsum(counts)),
        [products[each].product_id for each in history.pairs.products[listed].tolist()],
        strengths[listed],
        {purchases.customer_ids[each]: place for place, each in enumerate(customers.tolist())},
    )


def embed_customers(history: History, dimensions: int = PURCHASE_DIMENSIONS) -> NDArray[np.float32]:
    """Return a vector of each customer with purchases: near who bought, recently, products of the same customers.

    From a truncated singular value decomposition of who bought what; products with many buyers weigh less.

    Args:
        history: of the purchases.
        dimensions: of a vector; those that too few products leave are 0.

    Returns:
        float32 [customers with purchases, dimensions] of length 1.
    """
    customers = np.flatnonzero(history.sizes > 0)
    scaled = history.recent[customers]
    scaled.data = scaled.data / np.sqrt(np.maximum(history.buyers[scaled.indices], 1))
    kept = min(dimensions, min(scaled.shape) - 1)
    vectors = np.zeros((len(customers), dimensions), dtype=np.float32)
    if kept > 0:
        left, values, _ = randomized_svd(scaled, kept, n_iter=3, random_state=0)
        vectors[:, :kept] = left * values
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    np.divide(vectors, lengths, out=vectors, where=lengths > 0)
    return vectors
