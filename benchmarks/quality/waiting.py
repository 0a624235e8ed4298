"""Time to the next purchase: survival curves of 90 days, next to Kaplan and Meier's and those of BG/NBD.

Learned and measured on the rows of churn. Kaplan and Meier's is one curve for all customers, of the training rows;
BG/NBD knows each customer's whole history up to the test day and is fitted to those of all customers up to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.quality.selection import Rows, choose
from benchmarks.quality.serving import serve
from features.table import FeatureTable
from training.evaluation.resampling import bootstrap, difference, interval, rounded
from training.evaluation.survival import (
    KAPLAN_MEIER,
    FollowUp,
    concordance,
    expected_wait,
    kaplan_meier,
    squared_errors,
)
from training.tasks.registry import TASKS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmarks.quality.purchases import Learning
    from training.data.point_in_time import Snapshots

TASK = TASKS["next_purchase"]


def measure_waiting(rows: Learning, rival: NDArray[np.float64]) -> dict[str, Any]:
    """Return the integrated Brier score, concordance, and the differences to what a model must beat.

    Args:
        rows: to learn from and to measure on.
        rival: the curves of BG/NBD, shape [later rows, periods].
    """
    status, later = _status(rows.earlier), _status(rows.later)
    known = Rows(rows.inputs, status)
    recipe = choose(known, rows.folds, likelihood="discrete_hazard").recipe
    served = serve(recipe.fit(known), rows.later_inputs)
    curves = {
        "ours": served.scores.astype(np.float64),
        KAPLAN_MEIER: np.tile(kaplan_meier(status), (len(later), 1)),
        "bg_nbd": rival,
    }
    return _describe(curves, later, [str(customer) for customer in rows.later.customer]) | {
        "method": recipe.describe(),
        "export_difference": served.difference,
        "bytes": served.size,
    }


def _describe(
    curves: dict[str, NDArray[np.float64]], status: NDArray[np.float32], customers: list[str]
) -> dict[str, Any]:
    seen = FollowUp.of(status)
    errors = {name: squared_errors(each, seen) for name, each in curves.items()}
    resampled = bootstrap(
        lambda weights: {name: float(np.average(each, weights=weights)) for name, each in errors.items()}, customers
    )
    found: dict[str, Any] = {}
    for name, each in curves.items():
        prefix = "" if name == "ours" else f"{name}_"
        waits = expected_wait(each)
        found |= {
            f"{prefix}ibs": rounded(float(errors[name].mean())),
            f"{prefix}concordance": rounded(concordance(waits, seen)),
            f"{prefix}uno_concordance": rounded(concordance(waits, seen, weighted=True)),
            f"{prefix}mean_at_end": rounded(float(each[:, -1].mean())),
        }
        if prefix:
            gap = float((errors["ours"] - errors[name]).mean())
            lead = difference("ibs", gap, resampled["ours"] - resampled[name])
            found |= {f"{prefix}difference": lead["value"], f"{prefix}standard_error": lead["standard_error"]}
    return found | {"ibs_95": interval(resampled["ours"]), "observed_at_end": rounded(float(status[:, -1].mean()))}


def _status(snapshots: Snapshots) -> NDArray[np.float32]:
    return TASK.targets(FeatureTable(tuple(map(str, snapshots.customer)), {TASK.label: snapshots.wait}))
