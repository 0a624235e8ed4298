"""Baselines: simple scores fitted on the same earlier rows and measured on the same later ones.

None of them resamples or weights the classes. Oversampling before the split is what the published AUCs of .91
to .99 on Telco come from, and class weights wreck calibration without adding to AUC.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, TweedieRegressor
from threadpoolctl import threadpool_limits

from features.table import FeatureTable
from models.rfm import quintiles, rfm_columns
from models.rules import churn_rule, offers_rule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]

RFM_COLUMNS = ("days_since_last_transaction", "transaction_count", "total_revenue")
PAST_SPEND_COLUMNS = ("total_revenue", "lifetime_value")
SKEW_FOR_LOG = 1.5
SHRINKAGE_ROWS = 20.0
EVENTS_AT_LEAST = 10
VALIDATED_SHARE = 5
TREES_AT_MOST = 400
TREES_WITHOUT_GAIN = 20
TREES_WITHOUT_SPLIT = 100
TWEEDIE_POWER = 1.5
SMALLEST = 1e-30
LARGEST = 1e30


@dataclass(frozen=True, slots=True)
class BaselineRows:
    """Rows that baselines are fitted on and score.

    Attributes:
        inputs: shape [rows, features], the earlier rows, null is NaN.
        targets: shape [rows, outputs]: 1, 0, or -1 where not observed; or amounts.
        later_inputs: shape [later rows, features].
        columns: the warehouse column of each feature, by which the rules find it.
        customer_ids: shape [rows]; with them no customer is on both sides of boosting's inner split.
        seed: of boosting and of its inner split.
        categories: positions of the features that are codes; a code below 0 is another category.
    """

    inputs: Matrix
    targets: Matrix
    later_inputs: Matrix
    columns: Sequence[str]
    customer_ids: Sequence[str] = ()
    seed: int = 0
    categories: Sequence[int] = ()

    @property
    def earlier(self) -> FeatureTable:
        """The earlier rows as the rules read them."""
        return _table(self.inputs, self.columns)

    @property
    def later(self) -> FeatureTable:
        """The later rows as the rules read them."""
        return _table(self.later_inputs, self.columns)


def probability_baselines(rows: BaselineRows) -> dict[str, Matrix]:
    """Return constant, logistic_regression and gradient_boosting, fitted for each output by itself."""
    inputs, targets, later_inputs = rows.inputs, rows.targets, rows.later_inputs
    validated = _validated(len(inputs), rows.customer_ids, rows.seed)
    linear, linear_later = scale(inputs, later_inputs, rows.categories)
    shape = (len(later_inputs), targets.shape[1])
    # One thread: the same sums on every machine, and threads waiting for each other are slow on a busy one.
    with threadpool_limits(limits=1):
        scores = {
            "constant": np.broadcast_to(_rates(targets), shape),
            "logistic_regression": _each(targets, shape[0], lambda at, y: _logistic(linear[at], y, linear_later)),
            "gradient_boosting": _each(
                targets,
                shape[0],
                lambda at, y: _boosted(inputs[at], y, later_inputs, validated[at], _settings(rows, "log_loss")),
            ),
        }
    return {name: _float32(each) for name, each in scores.items()}


def fit_logistic(scores: NDArray[np.float64], targets: Matrix, later: NDArray[np.float64]) -> Matrix:
    """Return the probabilities that a logistic regression on one score gives later rows, shape [later rows, outputs].

    Args:
        scores: shape [rows, 1].
        targets: shape [rows, outputs]: 1, 0, or -1 where not observed.
        later: shape [later rows, 1].
    """
    linear, linear_later = scale(scores.astype(np.float32), later.astype(np.float32))
    with threadpool_limits(limits=1):
        return _float32(_each(targets, len(later), lambda at, y: _logistic(linear[at], y, linear_later)))


def scale(
    inputs: Matrix, later_inputs: Matrix, categories: Sequence[int] = ()
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return both matrices as a linear model wants them, by constants learned from the first alone.

    Median for null with a missing flag, clamped to the range seen, log1p where never negative and skewed by
    more than 1.5, then mean 0 and standard deviation 1. Of categories a column of 0 and 1 for each code seen.
    """
    columns = [
        (_one_hot if place in categories else _scale)(cells, later)
        for place, (cells, later) in enumerate(zip(inputs.T, later_inputs.T, strict=True))
    ]
    return np.hstack([earlier for earlier, _ in columns]), np.hstack([later for _, later in columns])


