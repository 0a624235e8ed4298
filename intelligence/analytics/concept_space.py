"""Vectors of concepts, clients and products in one space, learned from the data themselves.

Terms are concepts and the words in them and in the catalogue. Two terms are near each other if they occur together
with the same other terms, whether or not they ever occur together: that is how "loves modern art" comes near "prefers
contemporary pieces". The vectors are the truncated singular value decomposition of positive pointwise mutual
information (Levy and Goldberg 2014, "Neural word embedding as implicit matrix factorization"), contexts smoothed by the
power .75 (Levy, Goldberg and Dagan 2015), and pairs that are seen seldom discounted (Pantel and Lin 2002).

Nothing is known of a term but its company in these data: a concept that one client alone mentions has no synonyms here,
and opposites that are mentioned in the same company ("loves gold", "avoids gold") are near each other.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_matrix, diags
from sklearn.utils.extmath import randomized_svd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from intelligence.analytics.mentions import Mentions

DIMENSIONS = 64
MOST_TERMS = 20_000
SMOOTHING = 0.75
LEAST_WEIGHT = 0.1
"""Of a term that all clients mention."""
BLOCK = 1_000
"""Clients that are compared with all others at once."""
_LONG = 3


@dataclass(frozen=True, slots=True)
class ConceptSpace:
    """Clients, concepts and products as vectors.

    Attributes:
        weights: how much each client means each concept, shape [clients, concepts].
        concepts: shape [concepts, dimensions]; a client's vector is the sum of those of its concepts by their weights.
        clients: of length 1, shape [clients, dimensions]; zeros where nothing is known.
        lengths: the clients' lengths before, shape [clients].
        products: of length 1, shape [products, dimensions].
        shared_terms: how many terms stand in both concepts and products.
    """

    weights: csr_matrix
    concepts: NDArray[np.float64]
    clients: NDArray[np.float64]
    lengths: NDArray[np.float64]
    products: NDArray[np.float64]
    shared_terms: int


def learn_space(mentions: Mentions, texts: Sequence[str] = (), dimensions: int = DIMENSIONS) -> ConceptSpace:
    """Learn the vectors of all concepts and of texts on products.

    Args:
        mentions: of concepts by clients.
        texts: one for each product.
        dimensions: the most dimensions of a vector.
    """
    in_concepts = [Counter(dict.fromkeys(_terms_of_concept(concept), 1)) for concept in mentions.concepts]
    in_products = [Counter(split_words(text)) for text in texts]
    frequency = Counter(term for each in (*in_concepts, *in_products) for term in each)
    terms = {term: place for place, (term, _) in enumerate(frequency.most_common(MOST_TERMS))}
    composed, written = _count(in_concepts, terms), _count(in_products, terms)
    counts = mentions.counts()
    said = counts @ composed
    vectors = _learn_terms(_pair_terms(mentions, composed, written), dimensions)
    idf = _weigh_terms(said, written)
    concepts = composed @ (vectors * idf[:, None])
    weights = counts.copy()
    weights.data = np.log1p(weights.data)
    clients, lengths = _scale(weights @ concepts)
    written.data = np.log1p(written.data)
    products, _ = _scale(written @ (vectors * idf[:, None]))
    shared = (said.getnnz(axis=0) > 0) & (written.getnnz(axis=0) > 0)
    return ConceptSpace(weights, concepts, clients, lengths, products, int(shared.sum()))


def split_words(text: str) -> list[str]:
    """Return the words of a text in lower case, without the endings of English plurals."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return [_stem(word) for word in re.findall(r"[^\W_]+", folded) if not word.isdigit()]


