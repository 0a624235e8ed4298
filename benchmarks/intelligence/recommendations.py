"""Recommendations: how good on the lines of Online Retail beside others, and how fast on 100,000 customers.

Lines with positive quantities and prices, and stock codes that begin with five digits. Learned on what was bought
before 2011-06-01, evaluated on June to August: of customers and products of before, NDCG@10 of all products that a
customer bought, and of those that the customer had not bought before.
"""

from __future__ import annotations

import csv
import gzip
import json
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from intelligence.recommendations.catalogue import read_catalogue
from intelligence.recommendations.collaborative import fit_ease, fit_neighbours
from intelligence.recommendations.content import learn_content
from intelligence.recommendations.features import CandidateFinder
from intelligence.recommendations.histories import History
from intelligence.recommendations.purchases import read_day, read_purchases
from intelligence.recommendations.ranking import learn_ranking

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from intelligence.recommendations.catalogue import Catalogue
    from intelligence.recommendations.purchases import Purchases

TRAINED_BEFORE, TESTED_BEFORE = datetime(2011, 6, 1, tzinfo=UTC), datetime(2011, 9, 1, tzinfo=UTC)
K = 10
DISCOUNTS = 1 / np.log2(np.arange(2, K + 2))
HIDDEN = -1e9
DIGITS = 5


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What to recommend as of a day, and what was bought then.

    Attributes:
        history: the purchases before the day.
        customers: those who bought before and after, [customers].
        owned: whether a customer had bought a product before, bool [customers, products].
        bought: whether the customer bought it afterwards, and others had before, bool [customers, products].
    """

    history: History
    customers: NDArray[np.int64]
    owned: NDArray[np.bool_]
    bought: NDArray[np.bool_]

    def measure(self, scores: NDArray[np.floating[Any]]) -> tuple[float, float]:
        """Return NDCG@10 of new products and of all, of float scores [customers, products]."""
        new = find_ndcg(np.where(self.owned, HIDDEN, scores), self.bought & ~self.owned)
        return new, find_ndcg(scores, self.bought)


def find_ndcg(scores: NDArray[np.floating[Any]], bought: NDArray[np.bool_]) -> float:
    """Return the mean NDCG@10 of the customers who bought something."""
    top = np.argsort(-scores, axis=1, kind="stable")[:, :K]
    gains = (np.take_along_axis(bought, top, axis=1) * DISCOUNTS).sum(axis=1)
    counts = bought.sum(axis=1)
    best = np.concatenate([[np.nan], np.cumsum(DISCOUNTS)])[np.minimum(counts, K)]
    return float(np.nanmean(gains / best))


def measure(data: Path) -> dict[str, Any]:
    """Return the quality on Online Retail, that of baselines, and the time and memory of a large run."""
    return {**measure_quality(data), "scale": measure_scale()}


def measure_quality(data: Path) -> dict[str, Any]:
    """Return NDCG@10 of new and of all products, of the recommender and of baselines."""
    catalogue, purchases = read_lines(data)
    as_of, until = (read_day(each) or 0.0 for each in (TRAINED_BEFORE, TESTED_BEFORE))
    content, prices = learn_content(catalogue), np.array([each.price for each in catalogue.products], dtype=np.float64)
    found = prepare(purchases, len(catalogue), as_of, until)
    ranking = learn_ranking(purchases.take(purchases.days < as_of), content, prices, as_of)
    finder = CandidateFinder(found.history, content, prices)
    scores = np.full(found.owned.shape, HIDDEN)
    rows = np.full(len(purchases.customer_ids), -1)
    rows[found.customers] = np.arange(len(found.customers))
    for candidates in finder.find_all(found.customers):
        scores[rows[candidates.customers], candidates.products] = ranking.score(candidates)
    results: dict[str, Any] = {"customers": len(found.customers), "products": int((found.history.buyers > 0).sum())}
    for name, each in {"": scores, **score_baselines(found)}.items():
        new, all_products = found.measure(each)
        results |= {f"ndcg_new{name}": round(new, 4), f"ndcg_all{name}": round(all_products, 4)}
    return results


def read_lines(data: Path) -> tuple[Catalogue, Purchases]:
    """Return the products sold before the test and all purchases of them."""
    with gzip.open(data / "online_retail_lines.csv.gz", "rt", encoding="utf-8", newline="") as file:
        lines = [
            line
            for line in csv.DictReader(file)
            if float(line["UnitPrice"]) > 0
            and line["StockCode"][:DIGITS].isdigit()
            and len(line["StockCode"]) >= DIGITS
        ]
    known = [line for line in lines if line["InvoiceDate"] < TRAINED_BEFORE.strftime("%Y-%m-%d")]
    last = {line["StockCode"]: line for line in known if float(line["Quantity"]) > 0 and line["CustomerID"]}
    catalogue = read_catalogue(
        (
            {"product_id": code, "name": line["Description"], "price": line["UnitPrice"]}
            for code, line in sorted(last.items())
        ),
        "Online Retail",
    )
    names = ("CustomerID", "StockCode", "InvoiceDate", "Quantity", "UnitPrice")
    return catalogue, read_purchases((tuple(line[name] for name in names) for line in lines), catalogue, "lines")


def prepare(purchases: Purchases, products: int, as_of: float, until: float) -> Evaluation:
    """Return what to evaluate: recommendations as of a day, on what is bought until another."""
    history = History(purchases, products, as_of)
    later = purchases.take((purchases.days >= as_of) & (purchases.days < until))
    customers = np.intersect1d(np.unique(later.customers), np.flatnonzero(history.sizes > 0)).astype(np.int64)
    bought = np.zeros((len(purchases.customer_ids), products), dtype=np.bool_)
    bought[later.customers, later.products] = True
    return Evaluation(
        history, customers, history.bought[customers].toarray() > 0, bought[customers] & (history.buyers > 0)
    )


def score_baselines(found: Evaluation) -> dict[str, NDArray[np.floating[Any]]]:
    """Return the scores of each baseline, [customers, products], by the ending of its name."""
    history, bought = found.history, found.history.bought[found.customers]
    popular = np.tile(history.sold[30], (len(found.customers), 1))
    times = history.bought.copy()
    times.data = history.pairs.times
    ease = fit_ease(history.bought, ridge=300.0)
    by_ease = np.zeros(found.owned.shape)
    by_ease[:, ease.head] = bought[:, ease.head] @ ease.weights
    neighbours = fit_neighbours(history.bought, neighbours=found.owned.shape[1], shrinkage=0)
    return {
        "_popular_30_days": popular,
        "_own_frequency": times[found.customers].toarray() + popular / (popular.max() + 1),
        "_item_knn": (bought @ neighbours).toarray(),
        "_ease": by_ease,
    }


def measure_scale() -> dict[str, Any]:
    """Return seconds and memory of recommending to 100,000 customers, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.intelligence.recommendation_scale"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return dict(json.loads(done.stdout))
