"""What purchases say of customers and products as of a day: how often, how recently, how many. Pure.

Purchases of one product by one customer on one day count once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_matrix

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from intelligence.recommendations.purchases import Purchases

HALF_LIFE_DAYS = 120.0
WINDOWS_DAYS = (7, 30, 90)
UNKNOWN_DAYS = 400.0
"""Stands for the time since what never happened."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """A customer and a product that the customer bought, each pair once, ordered by customer and product.

    Attributes:
        customers: [pairs].
        products: [pairs].
        times: on how many days, [pairs].
        first: the first of these days, days since 1970, [pairs].
        last: the last of them, [pairs].
        recency: the sum of the days, each halved for HALF_LIFE_DAYS of age, [pairs].
    """

    customers: NDArray[np.int32]
    products: NDArray[np.int32]
    times: NDArray[np.float32]
    first: NDArray[np.float32]
    last: NDArray[np.float32]
    recency: NDArray[np.float32]


class History:
    """The purchases before a day, counted.

    Args:
        purchases: those of later days are left out.
        products: of the catalogue.
        as_of: the day, in days since 1970.

    Attributes:
        as_of: the day.
        pairs: customers and what they bought.
        bounds: customer c has pairs bounds[c] to bounds[c + 1].
        visits: on how many days each customer bought something, [customers].
        last_visit: the latest of them; UNKNOWN_DAYS before `as_of` for a customer without purchases, [customers].
        sold: how many customers bought a product in the days before, by the number of days, [products] each.
        buyers: how many customers bought it ever, [products].
        first_sold: when it was first sold, `as_of` if never, [products].
        last_sold: when it was last sold, UNKNOWN_DAYS before `as_of` if never, [products].
        repeat_rate: the share of its buyers who bought it on several days, drawn to 0 for few, [products].
    """

    def __init__(self, purchases: Purchases, products: int, as_of: float) -> None:
        self.as_of = as_of
        self._shape = len(purchases.customer_ids), products
        customers, items, days = _count_days(purchases, products, as_of)
        self.pairs = _count_pairs(customers, items, days, products, as_of)
        self.bounds = np.searchsorted(self.pairs.customers, np.arange(self._shape[0] + 1))
        visits = np.unique(customers.astype(np.int64) << 32 | days.astype(np.int64))
        self.visits = np.bincount(visits >> 32, minlength=self._shape[0]).astype(np.float32)
        self.last_visit = np.full(self._shape[0], as_of - UNKNOWN_DAYS, dtype=np.float32)
        np.maximum.at(self.last_visit, customers, days)
        self.buyers = self._count_buyers(self.pairs.products)
        self.sold = {
            window: self._count_buyers(self.pairs.products[self.pairs.last >= as_of - window])
            for window in WINDOWS_DAYS
        }
        self.first_sold = np.full(products, as_of, dtype=np.float32)
        np.minimum.at(self.first_sold, items, days)
        self.last_sold = np.full(products, as_of - UNKNOWN_DAYS, dtype=np.float32)
        np.maximum.at(self.last_sold, items, days)
        self.repeat_rate = (self._count_buyers(self.pairs.products[self.pairs.times > 1]) + 0.5) / (self.buyers + 5)

    @cached_property
    def bought(self) -> Any:
        """1 for each pair, sparse float32 [customers, products]."""
        return self._as_matrix(np.ones(len(self.pairs.customers), dtype=np.float32))

    @cached_property
    def recent(self) -> Any:
        """`recency` of each pair, 1 at most, sparse float32 [customers, products]."""
        return self._as_matrix(np.minimum(self.pairs.recency, 1))

    @cached_property
    def sizes(self) -> NDArray[np.float32]:
        """How many products each customer bought, [customers]."""
        return np.diff(self.bounds).astype(np.float32)

    def find_pairs(self, customers: NDArray[np.int64], products: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the place of each pair in `pairs`, -1 where the customer has not bought the product."""
        keys = customers.astype(np.int64) * self._shape[1] + products
        places = np.minimum(np.searchsorted(self._keys, keys), max(len(self._keys) - 1, 0))
        if not len(self._keys):
            return np.full(len(keys), -1, dtype=np.int64)
        return np.where(self._keys[places] == keys, places, -1)

    @cached_property
    def _keys(self) -> NDArray[np.int64]:
        return self.pairs.customers.astype(np.int64) * self._shape[1] + self.pairs.products

    def _as_matrix(self, values: NDArray[np.float32]) -> Any:
        return csr_matrix((values, self.pairs.products, self.bounds), shape=self._shape)

    def _count_buyers(self, products: NDArray[np.int32]) -> NDArray[np.float32]:
        return np.bincount(products, minlength=self._shape[1]).astype(np.float32)


def _count_days(
    purchases: Purchases, products: int, as_of: float
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    """Return customer, product and day of what was bought before a day, each once, ordered by customer and product."""
    before = purchases.days < as_of
    customers, items = purchases.customers[before], purchases.products[before]
    days = np.floor(purchases.days[before]).astype(np.int64)
    keys = np.unique((customers.astype(np.int64) * products + items) << 20 | days)
    pair, day = keys >> 20, (keys & (1 << 20) - 1).astype(np.float32)
    return (pair // products).astype(np.int32), (pair % products).astype(np.int32), day


def _count_pairs(
    customers: NDArray[np.int32], items: NDArray[np.int32], days: NDArray[np.float32], products: int, as_of: float
) -> Pairs:
    keys = customers.astype(np.int64) * products + items
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    times = np.diff(starts, append=len(keys)).astype(np.float32)
    ends = starts + times.astype(np.int64) - 1
    faded = 0.5 ** ((as_of - days) / HALF_LIFE_DAYS)
    recency = np.add.reduceat(faded, starts).astype(np.float32) if len(starts) else np.empty(0, dtype=np.float32)
    return Pairs(customers[starts], items[starts], times, days[starts], days[ends], recency)
