"""Churn and spend of a shop's customers, learned at earlier cut-offs and measured at a later one.

A customer is a row when a purchase falls into the 180 days before the cut-off; churned is who makes none in
the 90 days from it, and spend is what is spent in them. No training window reaches the test cut-off.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal
from zlib import crc32

import numpy as np

from benchmarks.quality.rivals import boost_chances, boost_spend, fit_logistic, fit_tweedie
from benchmarks.quality.selection import OPTIONS, SEED, Inner, choose
from benchmarks.quality.serving import serve
from features.table import FeatureTable
from models.rules import churn_rule
from training import classification, values
from training.fit import conform, fit
from training.nets import assemble
from training.snapshots import Windows, take_snapshots

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.snapshots import Orders, Snapshots

COVERAGE = 0.8
INNER_PARTS = 4
WINDOWS = Windows(observation=180, prediction=90)


@dataclass(frozen=True, slots=True)
class Shop:
    """Orders and the days to learn and measure at.

    Attributes:
        orders: all of them.
        cut_offs: to learn at, ascending.
        test: to measure at.
        chosen_by: how training rows are split to choose by: the last cut-off, or customers where the windows
            of the cut-offs overlap so much that the last says nothing new.
    """

    orders: Orders
    cut_offs: tuple[str, ...]
    test: str
    chosen_by: Literal["last cut-off", "customers"]


@dataclass(frozen=True, slots=True)
class Rows:
    """Inputs of the earlier and the later cut-offs, and which earlier rows to choose by."""

    earlier: Snapshots
    later: Snapshots
    inner: NDArray[np.bool_]
    inputs: NDArray[np.float32]
    later_inputs: NDArray[np.float32]


def measure_shop(shop: Shop) -> dict[str, Any]:
    """Return the figures of churn and, beginning with `ltv_`, of spend."""
    rows = snapshot(shop)
    return {
        "cut_offs": list(shop.cut_offs),
        "test": shop.test,
        "rows": len(rows.earlier),
        "test_rows": len(rows.later),
        "rate": round(float(rows.earlier.churned.mean()), 4),
        "test_rate": round(float(rows.later.churned.mean()), 4),
        **measure_churn(rows),
        **{f"ltv_{name}": figure for name, figure in measure_spend(rows).items()},
    }


def snapshot(shop: Shop) -> Rows:
    """Return the rows to learn from and to measure on."""
    earlier = take_snapshots(shop.orders, np.array(shop.cut_offs, dtype="datetime64[D]"), WINDOWS)
    later = take_snapshots(shop.orders, np.array([shop.test], dtype="datetime64[D]"), WINDOWS)
    if shop.chosen_by == "last cut-off":
        inner = earlier.cut_off == earlier.cut_off.max()
    else:
        inner = np.array([crc32(str(customer).encode()) % INNER_PARTS == 0 for customer in earlier.customer])
    return Rows(earlier, later, inner, _inputs(earlier), _inputs(later))


def measure_churn(rows: Rows) -> dict[str, Any]:
    """Return AUC, calibration and the differences to what a model must beat."""
    targets = rows.earlier.churned[:, None].astype(np.float32)
    method = choose(Inner.of(rows.inputs, targets, rows.inner)).method
    trained = fit(rows.inputs, targets, method=method, seed=SEED, options=OPTIONS)
    (served,) = serve([(trained, rows.later_inputs)])
    boosted = boost_chances(rows.inputs, rows.earlier.churned, rows.later_inputs)
    customers = tuple(str(customer) for customer in rows.later.customer)
    simple: dict[str, NDArray[Any]] = {
        "logistic_regression": fit_logistic(rows.inputs, rows.earlier.churned, rows.later_inputs),
        "recency_rule": churn_rule(FeatureTable(customers, rows.later.features))[:, 0],
    }
    found = classification.compare(served.scores[:, 0], simple | boosted, rows.later.churned, customers)
    rivals = found["baselines"]
    best = max(boosted, key=lambda name: rivals[name]["auc"])
    return {
        **{name: found["model"][name] for name in ("auc", "auc_95", "brier", "ece")},
        "difference": rivals[best]["difference"]["value"],
        "standard_error": rivals[best]["difference"]["standard_error"],
        "lightgbm": best,
        "lightgbm_auc": rivals[best]["auc"],
        "lightgbm_brier": rivals[best]["brier"],
        **{f"{name}_auc": rivals[name]["auc"] for name in simple},
        "method": method,
        "export_difference": served.difference,
        "bytes": served.size,
    }


def measure_spend(rows: Rows) -> dict[str, Any]:
    """Return R2, plain and winsorised, coverage of the interval, and the differences."""
    targets = rows.earlier.spend[:, None].astype(np.float32)
    inner = Inner.of(rows.inputs, targets, rows.inner)
    choice = choose(inner, head="zero_inflated_lognormal", interval=COVERAGE)
    trained = fit(
        rows.inputs,
        targets,
        head="zero_inflated_lognormal",
        method=choice.method,
        seed=SEED,
        interval=COVERAGE,
        options=OPTIONS,
    )
    _, widening = conform(choice.trained, inner.later_inputs, inner.later_targets, COVERAGE)
    model = assemble(trained.net, trained.head, trained.preprocessing, widening)
    (served,) = serve([(replace(trained, model=model), rows.later_inputs)])
    return _describe_spend(rows, served.scores) | {
        "method": choice.method,
        "export_difference": served.difference,
        "bytes": served.size,
    }


def _describe_spend(rows: Rows, scores: NDArray[np.float32]) -> dict[str, Any]:
    boosted = boost_spend(rows.inputs, rows.earlier.spend, rows.later_inputs)
    # At the old rate: half of what was spent in twice the time.
    past = rows.later.features[f"revenue_{WINDOWS.observation}d"] * WINDOWS.prediction / WINDOWS.observation
    simple = {"past_spend": past, "tweedie": fit_tweedie(rows.inputs, rows.earlier.spend, rows.later_inputs)}
    customers = [str(customer) for customer in rows.later.customer]
    found = values.compare(scores[:, 0], simple | boosted, rows.later.spend, customers)
    rivals = found["baselines"]
    best = max(boosted, key=lambda name: rivals[name]["r2"])
    covered = values.cover(scores[:, 1:], rows.later.spend)
    return {
        **{name: found["model"][name] for name in ("r2", "r2_95", "r2_winsorised", "spearman", "gini", "total_ratio")},
        "lightgbm": best,
        **{f"lightgbm_{name}": rivals[best][name] for name in ("r2", "r2_winsorised")},
        "difference_winsorised": rivals[best]["difference"]["value"],
        "standard_error_winsorised": rivals[best]["difference"]["standard_error"],
        **{f"{name}_{figure}": rivals[name][figure] for name in simple for figure in ("r2", "r2_winsorised")},
        "interval": COVERAGE,
        "coverage": covered["coverage"],
        "interval_width": covered["mean_width"],
    }


def _inputs(snapshots: Snapshots) -> NDArray[np.float32]:
    return np.stack(list(snapshots.features.values()), axis=1).astype(np.float32)
