"""Vectors of the messages: learned from them, computed for each, and indexed for search.

A run can be interrupted at any time and goes on where it ended. Vectors are learned when the store has none, when it
has grown to `LEARN_AT_GROWTH` times the messages they were learned from, or on request; then every message gets a new
vector, because those of two versions cannot be compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from campaigns.postgres_connections import hold_lock
from intelligence.errors import MessageStoreError
from intelligence.postgres_messages import vector_literals
from intelligence.text_vectors import DIMENSIONS, MOST_TEXTS, TextVectors
from intelligence.vector_index import VectorIndex

if TYPE_CHECKING:
    from collections.abc import Callable

    from intelligence.postgres_messages import MessageStore

# Any number that no other lock in the database has.
INDEX_LOCK = 481_633
LEARN_AT_GROWTH = 4
ENCODED_AT_ONCE = 2_000
INDEX = VectorIndex(
    "message_vector ON intelligence.message USING hnsw (vector halfvec_cosine_ops)",
    DIMENSIONS,
    neighbours=16,
    candidates=64,
)


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What a run did.

    Attributes:
        messages: in the store.
        version: of the vectors; empty without messages.
        learned: whether they were learned in this run.
        encoded: messages that got a vector in this run.
    """

    messages: int
    version: str = ""
    learned: bool = False
    encoded: int = 0


def newest_vectors(store: MessageStore) -> TextVectors | None:
    """Return the vectors that were learned last, None where there are none.

    Raises:
        TextVectorsError: they are broken, or of another version of Holdfast.
    """
    rows = store.execute("newest_vectors").fetchall()
    return TextVectors.from_bytes(rows[0][1], "intelligence.text_vectors") if rows else None


def index_messages(store: MessageStore, on_progress: Callable[[int, int], None], *, learn: bool = False) -> IndexReport:
    """Give every message a vector of the newest version, and index the vectors.

    Args:
        store: the message store.
        on_progress: receives the messages that got a vector, and all messages.
        learn: learn the vectors again.

    Raises:
        MessageStoreError: another process indexes the messages now.
        TextVectorsError: no message has a word.
    """
    refusal = MessageStoreError("another process indexes the messages now; wait until it ends")
    with hold_lock(store.connection, INDEX_LOCK, "", refusal):
        messages = store.count()
        if not messages:
            return IndexReport(0)
        learned = learn or _is_due(store, messages)
        if learned:
            _learn(store, messages)
        ((version, _, complete),) = store.execute("newest_vectors_state").fetchall()
        encoded = 0 if complete else _encode_all(store, messages, on_progress)
        if not store.execute("has_vector_index").fetchall()[0][0]:
            INDEX.build(store, INDEX.megabytes(messages))
        return IndexReport(messages, version, learned, encoded)


def _is_due(store: MessageStore, messages: int) -> bool:
    rows = store.execute("newest_vectors_state").fetchall()
    return not rows or messages >= LEARN_AT_GROWTH * rows[0][1]


def _learn(store: MessageStore, messages: int) -> None:
    texts = [text for (text,) in store.execute("sample_texts", most=MOST_TEXTS).fetchall()]
    vectors = TextVectors.fit(texts)
    with store.writing():
        store.execute("write_vectors", version=vectors.version, content=vectors.to_bytes(), messages=messages)
        store.execute("delete_former_vectors", version=vectors.version)
        # It is faster to build than to change for every message.
        store.connection.execute("DROP INDEX IF EXISTS intelligence.message_vector")


def _encode_all(store: MessageStore, messages: int, on_progress: Callable[[int, int], None]) -> int:
    vectors = newest_vectors(store)
    assert vectors is not None  # noqa: S101 - learned before
    encoded, customer_id, message_id = 0, "", ""
    while rows := store.execute(
        "messages_after",
        customer_id=customer_id,
        message_id=message_id,
        version=vectors.version,
        most=ENCODED_AT_ONCE,
    ).fetchall():
        literals = vector_literals(vectors.encode([text for _, _, text in rows]))
        store.write_vectors(
            [(customer, message, each) for (customer, message, _), each in zip(rows, literals, strict=True)],
            vectors.version,
        )
        customer_id, message_id, _ = rows[-1]
        encoded += len(rows)
        on_progress(encoded, messages)
    store.execute("mark_complete", version=vectors.version)
    return encoded
