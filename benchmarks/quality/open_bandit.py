"""Open Bandit Dataset, small release, men (Saito et al. 2020): what would showing items evenly have earned?

Two logs of the same days: one by Thompson sampling, from which it is estimated, and one that did show items
evenly, which gives the true value. It was worth few rows, so the answer must be that there is not enough evidence.

How often intervals cover is measured both ways, each log giving the truth for the other. A bootstrap of one log cannot
measure it: its draws scatter around that log's own estimate, however far that is from the truth. So each of 200 draws
takes a part of the rows without replacement, which is a log of its own, as far from the truth as chance puts it. The
truth is the mean of the whole other log; its own error (.0007 and .0008) counts against the intervals.
"""

from __future__ import annotations

import csv
import gzip
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from benchmarks.quality.errors import require
from training.evaluation.off_policy import (
    ENOUGH,
    Z_95,
    check_evidence,
    describe_gap,
    effective_rows_needed,
    read_log,
    standard_error,
    value_policy,
)
from training.evaluation.thresholds import GateThresholds

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from training.evaluation.off_policy import OfferLog

ITEMS = 34
POSITIONS = 3
FOLDS = 2
DRAWS = 200
ROWS_DRAWN = (2500, 5000)
SEVERAL = 2
USER_FEATURES = tuple(f"user_feature_{i}" for i in range(4))


@dataclass(frozen=True, slots=True)
class Log:
    """Users as 0 and 1 of each of their features, the item shown, its place from 0, its propensity, the click."""

    users: NDArray[np.float64]
    item: NDArray[np.int64]
    place: NDArray[np.int64]
    propensity: NDArray[np.float64]
    click: NDArray[np.float64]

    def take(self, rows: NDArray[np.int64]) -> Log:
        """Return some rows."""
        return Log(self.users[rows], self.item[rows], self.place[rows], self.propensity[rows], self.click[rows])

    def as_offers(self) -> tuple[OfferLog, NDArray[np.intp]]:
        """Return the rows as a log of offers, each of a customer of its own, and the positions of those used."""
        outcome = np.full((len(self.item), ITEMS), -1.0)
        outcome[np.arange(len(self.item)), self.item] = self.click
        return read_log(outcome, self.propensity, [str(number) for number in range(len(self.item))])


def measure(data: Path) -> dict[str, Any]:
    """Return the value of the uniform policy from the other policy's log, the truth, and the verdict."""
    logged, even = (read(require(data / f"obd_{name}_men.csv.gz")) for name in ("bts", "random"))
    log, rows = logged.as_offers()
    found = value_policy(_show_evenly(logged)[rows], expect(logged)[rows], log)
    rate, thresholds = float(log.reward.mean()), GateThresholds()
    evidence = check_evidence(found.effective_rows, rate, count(log), thresholds)
    return {
        "truth": round(float(even.click.mean()), 4),
        "logged": round(rate, 4),
        **{name: found.describe()[name] for name in ("ips", "ips_error", "snips", "snips_error", "dr", "dr_error")},
        "dr_95": found.describe()["interval_95"],
        "ess": round(found.effective_rows),
        "ess_needed": round(effective_rows_needed(rate, thresholds)),
        "rows": len(log.reward),
        "propensities_zero": log.zero,
        **evidence,
        "coverage": [
            cover(name, whole, policy, truth, rows)
            for name, whole, policy, truth in (
                ("evenly, from the log of Thompson sampling", logged, _show_evenly, even),
                ("Thompson sampling, from the log of even shows", even, _copy_shares(logged), logged),
            )
            for rows in ROWS_DRAWN
            if rows < len(whole.item)
        ],
    }


