"""What customers near one have bought, ranked. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class BoughtProduct:
    """A product that similar customers bought.

    Attributes:
        product_id: of the catalogue.
        name: likewise.
        score: the mean over the customers of how often and how recently they bought it, from 0 to 1; the nearer a
            customer is, the more they count.
        customers: how many of them bought it.
        bought_before: whether the customer whom they are like bought it, too.
    """

    product_id: str
    name: str
    score: float
    customers: int
    bought_before: bool


def rank_purchases(
    neighbours: Sequence[tuple[float, Mapping[str, float]]],
    own: Collection[str],
    names: Mapping[str, str],
    most: int,
) -> list[BoughtProduct]:
    """Return the products that similar customers bought, the best first; the id decides a tie.

    Args:
        neighbours: of each its distance, and by product id how often and how recently it was bought, 1 at most.
        own: ids of the products of the customer whom they are like.
        names: of products, by id; one without a name is named by its id.
        most: how many products to return.
    """
    scores: defaultdict[str, float] = defaultdict(float)
    buyers: Counter[str] = Counter()
    weights = 0.0
    for distance, bought in neighbours:
        weight = 1 / (1 + distance)
        weights += weight
        for product_id, strength in bought.items():
            scores[product_id] += weight * strength
            buyers[product_id] += 1
    ranked = sorted(scores, key=lambda each: (-scores[each], each))[:most]
    return [
        BoughtProduct(each, names.get(each, each), round(scores[each] / weights, 4), buyers[each], each in own)
        for each in ranked
    ]
