"""Search of 1,000,000 synthetic messages: latency, and recall of the graph against an exact search.

`python -m benchmarks.intelligence.search --messages 100000` measures fewer. Messages are made of sentences with
products, places and numbers; queries are sentences worded otherwise. The time of a query includes its vector.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from rich import print_json

from console.embedded.services import EmbeddedServices
from intelligence.message_index import index_messages, newest_vectors
from intelligence.message_search import MOST_HITS, SEARCH_CANDIDATES, Filters, MessageSearch
from intelligence.migrations import migrate
from intelligence.postgres_messages import open_store, vector_literals

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from intelligence.postgres_messages import MessageStore
    from intelligence.text_vectors import TextVectors

MESSAGES = 1_000_000
LEARNED_FROM = 30_000
QUERIES, EXACT_QUERIES = 300, 40
NEAREST = 10
WRITTEN_AT_ONCE = 10_000
SETTINGS = {"shared_buffers": "2GB", "max_wal_size": "4GB", "fsync": "off"}
OPENINGS = (
    "hello", "good morning", "I write to you for the third time", "hi there", "sorry to bother you", "please help",
    "I am a customer since {year}", "about my order {number}", "your colleague in {place} sent me here", "a question",
)  # fmt: skip
PROBLEMS = (
    "the {thing} arrived {days} days late", "my {thing} still has not been delivered to {place}",
    "the {thing} is broken at the {part}", "you charged me twice for the {thing}", "the price of the {thing} went up",
    "the {thing} does not fit my {other}", "the checkout crashes when I add the {thing}",
    "nobody answers about the {thing}", "the {part} of the {thing} is missing", "the {thing} has the wrong colour",
    "the courier left the {thing} in the rain", "the invoice for the {thing} is wrong", "I cannot log in to see it",
    "the {thing} smells of plastic", "the voucher does not work for the {thing}", "the app says the {thing} is gone",
)  # fmt: skip
WISHES = (
    "I want my money back", "please send a new one", "when will it come", "cancel my account", "can I exchange it",
    "who pays for the return", "please call me", "I expect an apology", "thank you for the quick help",
    "I shall order the {other} instead", "do you have it in {place}", "give me a discount on the {other}",
)  # fmt: skip
WORDS = {
    "thing": ("lamp", "teapot", "red bag", "garden chair", "toy train", "clock", "blanket", "mirror", "candle", "teddy",
              "coffee mug", "bird house", "photo frame", "cake stand", "umbrella", "door mat", "wall map", "puzzle"),
    "part": ("handle", "lid", "left wheel", "zip", "glass", "cable", "screw", "box", "strap", "hinge"),
    "place": ("Leeds", "Porto", "Lyon", "Graz", "Cork", "Ghent", "Malmo", "Turin", "Aarhus", "Brno"),
}  # fmt: skip
ASKED = (
    "wants a refund for a late {thing}", "{thing} damaged in transport", "billed two times, {thing}",
    "customer wants to close the account", "asks for a rebate", "parcel with {thing} lost near {place}",
    "website error while paying", "missing {part}", "praise for support", "nobody replies about the {thing}",
)  # fmt: skip


def measure(_data: Path) -> dict[str, Any]:
    """Return the figures at 1,000,000 messages."""
    return measure_search(MESSAGES)


def measure_search(messages: int) -> dict[str, Any]:
    """Return how long a search takes, how exact it is, and what the store takes."""
    with (
        tempfile.TemporaryDirectory(prefix="holdfast-") as folder,
        EmbeddedServices(Path(folder), postgres_settings=SETTINGS) as services,
    ):
        url = services.start().ledger_url
        migrate(url)
        with open_store(url) as store:
            filled = _fill(store, messages)
            vectors = newest_vectors(store)
            assert vectors is not None  # noqa: S101 - learned while filling
            store.connection.execute("ANALYZE intelligence.message")
            return {**filled, **_time_queries(store, vectors), "recall_at_10": round(_recall(store, vectors), 4)}


def _fill(store: MessageStore, messages: int) -> dict[str, Any]:
    drawn = random.Random(1)  # noqa: S311 - reproducible
    began = time.monotonic()
    _write(store, 0, [draw_text(drawn) for _ in range(min(LEARNED_FROM, messages))], None)
    index_messages(store, lambda _done, _total: None)
    learned = time.monotonic()
    store.connection.execute("DROP INDEX intelligence.message_vector")
    vectors = newest_vectors(store)
    for start in range(min(LEARNED_FROM, messages), messages, WRITTEN_AT_ONCE):
        number = min(WRITTEN_AT_ONCE, messages - start)
        _write(store, start, [draw_text(drawn) for _ in range(number)], vectors)
    written = time.monotonic()
    index_messages(store, lambda _done, _total: None)
    built = time.monotonic()
    sizes = "SELECT pg_relation_size('intelligence.message_vector'), pg_total_relation_size('intelligence.message')"
    index, table = store.connection.execute(sizes).fetchall()[0]
    return {
        "messages": messages,
        "learn_s": round(learned - began, 1),
        "write_s": round(written - learned, 1),
        "build_index_s": round(built - written, 1),
        "index_mb": round(index / 1e6),
        "table_with_indexes_mb": round(table / 1e6),
    }


def _write(store: MessageStore, start: int, texts: Sequence[str], vectors: TextVectors | None) -> None:
    literals = vector_literals(vectors.encode(texts)) if vectors else [None] * len(texts)
    copy = (
        "COPY intelligence.message (customer_id, message_id, occurred_at, role, text, sentiment, satisfaction, "
        "concerns, wants_to_cancel, vector, vector_version) FROM STDIN"
    )
    with store.connection.cursor() as cursor, cursor.copy(copy) as rows:
        for number, (text, literal) in enumerate(zip(texts, literals, strict=True), start):
            day = f"2026-{1 + number % 12:02}-{1 + number % 28:02}"
            version = vectors.version if vectors else None
            row = (f"c{number % 100_000}", f"m{number}", day, "customer", text, 0.0, 5.0, "{}", False, literal, version)
            rows.write_row(row)


def draw_text(drawn: random.Random) -> str:
    """Return a message."""
    parts = [*drawn.sample(PROBLEMS, drawn.choice((1, 1, 2))), drawn.choice(WISHES)]
    if drawn.random() < 0.5:  # noqa: PLR2004 - half of them
        parts.insert(0, drawn.choice(OPENINGS))
    return ". ".join(_fill_in(each, drawn) for each in parts)


def _fill_in(template: str, drawn: random.Random) -> str:
    words = {name: drawn.choice(each) for name, each in WORDS.items()}
    other, number = drawn.choice(WORDS["thing"]), drawn.randrange(100_000, 999_999)
    return template.format(**words, other=other, number=number, days=drawn.randrange(2, 40), year=2000 + number % 26)


def _draw_queries(number: int) -> Iterator[str]:
    drawn = random.Random(2)  # noqa: S311 - reproducible
    for _ in range(number):
        yield _fill_in(drawn.choice(ASKED), drawn)


def _time_queries(store: MessageStore, vectors: TextVectors) -> dict[str, Any]:
    search = MessageSearch(store, vectors)
    times, filtered = [], []
    for query in _draw_queries(QUERIES):
        began = time.perf_counter()
        search.find(query, Filters(), limit=10)
        times.append((time.perf_counter() - began) * 1000)
    for number, query in enumerate(_draw_queries(QUERIES // 3)):
        began = time.perf_counter()
        search.find(query, Filters(customer=f"c{number}"), limit=10)
        filtered.append((time.perf_counter() - began) * 1000)
    # The first queries read what is not in memory yet.
    warm = times[len(times) // 6 :]
    cuts = statistics.quantiles(warm, n=100)
    return {
        "queries": len(warm),
        "p50_ms": round(cuts[49], 1),
        "p95_ms": round(cuts[94], 1),
        "p99_ms": round(cuts[98], 1),
        "p95_of_one_customer_ms": round(statistics.quantiles(filtered, n=20)[-1], 1),
    }


def _recall(store: MessageStore, vectors: TextVectors) -> float:
    """Return the share of the ten nearest that the graph finds; a message as near as the tenth counts."""
    query = (
        "SELECT vector <=> %s::halfvec AS distance FROM intelligence.message WHERE vector IS NOT NULL "
        "ORDER BY distance LIMIT %s"
    )
    shares = []
    for literal in vector_literals(vectors.encode(list(_draw_queries(EXACT_QUERIES)))):
        with store.connection.transaction():
            store.connection.execute(f"SET LOCAL hnsw.ef_search = {SEARCH_CANDIDATES}")
            near = store.connection.execute(query, [literal, MOST_HITS]).fetchall()[:NEAREST]
            store.connection.execute("SET LOCAL enable_indexscan = off")
            exact = store.connection.execute(query, [literal, NEAREST]).fetchall()
        shares.append(np.mean([row[0] <= exact[-1][0] + 1e-6 for row in near]))
    return float(np.mean(shares))


@click.command()
@click.option("--messages", type=int, default=MESSAGES, show_default=True, help="How many messages.")
def main(messages: int) -> None:
    """Measure the search."""
    print_json(data=measure_search(messages))


if __name__ == "__main__":
    main()
