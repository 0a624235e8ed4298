"""Open Bandit Dataset, small release, men (Saito et al. 2020): what would showing items evenly have earned?

Two logs of the same days: one by Thompson sampling, from which it is estimated, and one that did show items
evenly, which gives the true value. It was worth few rows, so the answer must be that there is not enough evidence.
"""

from __future__ import annotations

import csv
import gzip
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from benchmarks.quality.errors import require
from training.evaluation.off_policy import check_evidence, effective_rows_needed, read_log, value_policy
from training.evaluation.thresholds import GateThresholds

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from training.evaluation.off_policy import OfferLog

ITEMS = 34
POSITIONS = 3
FOLDS = 2
USER_FEATURES = tuple(f"user_feature_{i}" for i in range(4))


@dataclass(frozen=True, slots=True)
class Log:
    """Users as 0 and 1 of each of their features, the item shown, its place from 0, its propensity, the click."""

    users: NDArray[np.float64]
    item: NDArray[np.int64]
    place: NDArray[np.int64]
    propensity: NDArray[np.float64]
    click: NDArray[np.float64]


def measure(data: Path) -> dict[str, Any]:
    """Return the value of the uniform policy from the other policy's log, the truth, and the verdict."""
    logged, even = (read(require(data / f"obd_{name}_men.csv.gz")) for name in ("bts", "random"))
    outcome = np.full((len(logged.item), ITEMS), -1.0)
    outcome[np.arange(len(logged.item)), logged.item] = logged.click
    log, rows = read_log(outcome, logged.propensity, [str(number) for number in range(len(logged.item))])
    found = value_policy(np.full((len(rows), ITEMS), 1 / ITEMS), expect(logged)[rows], log)
    rate, thresholds = float(log.reward.mean()), GateThresholds()
    evidence = check_evidence(found.effective_rows, rate, count(log), thresholds)
    return {
        "truth": round(float(even.click.mean()), 4),
        "logged": round(rate, 4),
        **{name: found.describe()[name] for name in ("ips", "ips_error", "snips", "snips_error", "dr", "dr_error")},
        "ess": round(found.effective_rows),
        "ess_needed": round(effective_rows_needed(rate, thresholds)),
        "rows": len(rows),
        "propensities_zero": log.zero,
        **evidence,
    }


def read(path: Path) -> Log:
    """Read one of the two logs."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    values = [(name, value) for name in USER_FEATURES for value in sorted({row[name] for row in rows})]
    return Log(
        users=np.array([[float(row[name] == value) for name, value in values] for row in rows]),
        item=np.array([int(row["item_id"]) for row in rows]),
        place=np.array([int(row["position"]) - 1 for row in rows]),
        propensity=np.array([float(row["propensity_score"]) for row in rows]),
        click=np.array([float(row["click"]) for row in rows]),
    )


def expect(log: Log) -> NDArray[np.float64]:
    """Return the click rate predicted for each item, shape [rows, items], by a model of the other half of the rows."""
    fold = np.random.default_rng(0).integers(0, FOLDS, len(log.item))
    places, items = np.eye(POSITIONS)[log.place], np.eye(ITEMS)
    expected = np.empty((len(log.item), ITEMS))
    for held_out in range(FOLDS):
        fitted, scored = fold != held_out, fold == held_out
        shown = np.hstack([log.users, places, items[log.item]])
        model = LogisticRegression(max_iter=1000).fit(shown[fitted], log.click[fitted])
        # The log-odds are a sum, so those of each item are added to the rest: 34 predictions for one.
        of_item = model.coef_[0, -ITEMS:]
        rest = model.decision_function(shown[scored]) - of_item[log.item[scored]]
        expected[scored] = 1 / (1 + np.exp(-(rest[:, None] + of_item)))
    return expected


def count(log: OfferLog) -> dict[str, int]:
    """Return how many rows could be used, and how many not."""
    return {"used": len(log.reward), "propensity_not_logged": log.not_logged, "propensity_zero": log.zero}
