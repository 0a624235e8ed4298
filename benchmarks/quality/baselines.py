"""LightGBM, as strong as a few usual settings make it, and linear models.

Each setting is fitted on what our nets are fitted on, and the one that does best on the test rows is the rival:
it is given what we do not give ourselves.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import lightgbm
from sklearn.linear_model import LogisticRegression, TweedieRegressor

from training.evaluation.baselines import scale

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

ALWAYS: dict[str, Any] = {
    "n_jobs": 2,
    "deterministic": True,
    "force_row_wise": True,
    "random_state": 0,
    "verbose": -1,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "library defaults": {},
    "200 trees of 7 leaves": {"n_estimators": 200, "learning_rate": 0.03, "num_leaves": 7},
    "400 trees of 4 leaves": {
        "n_estimators": 400,
        "learning_rate": 0.03,
        "num_leaves": 4,
        "subsample": 0.8,
        "subsample_freq": 1,
        "colsample_bytree": 0.5,
    },
}


def boost_probabilities(
    inputs: NDArray[Any], outcome: NDArray[Any], later: NDArray[Any], categories: Sequence[int] = ()
) -> dict[str, NDArray[np.float64]]:
    """Return probabilities of the later rows by setting, shape [rows]; inputs of shape [rows, features]."""
    scores = {}
    for name, setting in SETTINGS.items():
        model = lightgbm.LGBMClassifier(**ALWAYS, **setting)
        model.fit(inputs, outcome, categorical_feature=list(categories))
        scores[name] = _quietly(model.predict_proba, later)[:, 1]
    return scores


def boost_spend(inputs: NDArray[Any], spend: NDArray[Any], later: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
    """Return expected spend of the later rows by setting, from a Tweedie objective."""
    scores = {}
    for name, setting in SETTINGS.items():
        model = lightgbm.LGBMRegressor(objective="tweedie", **ALWAYS, **setting).fit(inputs, spend)
        scores[name] = _quietly(model.predict, later)
    return scores


def fit_logistic(
    inputs: NDArray[Any], outcome: NDArray[Any], later: NDArray[Any], categories: Sequence[int] = ()
) -> NDArray[np.float64]:
    """Return probabilities of the later rows by logistic regression, shape [rows]; nulls and skew are seen to."""
    earlier, scaled = scale(inputs, later, categories)
    probabilities: NDArray[np.float64] = (
        LogisticRegression(max_iter=1000).fit(earlier, outcome).predict_proba(scaled)[:, 1]
    )
    return probabilities


def fit_tweedie(inputs: NDArray[Any], spend: NDArray[Any], later: NDArray[Any]) -> NDArray[np.float64]:
    """Return expected spend of the later rows by a Tweedie GLM of power 1.5, shape [rows]."""
    earlier, scaled = scale(inputs, later)
    mean = float(spend.mean())
    model = TweedieRegressor(power=1.5, alpha=1e-3, link="log", max_iter=2000).fit(earlier, spend / mean)
    expected: NDArray[np.float64] = mean * model.predict(scaled)
    return expected


def _quietly(predict: Any, later: NDArray[Any]) -> NDArray[Any]:
    with warnings.catch_warnings():
        # LightGBM names its features itself and then misses the names in an array.
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        scores: NDArray[Any] = predict(later)
    return scores
