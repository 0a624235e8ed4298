"""The numbers behind the report's figures."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import precision_recall_curve, roc_curve

from training.evaluation.classification import Classifier
from training.evaluation.curves import bin_by_score, compare, gain, precision_recall, roc, thin

SCORES = np.array([0.1, 0.4, 0.35, 0.8, 0.4])
OUTCOME = np.array([0.0, 0.0, 1.0, 1.0, 1.0])


def test_bins_hold_equal_counts_from_the_lowest_score_on() -> None:
    bins = bin_by_score(SCORES, OUTCOME, 2)
    assert bins.count.tolist() == [3, 2]
    assert bins.predicted == pytest.approx([0.85 / 3, 0.6])
    assert bins.actual == pytest.approx([1 / 3, 1])


def test_fewer_rows_than_bins_give_a_bin_to_each_row() -> None:
    assert bin_by_score(SCORES, OUTCOME).count.tolist() == [1] * 5


def test_the_interval_of_a_rate_is_wilsons() -> None:
    bins = bin_by_score(np.zeros(10), np.arange(10) < 3, 1)
    assert (bins.low[0], bins.high[0]) == pytest.approx((0.1078, 0.6032), abs=1e-4)


def test_the_interval_of_a_mean_is_the_normal_one() -> None:
    bins = bin_by_score(np.zeros(4), np.array([0.0, 2.0, 4.0, 6.0]), 1, binary=False)
    assert bins.high[0] - bins.actual[0] == pytest.approx(1.959964 * np.sqrt(5) / 2)


def test_gain_rises_from_nothing_to_all() -> None:
    taken, held = gain(np.array([3.0, 1.0, 2.0]), np.array([60.0, 10.0, 30.0]))
    assert taken == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert held == pytest.approx([0, 0.6, 0.9, 1])


def test_roc_and_precision_recall_are_those_of_scikit_learn() -> None:
    false_rate, true_rate, _ = roc_curve(OUTCOME, SCORES, drop_intermediate=False)
    assert np.array(roc(SCORES, OUTCOME)) == pytest.approx(np.array([false_rate, true_rate]))
    precision, recall, _ = precision_recall_curve(OUTCOME, SCORES)
    assert np.array(precision_recall(SCORES, OUTCOME)) == pytest.approx(np.array([recall, precision])[:, -2::-1])


def test_a_thinned_curve_keeps_its_ends() -> None:
    x, y = thin((np.arange(1000), np.arange(1000) * 2), 50)
    assert len(x) == 50
    assert (x[0], x[-1], y[-1]) == (0, 999, 1998)


def test_the_first_scorer_leads_itself_by_nothing_and_a_worse_one_by_a_paired_interval() -> None:
    generator = np.random.default_rng(5)
    outcome = (generator.random(400) < 0.4).astype(float)
    better = outcome + generator.normal(0, 1, 400)
    scorers = {"model": better, "worse": better + generator.normal(0, 1.5, 400)}
    measures = {name: Classifier.of(each, outcome).auc for name, each in scorers.items()}
    found = compare(measures, [str(row) for row in range(400)])
    assert (found["model"].behind, found["model"].behind_high) == (0, 0)
    assert 0 < found["worse"].behind_low < found["worse"].behind < found["worse"].behind_high
    widths = [each.high - each.low for each in found.values()]
    assert found["worse"].behind_high - found["worse"].behind_low < sum(widths)
