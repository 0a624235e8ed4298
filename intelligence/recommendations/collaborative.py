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
from scipy.sparse import csr_matrix, vstack

if TYPE_CHECKING:
    from numpy.typing import NDArray

HEAD = 4_000
"""Products with the most buyers that EASE knows: its matrix has the square of it, 64 MB."""
NEIGHBOURS = 100
RIDGE = 100.0
SHRINKAGE = 5.0
_BLOCK = 500


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
        common = (rows[start : start + _BLOCK] @ bought).tocsr()
        row = np.repeat(np.arange(common.shape[0]), np.diff(common.indptr)) + start
        common.data /= np.sqrt(buyers[row] * buyers[common.indices]) + shrinkage
        common.data[row == common.indices] = 0
        parts.append(keep_largest(common, neighbours))
    return vstack(parts, format="csr")


def keep_largest(matrix: Any, count: int) -> Any:
    """Return a sparse matrix with the largest cells of each row of another, without zeros."""
    places = _find_largest(matrix, count)
    places = places[matrix.data[places] != 0]
    bounds = np.searchsorted(places, matrix.indptr)
    return csr_matrix((matrix.data[places], matrix.indices[places], bounds), shape=matrix.shape)


def _find_largest(matrix: Any, count: int) -> NDArray[np.int64]:
    """Return the places, ascending, of the largest cells of each row in the data of a sparse matrix."""
    kept = [np.empty(0, dtype=np.int64)]
    for begin, end in pairwise(matrix.indptr.tolist()):
        if end - begin > count:
            kept.append(begin + np.sort(np.argpartition(matrix.data[begin:end], end - begin - count)[-count:]))
        else:
            kept.append(np.arange(begin, end))
    return np.concatenate(kept)