def _scale(cells: NDArray[Any], later: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    known = cells[np.isfinite(cells)].astype(np.float64)
    if not len(known):
        return np.zeros((len(cells), 0)), np.zeros((len(later), 0))
    low, high, median = known.min(), known.max(), float(np.median(known))
    spread = known.std()
    logged = low >= 0 and spread > 0 and ((known - known.mean()) ** 3).mean() / spread**3 > SKEW_FOR_LOG

    def prepare(column: NDArray[Any]) -> NDArray[np.float64]:
        missing = np.isnan(column)
        filled = np.clip(np.where(missing, median, column.astype(np.float64)), low, high)
        return np.stack([np.log1p(filled) if logged else filled, missing], axis=1)

    earlier = prepare(cells)
    mean, deviation = earlier.mean(axis=0), earlier.std(axis=0)
    varies = deviation > 0
    return tuple((each[:, varies] - mean[varies]) / deviation[varies] for each in (earlier, prepare(later)))


def _one_hot(cells: NDArray[Any], later: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    codes = np.unique(cells[cells >= 0])
    return tuple((each[:, None] == codes).astype(np.float64) for each in (cells, later))


def _table(inputs: Matrix, columns: Sequence[str]) -> FeatureTable:
    cells = {name: inputs[:, i].astype(np.float64) for i, name in enumerate(columns)}
    return FeatureTable(("",) * len(inputs), cells)


def _validated(rows: int, customer_ids: Sequence[str], seed: int) -> NDArray[np.bool_]:
    """Choose a fifth of the customers, or of the rows where they have none, to stop boosting by."""
    if len(customer_ids):
        digests = [crc32(f"{seed}:{each}".encode()) for each in customer_ids]
        chosen = np.asarray(digests, dtype=np.int64) % VALIDATED_SHARE
    else:
        chosen = np.random.default_rng(seed).integers(0, VALIDATED_SHARE, rows)
    validated: NDArray[np.bool_] = chosen == 0
    return validated


def _each(
    targets: Matrix, length: int, score: Callable[[NDArray[np.bool_], NDArray[Any]], NDArray[Any]]
) -> NDArray[np.float64]:
    """Score every output by a model of its own, or by its rate where it has few of either outcome."""
    scores = []
    for outcome, rate in zip(targets.T, _rates(targets), strict=True):
        rows = outcome >= 0
        fewest = np.bincount(outcome[rows].astype(np.int64), minlength=2).min()
        scores.append(score(rows, outcome[rows]) if fewest >= EVENTS_AT_LEAST else rate)
    return np.stack([np.broadcast_to(each, length) for each in scores], axis=1)


def _rates(targets: Matrix) -> NDArray[np.float64]:
    observed = targets >= 0
    positive = np.where(observed, targets, 0).sum(axis=0, dtype=np.float64)
    rates: NDArray[np.float64] = positive / np.maximum(observed.sum(axis=0), 1)
    return rates


def _logistic(inputs: NDArray[Any], outcome: NDArray[Any], later: NDArray[Any]) -> NDArray[Any]:
    probabilities: NDArray[Any] = LogisticRegression(max_iter=1000).fit(inputs, outcome).predict_proba(later)[:, 1]
    return probabilities


def _boosted(
    inputs: Matrix,
    outcome: NDArray[Any],
    later: Matrix,
    validated: NDArray[np.bool_],
    settings: dict[str, Any],
) -> NDArray[Any]:
    probabilities: NDArray[Any] = _boost(
        HistGradientBoostingClassifier, inputs, outcome.astype(np.int64), validated, settings
    ).predict_proba(later)[:, 1]
    return probabilities


def _settings(rows: BaselineRows, loss: str) -> dict[str, Any]:
    categories = list(rows.categories) or None
    return {
        "loss": loss,
        "learning_rate": 0.05,
        "max_leaf_nodes": 15,
        "random_state": rows.seed,
        "categorical_features": categories,
    }


def _boost(
    kind: Any, inputs: Matrix, outcome: NDArray[Any], validated: NDArray[np.bool_], settings: dict[str, Any]
) -> Any:
    """Fit boosting on all rows with as many trees as served the inner split best."""
    trees = TREES_WITHOUT_SPLIT
    if all(len(np.unique(outcome[part])) > 1 for part in (validated, ~validated)):
        trial = kind(**settings, max_iter=TREES_AT_MOST, early_stopping=True, n_iter_no_change=TREES_WITHOUT_GAIN)
        trial.fit(inputs[~validated], outcome[~validated], X_val=inputs[validated], y_val=outcome[validated])
        trees = max(1, int(np.argmax(trial.validation_score_)))
    return kind(**settings, max_iter=trees, early_stopping=False).fit(inputs, outcome)


def recency_baselines(rows: BaselineRows) -> dict[str, Matrix]:
    """Return recency_rule, and rfm, a scorecard; without the warehouse columns that each needs it is left out."""
    earlier, later = rows.earlier, rows.later
    found = {"recency_rule": churn_rule(later)} if RFM_COLUMNS[0] in earlier.columns else {}
    if set(RFM_COLUMNS) <= earlier.columns.keys():
        found["rfm"] = _scorecard(earlier, rows.targets[:, 0], later)
    return {name: _float32(each) for name, each in found.items()}


def _scorecard(earlier: FeatureTable, churned: NDArray[Any], later: FeatureTable) -> NDArray[Any]:
    """Return the churn rate of each (R, F, M), drawn to the rate of all by 20 rows' weight, shape [rows, 1]."""
    cuts = quintiles(earlier, earlier.columns["total_revenue"])
    observed = churned >= 0
    cell, later_cell = (_cells(rfm_columns(table, cuts)) for table in (earlier, later))
    rows = np.bincount(cell[observed], minlength=125)
    events = np.bincount(cell[observed], weights=churned[observed], minlength=125)
    rate = (events + SHRINKAGE_ROWS * churned[observed].mean()) / (rows + SHRINKAGE_ROWS)
    return np.asarray(rate[later_cell][:, None])


def _cells(scores: Mapping[str, NDArray[Any]]) -> NDArray[np.int64]:
    # Customers of whom nothing is known are in the cell of the lowest scores.
    digits = (np.nan_to_num(scores[f"rfm_{name}"], nan=1.0) - 1 for name in ("recency", "frequency", "monetary"))
    recency, frequency, monetary = digits
    cells: NDArray[np.int64] = (25 * recency + 5 * frequency + monetary).astype(np.int64)
    return cells


def offers_rule_baseline(rows: BaselineRows) -> dict[str, Matrix]:
    """Return offers_rule, the rule that serves without a model; empty without the warehouse columns it needs."""
    later = rows.later
    if not set(RFM_COLUMNS) <= later.columns.keys():
        return {}
    return {"offers_rule": offers_rule(later, rows.targets.shape[1])}


def amount_baselines(rows: BaselineRows) -> dict[str, Matrix]:
    """Return constant, tweedie (a GLM; 1 < power < 2 allows zeros) and gradient_boosting.

    Boosting has a Poisson loss: consistent for the mean whatever the distribution (Gneiting 2011), zeros
    allowed; scikit-learn's gamma loss allows none and it has no Tweedie loss. Spend is divided by its mean
    first, so that penalties mean the same in any currency.
    """
    spend = rows.targets[:, 0]
    mean = max(float(spend.mean()), SMALLEST)
    validated = _validated(len(spend), rows.customer_ids, rows.seed)
    linear, linear_later = scale(rows.inputs, rows.later_inputs, rows.categories)
    with threadpool_limits(limits=1):
        tweedie = TweedieRegressor(power=TWEEDIE_POWER, alpha=1e-3, link="log", max_iter=2000)
        tweedie.fit(linear, spend / mean)
        settings = _settings(rows, "poisson")
        boosted = _boost(HistGradientBoostingRegressor, rows.inputs, spend / mean, validated, settings)
        scores = {
            "constant": np.ones(len(rows.later_inputs)),
            "tweedie": tweedie.predict(linear_later),
            "gradient_boosting": boosted.predict(rows.later_inputs),
        }
    return {name: _float32(mean * each[:, None]) for name, each in scores.items()}


def past_spend_baseline(rows: BaselineRows) -> dict[str, Matrix]:
    """Return past_spend: past spend times the ratio of later to past spend in the earlier rows."""
    earlier, later = rows.earlier, rows.later
    name = next((each for each in PAST_SPEND_COLUMNS if each in earlier.columns), None)
    if name is None:
        return {}
    past, later_past = (np.clip(np.nan_to_num(table.columns[name]), 0, LARGEST) for table in (earlier, later))
    factor = float(rows.targets.sum(dtype=np.float64)) / max(float(past.sum()), SMALLEST)
    return {"past_spend": _float32(factor * later_past[:, None])}


def _float32(scores: NDArray[Any]) -> Matrix:
    return np.ascontiguousarray(scores, dtype=np.float32)
