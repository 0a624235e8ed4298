"""A small shop: customers of tea and customers of lamps, with purchases of eight months."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from intelligence.recommendations.catalogue import read_catalogue
from intelligence.recommendations.purchases import read_purchases

if TYPE_CHECKING:
    from intelligence.recommendations.catalogue import Catalogue
    from intelligence.recommendations.purchases import Purchases

BEGIN = datetime(2011, 1, 1, tzinfo=UTC)
DAYS = 240
AS_OF = (BEGIN + timedelta(days=DAYS)).timestamp() / 86_400
TEAS = ("green tea", "black tea", "mint tea", "white tea", "herbal tea", "ginger tea")
LAMPS = ("desk lamp", "floor lamp", "wall lamp", "night lamp", "reading lamp", "garden lamp")
PRODUCTS: list[dict[str, Any]] = [
    {"product_id": f"{category[0]}{number}", "name": name, "description": "", "category": category, "price": 5 + number}
    for category, names in (("tea", TEAS), ("lamps", LAMPS))
    for number, name in enumerate(names)
]


def draw_purchases(customers: int = 80, seed: int = 1) -> list[tuple[Any, ...]]:
    """Return rows of purchases: customer 0, 2, 4, ... buys teas, the others lamps."""
    random = np.random.default_rng(seed)
    rows = []
    for customer in range(customers):
        kind = "lt"[customer % 2 == 0]
        for _ in range(int(random.integers(8, 20))):
            day = BEGIN + timedelta(days=int(random.integers(DAYS)))
            number = min(int(random.exponential(2)), 5)
            rows.append((f"c{customer}", f"{kind}{number}", day, 1, 5.0 + number))
    return rows


def open_shop(customers: int = 80) -> tuple[Catalogue, Purchases]:
    """Return its catalogue and purchases."""
    catalogue = read_catalogue(PRODUCTS, "products")
    return catalogue, read_purchases(draw_purchases(customers), catalogue, "purchases")