def cover(name: str, whole: Log, policy: Callable[[Log], NDArray[np.float64]], truth: Log, rows: int) -> dict[str, Any]:
    """Return how often the interval of a policy's value covers the truth, and how often a refusal was right.

    A policy is accepted if there is enough evidence and its difference to the log is above 0 beyond the noise.

    Args:
        name: of the policy and its log.
        whole: the log of which parts are drawn.
        policy: gives for a log the probability of each item, shape [rows, items].
        truth: the log of the policy itself.
        rows: in a part.
    """
    generator, value = np.random.default_rng(0), float(truth.click.mean())
    drawn = [_value(whole.take(generator.permutation(len(whole.item))[:rows]), policy) for _ in range(DRAWS)]
    known = [each for each in drawn if each is not None]
    covered, plain, enough, better = (
        np.array(column) for column in zip(*(each.judge(value) for each in known), strict=True)
    )
    refused = ~(enough & better)
    return {
        "policy": name,
        "rows": rows,
        "draws": len(known),
        "covered": round(float(covered.mean()), 3),
        "covered_by_observed_error": round(float(plain.mean()), 3),
        "with_enough_evidence": int(enough.sum()),
        "covered_with_enough_evidence": round(float(covered[enough].mean()), 3) if enough.any() else None,
        "refused": int(refused.sum()),
        "refused_and_not_better": int(refused.sum()) if value <= float(whole.click.mean()) else 0,
    }


@dataclass(frozen=True, slots=True)
class Valued:
    """The value of a policy from a part of a log: estimate, observed error, interval, evidence and difference."""

    value: float
    observed_error: float
    interval: tuple[float, float]
    enough: bool
    better: bool

    def judge(self, truth: float) -> tuple[bool, bool, bool, bool]:
        """Return whether the interval covers, and that of the observed error; evidence, and whether it is better."""
        low, high = self.interval
        near = abs(self.value - truth) <= Z_95 * self.observed_error
        return low <= truth <= high, near, self.enough, self.better


def _value(part: Log, policy: Callable[[Log], NDArray[np.float64]]) -> Valued | None:
    """Value a policy by a part of a log; None where too few clicks are in it to predict any."""
    log, rows = part.as_offers()
    if min(np.bincount(_folds(part), weights=part.click, minlength=FOLDS)) < SEVERAL:
        return None
    expected = expect(part)[rows]
    found = value_policy(policy(part)[rows], expected, log)
    gap = describe_gap(found, None, expected, log)
    evidence = check_evidence(found.effective_rows, float(log.reward.mean()), count(log), GateThresholds())
    observed = standard_error(found.per_row, log.customers)
    return Valued(found.dr, observed, found.interval_95, evidence["verdict"] == ENOUGH, gap["interval_95"][0] > 0)


def _show_evenly(log: Log) -> NDArray[np.float64]:
    return np.full((len(log.item), ITEMS), 1 / ITEMS)


def _copy_shares(log: Log) -> Callable[[Log], NDArray[np.float64]]:
    """Return the policy of a log, which looks at the place alone: the share of each item there."""
    shares = np.stack([np.bincount(log.item[log.place == place], minlength=ITEMS) for place in range(POSITIONS)])
    shares = shares / shares.sum(axis=1, keepdims=True)
    return lambda other: shares[other.place]


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
    fold = _folds(log)
    places, items = np.eye(POSITIONS)[log.place], np.eye(ITEMS)
    expected = np.empty((len(log.item), ITEMS))
    for held_out in range(FOLDS):
        fitted, scored = fold != held_out, fold == held_out
        shown = np.hstack([log.users, places, items[log.item]])
        # One thread: threads that wait for each other are slow on a busy machine.
        with threadpool_limits(limits=1):
            model = LogisticRegression(max_iter=1000).fit(shown[fitted], log.click[fitted])
        # The log-odds are a sum, so those of each item are added to the rest: 34 predictions for one.
        of_item = model.coef_[0, -ITEMS:]
        rest = model.decision_function(shown[scored]) - of_item[log.item[scored]]
        expected[scored] = 1 / (1 + np.exp(-(rest[:, None] + of_item)))
    return expected


def _folds(log: Log) -> NDArray[np.int64]:
    return np.random.default_rng(0).integers(0, FOLDS, len(log.item))


def count(log: OfferLog) -> dict[str, int]:
    """Return how many rows could be used, and how many not."""
    return {"used": len(log.reward), "propensity_not_logged": log.not_logged, "propensity_zero": log.zero}
