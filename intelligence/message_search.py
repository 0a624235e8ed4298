"""Hybrid search: messages near a query in meaning, and messages with its words, in one order.

The two orders are joined by reciprocal rank fusion (Cormack et al. 2009): a message scores 1 / (60 + rank) in each.
Vectors are searched in a graph (HNSW, Malkov and Yashunin 2018), words in PostgreSQL's inverted index. Messages with
all of the rare words come first, then those with one of the rarest; common words narrow nothing and cost time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from psycopg import sql

from intelligence.errors import SearchError
from intelligence.postgres_messages import vector_literals
from intelligence.text_grams import normalize

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from intelligence.postgres_messages import MessageStore
    from intelligence.text_vectors import TextVectors

    Key = tuple[str, str]

MOST_HITS = 100
"""Messages that each of the two orders contributes at most; a search returns no more."""
RANK_OFFSET = 60
LEAST_SIMILARITY = 0.2
"""Cosine below which a message is not near: two tweets to airlines taken at random have .13 on average."""
SEARCH_CANDIDATES = 100
"""Nodes of the graph that are kept while searching: hnsw.ef_search."""
COMMON_SHARE = 0.05
"""A word in a larger share of the messages is common."""
WORDS_TOGETHER, WORDS_APART = 6, 3
MATCHES_RANKED = 1_000
"""Messages with the words that are ranked at most."""
_WORD = re.compile(r"\w+")
_FILTERS = {
    "customer": "customer_id = %(customer)s",
    "since": "occurred_at >= %(since)s",
    "until": "occurred_at < %(until)s",
    "concern": "concerns @> ARRAY[%(concern)s]",
    "role": "role = %(role)s",
}


@dataclass(frozen=True, slots=True)
class Filters:
    """Which messages are searched; None leaves all. `until` is the time after the last."""

    customer: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    concern: str | None = None
    role: str | None = None

    @property
    def values(self) -> dict[str, Any]:
        """Those that are set."""
        return {name: value for name in _FILTERS if (value := getattr(self, name)) is not None}


@dataclass(frozen=True, slots=True)
class Hit:
    """A message found.

    Attributes:
        score: of the fusion; higher is nearer. It compares hits of one search only.
        similarity: the cosine of the vectors, None where it was found by words alone.
        has_words: whether it was found by words.
    """

    customer_id: str
    message_id: str
    occurred_at: datetime
    role: str
    text: str
    concerns: Sequence[str]
    sentiment: float
    score: float
    similarity: float | None
    has_words: bool


@dataclass(frozen=True, slots=True)
class CustomerHit:
    """A customer found by their messages: the sum of their scores, how many there are, and the best of them."""

    customer_id: str
    score: float
    messages: int
    best: Hit


class MessageSearch:
    """Searches the message store.

    Args:
        store: the message store.
        vectors: the newest ones, None where none are learned: words are searched then.
    """

    def __init__(self, store: MessageStore, vectors: TextVectors | None) -> None:
        self._store = store
        self._vectors = vectors

    def find(self, query: str, filters: Filters, *, limit: int) -> list[Hit]:
        """Return the messages nearest to a query, nearest first, at most `limit` or MOST_HITS.

        Raises:
            SearchError: the query is empty.
        """
        if not normalize(query).strip():
            raise SearchError("the query is empty; write what messages should say, as: wants a refund")
        with self._store.connection.transaction():
            self._configure()
            near = self._find_near(query, filters)
            worded = self._find_worded(query, filters)
            scores = fuse(list(near), worded)
            best = sorted(scores, key=lambda key: (-scores[key], key))[:limit]
            rows = self._read(best)
        texts = set(worded)
        return [
            Hit(customer, message, at, role, text, concerns, sentiment, scores[key], near.get(key), key in texts)
            for key in best
            for customer, message, at, role, text, concerns, sentiment in [rows[key]]
        ]

    def find_customers(self, query: str, filters: Filters, *, limit: int) -> list[CustomerHit]:
        """Return the customers whose messages are nearest to a query, nearest first.

        Raises:
            SearchError: the query is empty.
        """
        by_customer: dict[str, list[Hit]] = {}
        for hit in self.find(query, filters, limit=MOST_HITS):
            by_customer.setdefault(hit.customer_id, []).append(hit)
        found = [
            CustomerHit(customer, sum(hit.score for hit in hits), len(hits), hits[0])
            for customer, hits in by_customer.items()
        ]
        return sorted(found, key=lambda each: (-each.score, each.customer_id))[:limit]

    def _configure(self) -> None:
        for setting, value in (
            ("hnsw.ef_search", SEARCH_CANDIDATES),
            # Where filters leave too few of the candidates, the graph is searched further.
            ("hnsw.iterative_scan", "relaxed_order"),
            ("jit", "off"),
        ):
            self._store.connection.execute("SELECT set_config(%s, %s, true)", [setting, str(value)])

    def _find_near(self, query: str, filters: Filters) -> dict[Key, float]:
        """Return the cosine of the messages nearest to a query, nearest first."""
        if self._vectors is None:
            return {}
        (vector,) = vector_literals(self._vectors.encode([query]))
        if vector is None:
            return {}
        statement = sql.SQL(
            "SELECT customer_id, message_id, vector <=> %(vector)s::halfvec AS distance FROM intelligence.message "
            "WHERE vector_version = %(version)s AND {} ORDER BY distance LIMIT %(most)s"
        ).format(_condition(filters))
        values = {**filters.values, "vector": vector, "version": self._vectors.version, "most": MOST_HITS}
        rows = self._store.connection.execute(statement, values).fetchall()
        # The order of an index that goes on searching is not exact.
        ordered = sorted(rows, key=lambda row: float(row[2]))
        return {(customer, message): 1 - far for customer, message, far in ordered if 1 - far >= LEAST_SIMILARITY}

    def _find_worded(self, query: str, filters: Filters) -> list[Key]:
        words = rare_words(query, self._vectors)
        together = self._match(" & ".join(words[:WORDS_TOGETHER]), filters)
        if len(together) >= MOST_HITS or len(words) < 2:  # noqa: PLR2004 - one word is alone
            return together
        apart = self._match(" | ".join(words[:WORDS_APART]), filters)
        return list(dict.fromkeys(chain(together, apart)))[:MOST_HITS]

    def _match(self, words: str, filters: Filters) -> list[Key]:
        if not words:
            return []
        statement = sql.SQL(
            "WITH found AS MATERIALIZED (SELECT customer_id, message_id, occurred_at, words FROM intelligence.message "
            "WHERE words @@ to_tsquery('simple', %(words)s) AND {} LIMIT %(ranked)s) "
            "SELECT customer_id, message_id FROM found "
            "ORDER BY ts_rank(words, to_tsquery('simple', %(words)s), 1) DESC, occurred_at DESC, message_id "
            "LIMIT %(most)s"
        ).format(_condition(filters))
        values = {**filters.values, "words": words, "ranked": MATCHES_RANKED, "most": MOST_HITS}
        rows = self._store.connection.execute(statement, values).fetchall()
        return [(customer, message) for customer, message in rows]

    def _read(self, keys: Sequence[Key]) -> dict[Key, tuple[Any, ...]]:
        customers, messages = [each for each, _ in keys], [each for _, each in keys]
        rows = self._store.execute("read_messages", customers=customers, messages=messages).fetchall()
        return {(row[0], row[1]): row for row in rows}


def fuse(*orders: Sequence[Key]) -> Mapping[Key, float]:
    """Return the score of each message in any of the orders."""
    scores: dict[Key, float] = {}
    for order in orders:
        for rank, key in enumerate(order, 1):
            scores[key] = scores.get(key, 0.0) + 1 / (RANK_OFFSET + rank)
    return scores


def rare_words(query: str, vectors: TextVectors | None) -> list[str]:
    """Return the words of a query as prefixes for PostgreSQL, rarest first; the rarest of all where all are common."""
    words = list(dict.fromkeys(_WORD.findall(normalize(query))))
    if vectors is None or not words:
        return [f"{word}:*" for word in words]
    shares = dict(zip(words, vectors.share_of_texts(words), strict=True))
    ordered = sorted(words, key=lambda word: shares[word])
    kept = [word for word in ordered if shares[word] <= COMMON_SHARE] or ordered[:1]
    return [f"{word}:*" for word in kept]


def _condition(filters: Filters) -> sql.Composable:
    conditions = [sql.SQL(_FILTERS[name]) for name in filters.values]
    return sql.SQL(" AND ").join([sql.SQL("true"), *conditions])
