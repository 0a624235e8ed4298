"""Similar customers among 1,000,000 synthetic ones: latency, and recall of the graph against an exact search.

`python -m benchmarks.intelligence.similarity --customers 100000` measures fewer. Customers are drawn around 40 centres
of unequal size in the 48 components of customer_vectors.py; a tenth of the components depends on the others. Each
bought PRODUCTS_EACH of PRODUCTS products, those of a taste: the purchases of 60 tastes make the other 16 components.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from rich import print_json

from campaigns.tombstones import Tombstones
from console.embedded.services import EmbeddedServices
from intelligence.customer_vectors import BEHAVIOUR, DIMENSIONS, PURCHASE_DIMENSIONS, CustomerVectors
from intelligence.migrations import migrate
from intelligence.postgres_customers import INDEX, SEARCH_CANDIDATES, find_similar, write_customers
from intelligence.postgres_messages import open_store
from intelligence.recommendations.customer_purchases import CustomerPurchases

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from intelligence.postgres_messages import MessageStore

CUSTOMERS = 1_000_000
CENTRES = 40
TASTES, PRODUCTS, PRODUCTS_EACH = 60, 2_000, 5
QUERIES, EXACT_QUERIES = 500, 100
NEAREST = 10
SETTINGS = {"shared_buffers": "2GB", "max_wal_size": "4GB", "fsync": "off"}
_CUSTOMER = "SELECT vector::text FROM intelligence.customer WHERE customer_id = %s"
_DISTANCES = (
    "SELECT vector <-> %s::halfvec AS distance FROM intelligence.customer WHERE customer_id <> %s "
    "ORDER BY distance LIMIT %s"
)


def measure(_data: Path) -> dict[str, Any]:
    """Return the figures at 1,000,000 customers."""
    return measure_similarity(CUSTOMERS)


def measure_similarity(customers: int) -> dict[str, Any]:
    """Return how long it takes to find the ten most similar customers, how exact it is, and what the index takes."""
    vectors = draw_vectors(customers)
    names = [f"component_{number}" for number in range(DIMENSIONS)]
    weights = np.full(DIMENSIONS, 1.0, dtype=np.float32)
    population = CustomerVectors([f"c{at}" for at in range(customers)], names, BEHAVIOUR, vectors, weights)
    with (
        tempfile.TemporaryDirectory(prefix="holdfast-") as folder,
        EmbeddedServices(Path(folder), postgres_settings=SETTINGS) as services,
    ):
        url = services.start().ledger_url
        migrate(url)
        with open_store(url) as store:
            began = time.monotonic()
            run = (datetime.now(UTC), {"components": names})
            write_customers(store, population, ["c1"] * customers, Tombstones, run, draw_purchases(customers))
            written = time.monotonic() - began
            store.connection.execute("ANALYZE intelligence.customer")
            index = (
                "SELECT pg_relation_size(indexrelid), pg_relation_size(indrelid) FROM pg_index "
                "JOIN pg_class ON pg_class.oid = indexrelid JOIN pg_am ON pg_am.oid = relam "
                "WHERE indrelid = 'intelligence.customer'::regclass AND amname = 'hnsw'"
            )
            ((index_size, table_size),) = store.connection.execute(index).fetchall()
            return {
                "customers": customers,
                "m": INDEX.neighbours,
                "ef_construction": INDEX.candidates,
                "ef_search": SEARCH_CANDIDATES,
                "write_and_index_s": round(written, 1),
                "index_mb": round(index_size / 1e6),
                "table_mb": round(table_size / 1e6),
                **_time_queries(store, customers),
                "recall_at_10": round(_recall(store, customers), 4),
            }


def draw_vectors(customers: int) -> NDArray[np.float32]:
    """Return synthetic customers, float32 [customers, DIMENSIONS]."""
    random = np.random.default_rng(1)
    shares = random.dirichlet(np.full(CENTRES, 2.0))
    centres = random.normal(0, 1, (CENTRES, DIMENSIONS))
    own = random.choice(CENTRES, customers, p=shares)
    vectors = (centres[own] + random.normal(0, 0.7, (customers, DIMENSIONS))).astype(np.float32)
    few = DIMENSIONS // 10
    vectors[:, :few] = vectors[:, few : 2 * few] + 0.1 * random.normal(size=(customers, few))
    weighted: NDArray[np.float32] = vectors / np.float32(np.sqrt(DIMENSIONS))
    return weighted


def draw_purchases(customers: int) -> CustomerPurchases:
    """Return synthetic purchases: a customer's products are those of one taste, their vector lies near its centre."""
    random = np.random.default_rng(4)
    centres = random.normal(0, 1, (TASTES, PURCHASE_DIMENSIONS))
    tastes = random.integers(0, TASTES, customers)
    vectors = centres[tastes] + random.normal(0, 0.7, (customers, PURCHASE_DIMENSIONS))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    per_taste = PRODUCTS // TASTES
    bought = tastes[:, None] * per_taste + random.integers(0, per_taste, (customers, PRODUCTS_EACH))
    strengths = np.sort(random.random((customers, PRODUCTS_EACH)), axis=1)[:, ::-1]
    return CustomerPurchases(
        names={f"p{product}": f"product {product}" for product in range(PRODUCTS)},
        vectors=vectors.astype(np.float32),
        bounds=np.arange(customers + 1) * PRODUCTS_EACH,
        products=[f"p{product}" for product in bought.ravel().tolist()],
        strengths=strengths.ravel().astype(np.float32),
        places={f"c{at}": at for at in range(customers)},
    )


def _time_queries(store: MessageStore, customers: int) -> dict[str, Any]:
    random, times = np.random.default_rng(2), []
    for at in random.integers(0, customers, QUERIES):
        began = time.perf_counter()
        find_similar(store, f"c{at}", limit=NEAREST)
        times.append((time.perf_counter() - began) * 1000)
    # The first queries read what is not in memory yet.
    warm = times[QUERIES // 5 :]
    cuts = statistics.quantiles(warm, n=100)
    return {
        "queries": len(warm),
        "p50_ms": round(cuts[49], 1),
        "p95_ms": round(cuts[94], 1),
        "p99_ms": round(cuts[98], 1),
    }


def _recall(store: MessageStore, customers: int) -> float:
    """Return the share of the ten nearest that the graph finds; a customer as near as the tenth counts."""
    random, shares = np.random.default_rng(3), []
    for at in random.integers(0, customers, EXACT_QUERIES):
        near = [each.distance for each in find_similar(store, f"c{at}", limit=NEAREST).customers]
        ((vector,),) = store.connection.execute(_CUSTOMER, [f"c{at}"]).fetchall()
        with store.connection.transaction():
            store.connection.execute("SET LOCAL enable_indexscan = off")
            exact = store.connection.execute(_DISTANCES, [vector, f"c{at}", NEAREST]).fetchall()
        shares.append(sum(each <= exact[-1][0] + 1e-6 for each in near) / NEAREST)
    return float(np.mean(shares))


@click.command()
@click.option("--customers", type=int, default=CUSTOMERS, show_default=True, help="How many customers.")
def main(customers: int) -> None:
    """Measure the search for similar customers."""
    print_json(data=measure_similarity(customers))


if __name__ == "__main__":
    main()
