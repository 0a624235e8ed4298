"""Does the error fall with the confidence: thresholds from inner rows, measured on the test rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from training.evaluation.confidence import Errors, choose_cuts, describe_confidence, find_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from benchmarks.quality.selection import Recipe, Rows
    from training.nets.fit import Trained


def measure_confidence(
    recipe: Recipe,
    rows: Rows,
    folds: Sequence[NDArray[np.bool_]],
    matrix: NDArray[np.float32],
    later: Rows,
    adjust: Callable[[Trained], Trained] = lambda net: net,
) -> dict[str, Any]:
    """Return the thresholds and, by level, the error on inner rows and on the test rows; None where it does not fall.

    Args:
        recipe: of the net.
        rows: the training data.
        folds: of shape [rows] each, true where an inner row is measured by a net of the other rows.
        matrix: of the exported model on the test rows: scores and spreads, or amounts and bounds.
        later: the test rows.
        adjust: what was done to the exported net after training.
    """
    inner = _join([_measure(recipe, adjust, rows.take(~fold), rows.take(fold)) for fold in folds])
    cuts = choose_cuts(inner)
    if cuts is None:
        return {"confidence": None}
    levels = {"cuts": list(cuts), "validation": describe_confidence(inner, cuts)}
    return {"confidence": levels | {"test": describe_confidence(_errors(recipe, matrix, later), cuts)}}


def _measure(recipe: Recipe, adjust: Callable[[Trained], Trained], earlier: Rows, measured: Rows) -> Errors:
    net = recipe.add_spread(adjust(recipe.fit(earlier)), earlier)
    return _errors(recipe, net.predict_with_spread(measured.inputs), measured)


def _errors(recipe: Recipe, matrix: NDArray[np.float32], rows: Rows) -> Errors:
    outputs = 1 if recipe.likelihood == "binary" else matrix.shape[1]
    return find_errors(matrix[:, :outputs], matrix[:, outputs:], rows.targets)


def _join(parts: Sequence[Errors]) -> Errors:
    uncertainty, error, predicted, observed = (
        np.concatenate([getattr(each, name) for each in parts])
        for name in ("uncertainty", "error", "predicted", "observed")
    )
    covered = [each.covered for each in parts if each.covered is not None]
    return Errors(uncertainty, error, predicted, observed, np.concatenate(covered) if covered else None)