def find_nearest(
    vectors: NDArray[np.float64], count: int, others: NDArray[np.float64] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the nearest others of each vector by the cosine, nearest first: places and cosines, shape [n, count].

    Args:
        vectors: of length 1, shape [n, dimensions].
        count: how many; fewer where there are fewer.
        others: of length 1; None for the vectors themselves, each without itself.
    """
    places, cosines = [], []
    pool = vectors if others is None else others
    count = min(count, len(pool) - (others is None))
    for begin in range(0, len(vectors), BLOCK):
        likeness = vectors[begin : begin + BLOCK] @ pool.T
        rows = np.arange(len(likeness))
        if others is None:
            likeness[rows, begin + rows] = -np.inf
        best = _find_largest(likeness, count)
        places.append(best)
        cosines.append(likeness[rows[:, None], best])
    empty = np.empty((0, max(count, 0)))
    return np.concatenate(places or [empty.astype(np.int64)]), np.concatenate(cosines or [empty])


def _find_largest(values: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Return the places of the largest values of each row, the largest first, the first of equals first."""
    falling = -values.round(6)
    # A copy: a view would keep the whole array.
    found = np.argpartition(falling, count - 1, axis=1)[:, :count].copy() if count else falling[:, :0].astype(np.int64)
    found.sort(axis=1)
    order = np.argsort(np.take_along_axis(falling, found, axis=1), axis=1, kind="stable")
    largest: NDArray[np.int64] = np.take_along_axis(found, order, axis=1)
    return largest


def _terms_of_concept(concept: str) -> list[str]:
    """Return the words of a concept, and the concept itself if it has several."""
    words = split_words(concept)
    return [*words, *([f"={concept}"] if len(words) != 1 else [])]


def _stem(word: str) -> str:
    """Return a word without the ending of an English plural: the S stemmer (Harman 1991), with "watches"."""
    if len(word) <= _LONG or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies") and not word.endswith(("aies", "eies")):
        return word[:-3] + "y"
    return word[:-2] if word.endswith(("ches", "shes", "xes", "sses", "zes")) else word[:-1]


def _count(bags: Sequence[Counter[str]], terms: dict[str, int]) -> csr_matrix:
    cells = [
        (row, terms[term], number) for row, bag in enumerate(bags) for term, number in bag.items() if term in terms
    ]
    rows, columns, numbers = (np.array(each) for each in zip(*cells, strict=True)) if cells else ([], [], [])
    return csr_matrix((np.asarray(numbers, dtype=float), (rows, columns)), shape=(len(bags), len(terms)))


def _pair_terms(mentions: Mentions, composed: csr_matrix, written: csr_matrix) -> csr_matrix:
    """Return how often two terms stand together: by clients and by notes in different concepts, and by products.

    The words of one concept do not count as a pair: else each concept would be its own company.
    """
    pairs = _pair(mentions.counts())
    if (known := mentions.note >= 0).any():
        shape = (int(mentions.note.max()) + 1, len(mentions.concepts))
        places = (mentions.note[known], mentions.concept[known])
        pairs = pairs + _pair(csr_matrix((np.ones(int(known.sum())), places), shape=shape))
    return _without_diagonal(composed.T @ pairs @ composed + _pair(written))


def _pair(rows: csr_matrix) -> csr_matrix:
    """Return in how many rows two columns are both not 0; 0 on the diagonal."""
    there = (rows > 0).astype(float)
    return _without_diagonal(there.T @ there)


def _without_diagonal(square: csr_matrix) -> csr_matrix:
    rest = csr_matrix(square - diags(square.diagonal()))
    rest.eliminate_zeros()
    return rest


def _learn_terms(together: csr_matrix, dimensions: int) -> NDArray[np.float64]:
    """Return a vector of length 1 for each term, or of zeros for a term that is always alone."""
    pairs = together.tocoo()
    if not pairs.nnz:
        return np.eye(together.shape[0], dimensions)
    frequency = np.bincount(pairs.row, weights=pairs.data, minlength=together.shape[0])
    smooth = frequency**SMOOTHING
    information = np.log(pairs.data * smooth.sum() / (frequency[pairs.row] * smooth[pairs.col]))
    least = np.minimum(frequency[pairs.row], frequency[pairs.col])
    information *= (pairs.data / (pairs.data + 1)) * (least / (least + 1))
    positive = information > 0
    cells = (information[positive], (pairs.row[positive], pairs.col[positive]))
    matrix = csr_matrix(cells, shape=pairs.shape)
    left, sizes, _ = randomized_svd(matrix, min(dimensions, *matrix.shape), random_state=0)
    # Not the usual root of the sizes: with few terms the small axes are what a term has for itself, and set synonyms
    # apart.
    vectors, _ = _scale(left * sizes)
    return vectors


def _weigh_terms(said: csr_matrix, written: csr_matrix) -> NDArray[np.float64]:
    """Return how rare each term is: by clients or by products, wherever it is more frequent."""
    shares = [each.getnnz(axis=0) / max(1, each.shape[0]) for each in (said, written)]
    weights: NDArray[np.float64] = LEAST_WEIGHT - np.log(np.maximum(np.maximum(*shares), 1e-9))
    return weights


def _scale(vectors: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return vectors of length 1, and the lengths they had."""
    lengths = np.linalg.norm(vectors, axis=1)
    scaled: NDArray[np.float64] = vectors / np.maximum(lengths, 1e-12)[:, None]
    scaled[lengths < 1e-9] = 0.0  # noqa: PLR2004 - nothing but rounding
    return scaled, lengths
