"""The products that can be recommended. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from intelligence.errors import RecommendationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

CATALOGUE_COLUMNS = ("product_id", "name", "description", "category", "price")
REQUIRED_COLUMNS = frozenset({"product_id", "name"})
LONGEST_TEXT = 2_000
"""Characters of a description that count."""


@dataclass(frozen=True, slots=True)
class Product:
    """A product; without a category or price these are None."""

    product_id: str
    name: str
    description: str = ""
    category: str | None = None
    price: float | None = None

    @property
    def text(self) -> str:
        """What its content is learned from."""
        return " ".join(filter(None, (self.name, self.category, self.description[:LONGEST_TEXT])))


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Products, each once.

    Attributes:
        products: in the order of the source.
        counts: how many lack something, by what they lack; without zeros.
        places: the place of each product, by its id.
    """

    products: Sequence[Product]
    counts: Mapping[str, int] = field(default_factory=dict)
    places: Mapping[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "places", {each.product_id: place for place, each in enumerate(self.products)})

    def __len__(self) -> int:
        return len(self.products)


def read_catalogue(rows: Iterable[Mapping[str, Any]], source: str) -> Catalogue:
    """Return the catalogue of rows with CATALOGUE_COLUMNS; a product without a name is named by its id.

    Args:
        rows: one for each product.
        source: what an error names.

    Raises:
        RecommendationError: an id is empty or stands twice, or there is no product.
    """
    products: list[Product] = []
    known: dict[str, int] = {}
    counts = {"without a name": 0, "without a description": 0, "with a price that is no number": 0}
    for number, row in enumerate(rows, 1):
        product_id = _clean(row["product_id"])
        if not product_id:
            raise RecommendationError(f"{source}: row {number} has no product_id; give each product one")
        if product_id in known:
            raise RecommendationError(
                f"{source}: product {product_id!r} stands twice, in rows {known[product_id]} and {number}; leave one"
            )
        known[product_id] = number
        name, description, price = _clean(row["name"]), _clean(row.get("description")), row.get("price")
        amount = _read_price(price)
        counts["without a name"] += not name
        counts["without a description"] += not description
        counts["with a price that is no number"] += amount is None and bool(_clean(price))
        products.append(
            Product(product_id, name or product_id, description, _clean(row.get("category")) or None, amount)
        )
    if not products:
        raise RecommendationError(f"{source} has no product; a catalogue has a row for each")
    return Catalogue(products, {what: count for what, count in counts.items() if count})


def _clean(value: Any) -> str:
    # PostgreSQL stores no NUL.
    return "" if value is None else " ".join(str(value).replace("\x00", "").split())


def _read_price(value: Any) -> float | None:
    try:
        price = float(value)
    except (TypeError, ValueError):
        return None
    return price if math.isfinite(price) else None
