"""Hillstrom's e-mail challenge (2008): 64,000 customers, no e-mail, men's or women's at random; did they visit?

Three questions. Does an order by uplift find those whom the women's e-mail moves, better than a model of who
responds? And do the gates refuse to personalise among the three arms, where the men's e-mail for all
earns as much? And what does the task `uplift` earn with each of the e-mails (hillstrom_uplift.py)?
"""

from __future__ import annotations

import csv
import gzip
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from benchmarks.quality.errors import require
from benchmarks.quality.hillstrom_uplift import measure_uplift
from training.evaluation.baselines import BaselineRows, scale
from training.evaluation.evaluation_data import EvaluationData
from training.evaluation.gates import evaluate_gates, promotable
from training.evaluation.metrics import evaluate
from training.evaluation.off_policy import compare_policies, read_log
from training.evaluation.ranking import Ranking
from training.evaluation.thresholds import GateThresholds
from training.evaluation.uplift import Experiment, fit_uplift, qini
from training.tasks.registry import TASKS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

ARMS = ("No E-Mail", "Mens E-Mail", "Womens E-Mail")
NUMBERS = ("recency", "history", "mens", "womens", "newbie")
CATEGORIES = {"zip_code": ("Rural", "Surburban", "Urban"), "channel": ("Phone", "Web", "Multichannel")}
SPLITS = 10


@dataclass(frozen=True, slots=True)
class Customers:
    """Shape [rows, features], the arm by number, whether they visited, and what they spent."""

    inputs: NDArray[np.float32]
    arm: NDArray[np.int64]
    visit: NDArray[np.float32]
    spend: NDArray[np.float64]

    def take(self, chosen: NDArray[np.bool_]) -> Customers:
        """Return the customers where `chosen` is true."""
        return Customers(self.inputs[chosen], self.arm[chosen], self.visit[chosen], self.spend[chosen])


def measure(data: Path) -> dict[str, Any]:
    """Return the uplift of the women's e-mail and the gain of personalising over ten random halves.

    The gates are those of the first half, with every baseline and interval.
    """
    customers = read(require(data / "hillstrom.csv.gz"))
    halves = [np.random.default_rng(seed).random(len(customers.arm)) < 1 / 2 for seed in range(SPLITS)]
    uplift = np.array([compare_orders(customers.take(half), customers.take(~half)) for half in halves])
    policies = [value_personalising(customers.take(half), customers.take(~half)) for half in halves]
    gaps = [policy["difference_to_constant"] for policy in policies]
    evidence = collect(customers.take(halves[0]), customers.take(~halves[0]))
    gates = evaluate_gates(evidence, evaluate(evidence))
    return {
        "customers": len(customers.arm),
        "splits": SPLITS,
        "qini_t_learner": _mean(uplift[:, 0]),
        "qini_t_learner_sd": round(float(uplift[:, 0].std(ddof=1)), 4),
        "qini_response_model": _mean(uplift[:, 1]),
        "personalised_minus_constant": _mean([gap["value"] for gap in gaps]),
        "personalised_minus_constant_error": _mean([gap["standard_error"] for gap in gaps]),
        "best_constant_arms": sorted({ARMS[policy["best_constant_offer"]["offer_id"] - 1] for policy in policies}),
        "effective_rows": round(_mean([policy["model"]["effective_rows"] for policy in policies])),
        "splits_in_favour": sum(gap["interval_95"][0] > 0 for gap in gaps),
        "promoted": promotable(gates),
        "gates": [asdict(gate) for gate in gates],
        "uplift": measure_uplift(customers.take(halves[0]), customers.take(~halves[0])),
    }


def read(path: Path) -> Customers:
    """Read the file: numbers as they are, categories as 0 and 1 each."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    one_hot = [(name, value) for name, values in CATEGORIES.items() for value in values]
    inputs = [
        [*(float(row[name]) for name in NUMBERS), *(float(row[name] == value) for name, value in one_hot)]
        for row in rows
    ]
    arm = [ARMS.index(row["segment"]) for row in rows]
    visit = [float(row["visit"]) for row in rows]
    spend = np.array([float(row["spend"]) for row in rows])
    return Customers(np.array(inputs, dtype=np.float32), np.array(arm), np.array(visit, dtype=np.float32), spend)


def compare_orders(earlier: Customers, later: Customers) -> tuple[float, float]:
    """Return the Qini coefficient of the women's e-mail by a T-learner, and by a model of who visits."""
    earlier, later = (each.take(each.arm != ARMS.index("Mens E-Mail")) for each in (earlier, later))
    treated, later_treated = (each.arm == ARMS.index("Womens E-Mail") for each in (earlier, later))
    experiment, once = Experiment.of(later_treated, later.visit), np.ones(len(later.arm))
    uplift = fit_uplift(earlier.inputs, treated, earlier.visit, later.inputs)
    response = predict_visit(earlier, later)
    return qini(Ranking.of(uplift), experiment, once), qini(Ranking.of(response), experiment, once)


def value_personalising(earlier: Customers, later: Customers) -> dict[str, Any]:
    """Return the value of the best scored arm, one logistic regression per arm, and of each arm for all."""
    scores = [predict_visit(earlier.take(earlier.arm == arm), later) for arm in range(len(ARMS))]
    log, _ = read_log(_targets(later), _propensities(later), _ids(later))
    return compare_policies(np.stack(scores, axis=1), log, GateThresholds())


def predict_visit(earlier: Customers, later: Customers) -> NDArray[np.float64]:
    """Return the probability of a visit by a logistic regression, shape [later customers]."""
    linear, later_linear = scale(earlier.inputs, later.inputs)
    probabilities: NDArray[np.float64] = (
        LogisticRegression(max_iter=1000).fit(linear, earlier.visit).predict_proba(later_linear)
    )
    return probabilities[:, 1]


def collect(earlier: Customers, later: Customers) -> EvaluationData:
    """Return what a run of next best offer among the three arms would know; logistic regression is its model."""
    columns = tuple(f"feature_{i}" for i in range(earlier.inputs.shape[1]))
    task = TASKS["nbo"].sized(len(ARMS))
    fit = partial(BaselineRows, earlier.inputs, _targets(earlier))
    baselines = task.fit_baselines(fit(later.inputs, columns))
    return EvaluationData(
        task=task,
        outcome=_targets(later),
        scores=baselines["logistic_regression"],
        baselines=baselines,
        interval=None,
        propensities=_propensities(later),
        customer_ids=_ids(later),
        dates=np.full(len(later.arm), "NaT", dtype="datetime64[D]"),
        training_inputs=earlier.inputs,
        training_scores=task.fit_baselines(fit(earlier.inputs, columns))["logistic_regression"],
        later_inputs=later.inputs,
        features=columns,
    )


def _targets(customers: Customers) -> NDArray[np.float32]:
    targets = np.full((len(customers.arm), len(ARMS)), -1, dtype=np.float32)
    targets[np.arange(len(customers.arm)), customers.arm] = customers.visit
    return targets


def _propensities(customers: Customers) -> NDArray[np.float64]:
    return np.full(len(customers.arm), 1 / len(ARMS))


def _ids(customers: Customers) -> tuple[str, ...]:
    return tuple(str(number) for number in range(len(customers.arm)))


def _mean(values: Sequence[float] | NDArray[np.float64]) -> float:
    return round(float(np.mean(values)), 4)
