"""Which products are alike by their texts, and which words they share."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_matrix

from intelligence.errors import TextVectorsError
from intelligence.recommendations.collaborative import keep_largest
from intelligence.text_vectors import TextVectors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from intelligence.recommendations.catalogue import Catalogue

DIMENSIONS = 128
ALIKE = 20
"""Products alike that are kept of each."""
LEAST_SIMILARITY = 0.2
_BLOCK = 1_000
_WORD = re.compile(r"[^\W\d_]{3,}")
_COMMON = 0.2
"""A word in a larger share of the products says nothing of one."""


@dataclass(frozen=True, slots=True)
class Content:
    """The likeness of products, by place in the catalogue.

    Attributes:
        alike: the products most alike each one, the most alike first, [products, alike].
        similarity: the cosine of each, 0 below LEAST_SIMILARITY, float32 [products, alike].
        vectors: of the texts, of unit length or 0, float32 [products, dimensions].
        concepts: the words of each product that tell it from others, the rarest first.
    """

    alike: NDArray[np.int32]
    similarity: NDArray[np.float32]
    vectors: NDArray[np.float32]
    concepts: Sequence[tuple[str, ...]]


def learn_content(catalogue: Catalogue) -> Content:
    """Return how the products of a catalogue are alike; without any word in it, no two are."""
    texts = [each.text for each in catalogue.products]
    try:
        vectors = TextVectors.fit(texts, dimensions=DIMENSIONS).encode(texts)
    except TextVectorsError:
        vectors = np.zeros((len(texts), 1), dtype=np.float32)
    alike, similarity = find_alike(vectors, ALIKE)
    return Content(alike, similarity, vectors, _find_concepts(texts))


def find_alike(
    vectors: NDArray[np.float32], count: int, among: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the nearest others of each vector and their cosines, the nearest first; 0 below LEAST_SIMILARITY.

    Args:
        vectors: of unit length or 0, [products, dimensions].
        count: how many.
        among: the places to choose from; None for all.
    """
    places = np.arange(len(vectors)) if among is None else among
    count = min(count, len(places))
    alike = np.full((len(vectors), count), places[0] if count else 0, dtype=np.int32)
    similarity = np.zeros((len(vectors), count), dtype=np.float32)
    others = vectors[places].T
    own = np.full(len(vectors), -1)
    own[places] = np.arange(len(places))
    for start in range(0, len(vectors), _BLOCK):
        scores = vectors[start : start + _BLOCK] @ others
        mine = own[start : start + len(scores)]
        scores[np.flatnonzero(mine >= 0), mine[mine >= 0]] = 0
        scores[scores < LEAST_SIMILARITY] = 0
        near = keep_largest(csr_matrix(scores), count).tocoo()
        order = np.lexsort((near.col, -near.data, near.row))
        rows = near.row[order]
        rank = np.arange(len(rows)) - np.searchsorted(rows, rows)
        alike[start + rows, rank] = places[near.col[order]]
        similarity[start + rows, rank] = near.data[order]
    return alike, similarity


def _find_concepts(texts: Sequence[str]) -> list[tuple[str, ...]]:
    words = [tuple(dict.fromkeys(_WORD.findall(text.casefold()))) for text in texts]
    frequency = Counter(word for each in words for word in each)
    most = max(2.0, _COMMON * len(texts))
    return [
        tuple(sorted((word for word in each if 1 < frequency[word] <= most), key=lambda word: (frequency[word], word)))
        for each in words
    ]
