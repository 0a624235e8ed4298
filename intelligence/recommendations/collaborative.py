"""What customers buy together, learned from who bought what.

EASE (Steck 2019, "Embarrassingly shallow autoencoders for sparse data") for the products with the most buyers: one
ridge regression of each product on all others, in closed form, dense. Neighbours by cosine of their buyers, with
shrinkage (Sarwar et al. 2001), for all products, sparse.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.linalg.lapack import spotrf, spotri
from scipy.sparse import csr_matrix

if TYPE_CHECKING:
    from numpy.typing import NDArray

HEAD = 4_000
"""Products with the most buyers that EASE knows: its matrix has the square of it, 64 MB."""
NEIGHBOURS = 100
RIDGE = 100.0
SHRINKAGE = 5.0
_BLOCK = 500
_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Ease:
    """Weights among the head.

    Attributes:
        head: the products, by place in the catalogue, ascending.
        weights: what having bought the row's product says for the column's, float32 [head, head].
    """

    head: NDArray[np.int64]
    weights: NDArray[np.float32]


def fit_ease(bought: Any, *, head: int = HEAD, ridge: float = RIDGE) -> Ease:
    """Return the weights that predict each product of the head from the customer's others.

    Args:
        bought: sparse [customers, products], not negative.
        head: how many products; those with the most buyers.
        ridge: the penalty of the regression.
    """
    buyers = bought.getnnz(axis=0)
    chosen = np.sort(np.argsort(-buyers, kind="stable")[: min(head, int((buyers > 0).sum()))])
    part = bought[:, chosen]
    gram = (part.T @ part).toarray().astype(np.float32)
    gram[np.diag_indices_from(gram)] += ridge
    factor, failed = spotrf(gram, overwrite_a=True)
    inverse, also_failed = spotri(factor, overwrite_c=True)
    if failed or also_failed:  # the ridge makes it positive definite
        raise ArithmeticError(f"the Gram matrix of {len(chosen)} products cannot be inverted")
    inverse = np.triu(inverse) + np.triu(inverse, 1).T
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return Ease(chosen, weights.astype(np.float32))


def fit_neighbours(bought: Any, *, neighbours: int = NEIGHBOURS, shrinkage: float = SHRINKAGE) -> Any:
    """Return the similarity of each product to its nearest ones by buyers, sparse float32 [products, products].

    Args:
        bought: sparse [customers, products] of ones.
        neighbours: how many of each product are kept.
        shrinkage: lowers the similarity of products with few buyers.
    """
    buyers = bought.getnnz(axis=0).astype(np.float32)
    rows = bought.T.tocsr()
    parts = []
    for start in range(0, rows.shape[0], _BLOCK):
        common = (rows[start : start + _BLOCK] @ bought).toarray()
        common /= np.sqrt(np.outer(buyers[start : start + _BLOCK], buyers)) + shrinkage + _TINY
        np.fill_diagonal(common[:, start:], 0)
        parts.append(_keep_best(common, neighbours))
    values, indices, counts = (np.concatenate(part) for part in zip(*parts, strict=True))
    bounds = np.concatenate([[0], np.cumsum(counts)])
    return csr_matrix((values, indices, bounds), shape=(rows.shape[0], rows.shape[0]))


def _keep_best(scores: NDArray[np.float32], count: int) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.int64]]:
    """Return values, columns and number of the largest positive cells of each row."""
    most = min(count, scores.shape[1])
    best = np.argpartition(-scores, most - 1, axis=1)[:, :most].astype(np.int32)
    values = np.take_along_axis(scores, best, axis=1)
    kept = values > 0
    return values[kept], best[kept], kept.sum(axis=1)


def find_largest(matrix: Any, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return row and column of the largest cells of each row of a sparse matrix."""
    bounds, places = matrix.indptr, []
    for begin, end in pairwise(bounds.tolist()):
        if end - begin > count:
            places.append(begin + np.argpartition(matrix.data[begin:end], end - begin - count)[-count:])
        else:
            places.append(np.arange(begin, end))
    chosen = np.concatenate(places)
    return np.searchsorted(bounds, chosen, side="right") - 1, matrix.indices[chosen].astype(np.int64)
