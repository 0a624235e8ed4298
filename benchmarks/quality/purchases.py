"""Churn and spend of a shop's customers, learned at earlier cut-offs and measured at a later one.

A customer is a row when a purchase falls into the 180 days before the cut-off; churned is who makes none in
the 90 days from it, and spend is what is spent in them. No training window reaches the test cut-off. Features
are those of `training.data.point_in_time`, which know nothing before the 180 days but the first purchase; purchases and
revenue to date are added where churn on the inner rows says that they help.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal
from zlib import crc32

import numpy as np

from benchmarks.quality.baselines import boost_probabilities, boost_spend, fit_logistic, fit_tweedie
from benchmarks.quality.confidence import measure_confidence
from benchmarks.quality.selection import Rows, choose
from benchmarks.quality.serving import serve
from features.table import FeatureTable
from models.rules import churn_rule
from training.data.point_in_time import Windows, take_snapshots
from training.evaluation import classification
from training.evaluation import regression as values
from training.evaluation.selection_metrics import compare
from training.nets.architecture import assemble
from training.nets.fit import conform

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmarks.quality.selection import Recipe
    from training.data.point_in_time import Orders, Snapshots
    from training.nets.fit import Trained

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
class Learning:
    """What is learned from and measured on.

    Attributes:
        earlier, later: the snapshots.
        folds: of the earlier rows, to choose by.
        inputs, later_inputs: shape [rows, features].
        history: whether purchases and revenue to date are among the features.
    """

    earlier: Snapshots
    later: Snapshots
    folds: list[NDArray[np.bool_]]
    inputs: NDArray[np.float32]
    later_inputs: NDArray[np.float32]
    history: bool

    @property
    def churn(self) -> Rows:
        """The earlier rows with who churned."""
        return Rows(self.inputs, self.earlier.churned[:, None].astype(np.float32))

    @property
    def spend(self) -> Rows:
        """The earlier rows with what was spent."""
        return Rows(self.inputs, self.earlier.spend[:, None].astype(np.float32))


def measure_shop(shop: Shop) -> dict[str, Any]:
    """Return the figures of churn and, beginning with `ltv_`, of spend."""
    window, history = learn_from(shop, history=False), learn_from(shop, history=True)
    choices = [choose(each.churn, each.folds) for each in (window, history)]
    improves = compare(choices[1].losses, choices[0].losses).clear
    chosen = history if improves else window
    found = {
        "cut_offs": list(shop.cut_offs),
        "test": shop.test,
        "rows": len(chosen.earlier),
        "test_rows": len(chosen.later),
        "rate": round(float(chosen.earlier.churned.mean()), 4),
        "test_rate": round(float(chosen.later.churned.mean()), 4),
        "history": improves,
        **measure(chosen, choices[int(improves)].recipe),
    }
    return found | {"window_only": measure(window, choices[0].recipe)} if improves else found


def measure(rows: Learning, recipe: Recipe) -> dict[str, Any]:
    """Return the figures of churn, by the recipe, and of spend."""
    spend = {f"ltv_{name}": figure for name, figure in measure_spend(rows).items()}
    return measure_churn(rows, recipe) | spend


def learn_from(shop: Shop, history: bool) -> Learning:
    """Return the rows to learn from and to measure on."""
    earlier = take_snapshots(shop.orders, np.array(shop.cut_offs, dtype="datetime64[D]"), WINDOWS)
    later = take_snapshots(shop.orders, np.array([shop.test], dtype="datetime64[D]"), WINDOWS)
    if shop.chosen_by == "last cut-off":
        folds = [earlier.cut_off == earlier.cut_off.max()]
    else:
        part = np.array([crc32(str(customer).encode()) % INNER_PARTS for customer in earlier.customer])
        folds = [part == each for each in range(INNER_PARTS)]
    inputs, later_inputs = (_inputs(each, shop.orders, history) for each in (earlier, later))
    return Learning(earlier, later, folds, inputs, later_inputs, history)


def measure_churn(rows: Learning, recipe: Recipe) -> dict[str, Any]:
    """Return AUC, calibration and the differences to what a model must beat."""
    served = serve(recipe.add_spread(recipe.fit(rows.churn), rows.churn), rows.later_inputs)
    matrix, later = np.hstack([served.scores, served.spread]), rows.later.churned[:, None].astype(np.float32)
    boosted = boost_probabilities(rows.inputs, rows.earlier.churned, rows.later_inputs)
    customers = tuple(str(customer) for customer in rows.later.customer)
    simple: dict[str, NDArray[Any]] = {
        "logistic_regression": fit_logistic(rows.inputs, rows.earlier.churned, rows.later_inputs),
        "recency_rule": churn_rule(FeatureTable(customers, rows.later.features))[:, 0],
    }
    found = classification.compare(served.scores[:, 0], simple | boosted, rows.later.churned, customers)
    baselines = found["baselines"]
    best = max(boosted, key=lambda name: baselines[name]["auc"])
    return {
        **{name: found["model"][name] for name in ("auc", "auc_95", "brier", "ece")},
        "difference": baselines[best]["difference"]["value"],
        "standard_error": baselines[best]["difference"]["standard_error"],
        "lightgbm": best,
        "lightgbm_auc": baselines[best]["auc"],
        "lightgbm_brier": baselines[best]["brier"],
        **{f"{name}_auc": baselines[name]["auc"] for name in simple},
        "method": recipe.describe(),
        "export_difference": served.difference,
        "bytes": served.size,
        **measure_confidence(recipe, rows.churn, rows.folds, matrix, Rows(rows.later_inputs, later)),
    }


def measure_spend(rows: Learning) -> dict[str, Any]:
    """Return R2, plain and winsorised, coverage of the interval, and the differences."""
    recipe = choose(rows.spend, rows.folds, likelihood="zero_inflated_lognormal", interval=COVERAGE).recipe
    measured = rows.spend.take(rows.folds[0])
    inner = recipe.fit(rows.spend.take(~rows.folds[0]))
    _, widening = conform(inner, measured.inputs, measured.targets, COVERAGE)

    def widen(trained: Trained) -> Trained:
        model = assemble(trained.net, trained.likelihood, trained.preprocessing, widening)
        return replace(trained, model=model)

    served = serve(widen(recipe.fit(rows.spend)), rows.later_inputs)
    later = Rows(rows.later_inputs, rows.later.spend[:, None].astype(np.float32))
    return _describe_spend(rows, served.scores) | {
        "method": recipe.describe(),
        "export_difference": served.difference,
        "bytes": served.size,
        **measure_confidence(recipe, rows.spend, rows.folds, served.scores, later, widen),
    }


def _describe_spend(rows: Learning, scores: NDArray[np.float32]) -> dict[str, Any]:
    boosted = boost_spend(rows.inputs, rows.earlier.spend, rows.later_inputs)
    # At the old rate: half of what was spent in twice the time.
    past = rows.later.features[f"revenue_{WINDOWS.observation}d"] * WINDOWS.prediction / WINDOWS.observation
    simple = {"past_spend": past, "tweedie": fit_tweedie(rows.inputs, rows.earlier.spend, rows.later_inputs)}
    customers = [str(customer) for customer in rows.later.customer]
    found = values.compare(scores[:, 0], simple | boosted, rows.later.spend, customers)
    baselines = found["baselines"]
    best = max(boosted, key=lambda name: baselines[name]["r2"])
    covered = values.cover(scores[:, 1:], rows.later.spend)
    return {
        **{name: found["model"][name] for name in ("r2", "r2_95", "r2_winsorised", "spearman", "gini", "total_ratio")},
        "lightgbm": best,
        **{f"lightgbm_{name}": baselines[best][name] for name in ("r2", "r2_winsorised")},
        "difference_winsorised": baselines[best]["difference"]["value"],
        "standard_error_winsorised": baselines[best]["difference"]["standard_error"],
        **{f"{name}_{figure}": baselines[name][figure] for name in simple for figure in ("r2", "r2_winsorised")},
        "interval": COVERAGE,
        "coverage": covered["coverage"],
        "interval_width": covered["mean_width"],
    }


def _inputs(snapshots: Snapshots, orders: Orders, history: bool) -> NDArray[np.float32]:
    features = list(snapshots.features.values())
    if history:
        features += _history(snapshots, orders.take(orders.amount > 0))
    return np.stack(features, axis=1).astype(np.float32)


def _history(snapshots: Snapshots, purchases: Orders) -> list[NDArray[np.float64]]:
    """Return the purchases of each row's customer before its cut-off: how many, and their sum."""
    count, total = np.zeros(len(snapshots)), np.zeros(len(snapshots))
    for cut_off in np.unique(snapshots.cut_off):
        before = purchases.take(purchases.day < cut_off)
        customers, place = np.unique(before.customer, return_inverse=True)
        rows = snapshots.cut_off == cut_off
        found = np.searchsorted(customers, snapshots.customer[rows])
        count[rows] = np.bincount(place)[found]
        total[rows] = np.bincount(place, before.amount)[found]
    return [count, total]
