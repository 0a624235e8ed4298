"""Recommends to 100,000 customers among 20,000 products, and prints seconds and memory as JSON.

Synthetic: products are bought by a power law, customers have interests of a tenth of the products. It runs in a process
of its own, so that the peak of memory is that of recommending: python -m benchmarks.intelligence.recommendation_scale.
"""

from __future__ import annotations

import json
import resource
import sys
import time

import numpy as np

from intelligence.recommendations.catalogue import Catalogue, Product
from intelligence.recommendations.purchases import Purchases
from intelligence.recommendations.recommender import fit_recommender

CUSTOMERS, PRODUCTS, GROUPS = 100_000, 20_000, 100
MEAN_PURCHASES, DAYS, AS_OF = 20, 365.0, 18_000.0
WORDS = 3_000
INTERESTED = 0.7
"""Share of purchases among the interests."""


def draw(customers: int, products: int, seed: int = 0) -> tuple[Catalogue, Purchases]:
    """Return a synthetic catalogue and purchases of a year."""
    random = np.random.default_rng(seed)
    words = [
        f"w{chr(97 + number % 26)}{chr(97 + number // 26 % 26)}{chr(97 + number // 676)}" for number in range(WORDS)
    ]
    group = random.integers(GROUPS, size=products)
    texts = random.integers(WORDS // GROUPS, size=(products, 4)) + group[:, None] * (WORDS // GROUPS)
    catalogue = Catalogue(
        [
            Product(f"p{place}", " ".join(words[each] for each in texts[place]), "", f"group {group[place]}", 10.0)
            for place in range(products)
        ]
    )
    popularity = 1 / np.arange(1, products + 1) ** 0.8
    count = customers * MEAN_PURCHASES
    owners = random.choice(customers, size=count, p=_normalise(1 / np.arange(1, customers + 1) ** 0.3))
    anything = random.choice(products, size=count, p=_normalise(popularity))
    by_group = [np.flatnonzero(group == number) for number in range(GROUPS)]
    interest = random.integers(GROUPS, size=(customers, 3))[owners, random.integers(3, size=count)]
    items = anything.copy()
    for number, members in enumerate(by_group):
        mine = np.flatnonzero((interest == number) & (random.random(count) < INTERESTED))
        items[mine] = random.choice(members, size=len(mine), p=_normalise(popularity[members]))
    days = AS_OF - random.random(count) * DAYS
    ids = tuple(f"c{number}" for number in range(customers))
    return catalogue, Purchases(ids, owners.astype(np.int32), items.astype(np.int32), days)


def _normalise(
    weights: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return weights / weights.sum()


def main() -> None:
    """Measure and print."""
    customers, products = map(int, sys.argv[1:]) if sys.argv[1:] else (CUSTOMERS, PRODUCTS)
    catalogue, purchases = draw(customers, products)
    began, cpu = time.monotonic(), time.process_time()
    recommender = fit_recommender(catalogue, purchases, AS_OF)
    learned = time.monotonic()
    recommended = sum(len(each.recommendations) for each in recommender.recommend_all())
    ended = time.monotonic()
    figures = {
        "customers": customers,
        "products": products,
        "purchases": len(purchases),
        "recommendations": recommended,
        "seconds": round(ended - began, 1),
        "seconds_learning": round(learned - began, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    print(json.dumps(figures))  # noqa: T201 - read by the benchmark


if __name__ == "__main__":
    main()
