"""Evidence and manifests of training runs that never were: synthetic, seeded, and like those of real ones."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from training.evaluation.evaluation_data import EvaluationData
from training.tasks.registry import TASKS

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEATURES = ("days_since_last", "transaction_count", "revenue", "avg_transaction_value", "items", "cancellations")
LATER = np.datetime64("2011-09-09")
OFFERS = 8


def evidence(task: str, rows: int = 1200, **changes: Any) -> EvaluationData:
    """What a run of a task knows of itself; a test names what it is about."""
    made = {"churn": _churn, "ltv": _ltv, "nbo": _nbo}[task](rows)
    return replace(made, **changes)


def manifest(task: str, **changes: Any) -> dict[str, Any]:
    """The manifest of a promoted model."""
    made = {
        "format": 1,
        "name": task,
        "version": f"{task}-20110610-5ea3b13e",
        "parent": f"{task}-20110510-0c0ffee0",
        "method": "additive net on piecewise-linear encoding",
        "features": list(FEATURES),
        "outputs": OFFERS if task == "nbo" else 1,
        "training": {
            "rows": 4905,
            "dates": ["2011-05-31", "2011-06-10"],
            "seed": 1,
            "split": f"evaluated on rows dated {LATER} or later, trained on earlier ones",
            "evaluation": {"rows": 1200, "dates": [str(LATER)]},
            "data_sha256": "19401e2b89a2aa2cef7005ded0ac79f1cbe4b91cd3ad131bdb2f5df5ae860ab1",
            "warnings": [],
        },
        "metrics": {},
        "gates": [
            gate("enough_data"),
            gate("beats_recency_rule", figure=0.081, sentence="Beats the recency rule by .081 AUC."),
            gate("stable_across_cutoffs"),
        ],
        "limits": ["Inputs are clamped to the range seen in training."],
        "files": {"model.tflite": "5ea3b13e23dccd4759d0fa548b815ef2b3e87d91fb03f923a95c4975be20f79d"},
        "libraries": {"python": "3.11.7", "tensorflow": "2.21.0"},
    }
    return {**made, **changes}


def gate(name: str, *, passed: bool | None = True, **changes: Any) -> dict[str, Any]:
    """One gate and its verdict."""
    return {"name": name, "passed": passed, "figure": 4905, "against": 1000, "sentence": f"About {name}.", **changes}


def _churn(rows: int) -> EvaluationData:
    generator = np.random.default_rng(1)
    inputs = _inputs(generator, rows)
    truth = 0.014 * inputs[:, 0] - 1.3 * np.log1p(inputs[:, 1]) + 0.4 * inputs[:, 5] + 0.3
    outcome = (generator.random(rows) < _chance(truth)).astype(np.float32)
    scores = {
        name: _chance(truth * weight + generator.normal(0, noise, rows))
        for name, weight, noise in (
            ("model", 1.0, 0.3),
            ("gradient_boosting", 1.1, 0.35),
            ("logistic_regression", 0.9, 0.6),
            ("rfm", 0.6, 0.9),
            ("champion", 0.9, 0.5),
        )
    }
    scores["recency_rule"] = inputs[:, 0] / (inputs[:, 0] + 45)
    scores["constant"] = np.full(rows, outcome.mean())
    return _assemble("churn", inputs, outcome[:, None], {name: each[:, None] for name, each in scores.items()})


def _ltv(rows: int) -> EvaluationData:
    generator = np.random.default_rng(2)
    inputs = _inputs(generator, rows)
    expected = 0.6 * inputs[:, 2] * _chance(2 - 0.02 * inputs[:, 0])
    buys = generator.random(rows) < _chance(1.6 - 0.02 * inputs[:, 0])
    outcome = np.where(buys, expected * generator.lognormal(0, 0.7, rows), 0.0)
    scores = {
        "model": expected * generator.lognormal(0, 0.1, rows),
        "past_spend": inputs[:, 2] / 2,
        "tweedie": expected * generator.lognormal(0, 0.3, rows),
        "constant": np.full(rows, outcome.mean()),
        "champion": expected * generator.lognormal(0, 0.25, rows),
    }
    interval = np.stack([scores["model"] * 0.05, scores["model"] * 2.4], axis=1).astype(np.float32)
    made = _assemble("ltv", inputs, outcome[:, None], {name: each[:, None] for name, each in scores.items()})
    return replace(made, interval=interval)


def _nbo(rows: int) -> EvaluationData:
    generator = np.random.default_rng(3)
    inputs = _inputs(generator, rows)
    taste = generator.normal(0, 0.5, (len(FEATURES), OFFERS))
    standard = (inputs - np.nanmean(inputs, axis=0)) / (np.nanstd(inputs, axis=0) + 1e-9)
    truth = _chance(standard @ taste * 0.6 - 2 + np.linspace(0.4, -0.4, OFFERS))
    logged = np.tile(np.linspace(1.6, 0.4, OFFERS) / OFFERS, (rows, 1))
    shown = (generator.random((rows, 1)) > logged.cumsum(axis=1)).sum(axis=1).clip(max=OFFERS - 1)
    outcome = np.full((rows, OFFERS), -1.0)
    outcome[np.arange(rows), shown] = generator.random(rows) < truth[np.arange(rows), shown]
    scores = {
        "model": _chance(np.log(truth / (1 - truth)) + generator.normal(0, 0.3, truth.shape)),
        "gradient_boosting": _chance(np.log(truth / (1 - truth)) + generator.normal(0, 0.5, truth.shape)),
        "constant": np.tile(truth.mean(axis=0), (rows, 1)),
    }
    made = _assemble("nbo", inputs, outcome, scores)
    dates = LATER + 10 * generator.integers(0, 4, rows).astype("timedelta64[D]")
    return replace(made, propensities=logged[np.arange(rows), shown], dates=np.sort(dates))


def _assemble(
    task: str, inputs: NDArray[np.float64], outcome: NDArray[Any], scores: dict[str, NDArray[Any]]
) -> EvaluationData:
    as_float32 = {name: each.astype(np.float32) for name, each in scores.items()}
    model = as_float32.pop("model")
    curve = np.linspace(0, 200, 30)
    return EvaluationData(
        task=TASKS[task].sized(outcome.shape[1]),
        outcome=outcome.astype(np.float32),
        scores=model,
        baselines=as_float32,
        interval=None,
        propensities=np.full(len(inputs), np.nan),
        customer_ids=tuple(f"customer-{number}" for number in range(len(inputs))),
        dates=np.full(len(inputs), LATER),
        training_inputs=inputs.astype(np.float32),
        training_scores=model,
        later_inputs=inputs.astype(np.float32),
        features=FEATURES,
        importance=dict(zip(FEATURES, (0.11, 0.06, 0.02, 0.004, 0.0, -0.001), strict=True)),
        shapes={
            name: (curve * (step + 1), np.tanh(curve / 90 - 0.5) / (step + 1)) for step, name in enumerate(FEATURES)
        },
        folds={"2011-05-31": 0.741, "2011-06-10": 0.734, "2011-07-10": 0.748, str(LATER): 0.739},
    )


def _inputs(generator: np.random.Generator, rows: int) -> NDArray[np.float64]:
    orders = 1 + generator.poisson(2.5, rows)
    average = generator.lognormal(5.5, 0.8, rows)
    columns = (
        generator.exponential(45, rows).round(),
        orders,
        orders * average,
        average,
        orders * generator.poisson(60, rows),
        generator.poisson(0.3, rows),
    )
    return np.stack(columns, axis=1).astype(np.float64)


def _chance(logit: NDArray[Any]) -> NDArray[np.float64]:
    chance: NDArray[np.float64] = 1 / (1 + np.exp(-logit))
    return chance
