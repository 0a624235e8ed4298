"""Vectors and clusters of customers in the message store."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from intelligence.customer_vectors import DIMENSIONS, PURCHASE_DIMENSIONS, shared_features
from intelligence.errors import ClusterError
from intelligence.neighbour_purchases import rank_purchases
from intelligence.postgres_messages import vector_literals
from intelligence.vector_index import VectorIndex

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from campaigns.tombstones import Tombstones
    from intelligence.customer_vectors import CustomerVectors, Level
    from intelligence.neighbour_purchases import BoughtProduct
    from intelligence.postgres_messages import MessageStore
    from intelligence.recommendations.customer_purchases import CustomerPurchases

CONCERNS = 12
"""Concerns that are components of a vector: the most frequent ones."""
INDEX = VectorIndex(
    "ON intelligence.customer_next USING hnsw (vector halfvec_l2_ops)",
    DIMENSIONS + PURCHASE_DIMENSIONS,
    neighbours=24,
    candidates=128,
)
SEARCH_CANDIDATES = 200
"""The least ef_search."""
MOST_SIMILAR = 100
WRITTEN_AT_ONCE = 20_000


@dataclass(frozen=True, slots=True)
class SimilarCustomer:
    """A customer near another one.

    Attributes:
        distance: Euclidean, of the vectors; 0 is the same.
        shared: in what both differ from most customers, strongest first: a name, and high or low.
    """

    customer_id: str
    cluster: str
    distance: float
    shared: Sequence[tuple[str, Level]]


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """The customers near one, nearest first, and what they bought, the best first."""

    customers: Sequence[SimilarCustomer]
    bought: Sequence[BoughtProduct]


def read_concepts(store: MessageStore, customer_ids: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """Return what customers talk about, one column each: their messages, mean sentiment, and messages by concern."""
    places = {customer: at for at, customer in enumerate(customer_ids)}
    spoken = {name: np.zeros(len(places)) for name in ("messages", "messages_that_cancel")}
    sentiment = np.full(len(places), np.nan)
    for customer, messages, mean, cancelling in store.execute("read_spoken"):
        if (at := places.get(customer)) is not None:
            spoken["messages"][at], spoken["messages_that_cancel"][at], sentiment[at] = messages, cancelling, mean
    counts: dict[str, dict[int, int]] = defaultdict(dict)
    for customer, concern, messages in store.execute("read_concerns"):
        if (at := places.get(customer)) is not None:
            counts[concern][at] = messages
    totals = Counter({concern: sum(by_place.values()) for concern, by_place in counts.items()})
    for concern, _ in sorted(totals.items(), key=lambda each: (-each[1], each[0]))[:CONCERNS]:
        values = np.zeros(len(places))
        values[list(counts[concern])] = list(counts[concern].values())
        spoken[f"messages_about_{concern}"] = values
    return {**spoken, "sentiment": sentiment}


def read_clusters(store: MessageStore) -> dict[str, str]:
    """Return the cluster of each customer in the newest run."""
    return dict(store.execute("read_clusters").fetchall())


def newest_run(store: MessageStore) -> dict[str, Any] | None:
    """Return what the newest run found, None without any."""
    rows = store.execute("newest_run").fetchall()
    return rows[0][0] if rows else None


def write_customers(
    store: MessageStore,
    customers: CustomerVectors,
    clusters: Sequence[str],
    read_tombstones: Callable[[], Tombstones],
    run: tuple[datetime, Mapping[str, Any]],
    purchases: CustomerPurchases | None = None,
) -> None:
    """Replace the vectors and clusters of all customers, and record the run; readers wait for a moment at most.

    Args:
        store: the message store.
        customers: the vectors.
        clusters: the id of each customer's cluster.
        read_tombstones: returns those of now: the customers erased meanwhile are left out.
        run: when it was, and what it found.
        purchases: what customers bought; None where it is not known.
    """
    with store.writing():
        store.execute("create_next_customers")
        bought = (purchases.list_of(each) if purchases else ((), ()) for each in customers.customer_ids)
        rows = zip(customers.customer_ids, _literals(customers, purchases), clusters, bought, strict=True)
        _copy(store, rows, read_tombstones().find(customers.customer_ids))
    INDEX.build(store, INDEX.megabytes(len(customers.customer_ids)))
    at, result = run
    with store.writing():
        store.execute("replace_customers")
        _replace_products(store, purchases.names if purchases else {})
        store.execute("write_run", at=at, result=json.dumps(result))


def find_similar(store: MessageStore, customer_id: str, *, limit: int, most_products: int = 10) -> Neighbourhood:
    """Return the customers nearest to one, at most `limit` or MOST_SIMILAR, and what they bought.

    Args:
        store: the message store.
        customer_id: whom they are like.
        limit: how many customers.
        most_products: how many products.

    Raises:
        ClusterError: no run has seen this customer.
    """
    rows = store.execute("read_vector", customer=customer_id).fetchall()
    run = newest_run(store)
    if not rows or run is None:
        raise ClusterError(
            f"customer {customer_id} has no vector: `holdfast clusters run` has not seen them; check the id, or run it"
        )
    names, own = run["components"], _parse(rows[0][0])
    with store.connection.transaction():
        store.connection.execute(
            "SELECT set_config('hnsw.ef_search', %s, true)", [str(max(SEARCH_CANDIDATES, limit + 1))]
        )
        found = store.execute("nearest_customers", customer=customer_id, vector=rows[0][0], most=limit).fetchall()
    found.sort(key=lambda row: (row[3], row[0]))
    customers = [
        SimilarCustomer(customer, cluster, float(distance), shared_features(own, _parse(vector), names))
        for customer, cluster, vector, distance, _, _ in found
    ]
    bought = [(float(row[3]), dict(zip(row[4], row[5], strict=True))) for row in found]
    listed = sorted({product for _, some in bought for product in some})
    of_products = dict(store.execute("product_names", products=listed).fetchall()) if listed else {}
    return Neighbourhood(customers, rank_purchases(bought, frozenset(rows[0][1]), of_products, most_products))


def _copy(
    store: MessageStore,
    rows: Iterable[tuple[str, str, str, tuple[Sequence[str], Sequence[float]]]],
    erased: frozenset[str],
) -> None:
    copy = "COPY intelligence.customer_next (customer_id, vector, cluster, products, strengths) FROM STDIN"
    with store.connection.cursor() as cursor, cursor.copy(copy) as copied:
        for customer, vector, cluster, (products, strengths) in rows:
            if customer not in erased:
                copied.write_row((customer, vector, cluster, list(products), list(strengths)))


def _replace_products(store: MessageStore, names: Mapping[str, str]) -> None:
    store.execute("delete_products")
    with (
        store.connection.cursor() as cursor,
        cursor.copy("COPY intelligence.product (product_id, name) FROM STDIN") as copied,
    ):
        for row in names.items():
            copied.write_row(row)


def _literals(customers: CustomerVectors, purchases: CustomerPurchases | None) -> Iterable[str]:
    """Yield vectors as PostgreSQL reads them: DIMENSIONS components, and those of purchases."""
    zeros = f"[{','.join('0' * (DIMENSIONS + PURCHASE_DIMENSIONS))}]"
    vectors, ids = customers.vectors, customers.customer_ids
    for start in range(0, len(vectors), WRITTEN_AT_ONCE):
        some = vectors[start : start + WRITTEN_AT_ONCE]
        block = np.zeros((len(some), DIMENSIONS + PURCHASE_DIMENSIONS), dtype=np.float32)
        block[:, : some.shape[1]] = some
        if purchases is not None:
            places = np.array([purchases.places.get(each, -1) for each in ids[start : start + len(some)]])
            block[places >= 0, DIMENSIONS:] = purchases.vectors[places[places >= 0]]
        yield from (each or zeros for each in vector_literals(block))


def _parse(vector: str) -> NDArray[np.float32]:
    """Return the components of a stored vector that have names."""
    return np.array(json.loads(vector)[:DIMENSIONS], dtype=np.float32)
