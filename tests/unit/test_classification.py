"""Measures of probabilities, against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from tests.evidence import churn
from tests.examples import examples
from training.evaluation.calibration import correct_prior_shift, ece_by_chance, fit_slope
from training.evaluation.classification import Classifier, choose_threshold, compare, lift_by_decile
from training.evaluation.metrics import evaluate
from training.evaluation.probability_metrics import expected_calibration_error
from training.evaluation.resampling import bootstrap, draws, interval
from training.evaluation.thresholds import Costs

OUTCOME = np.array([1, 1, 0, 1, 0, 0, 1, 0, 0, 0])
SCORES = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05])


def measures(scores: np.ndarray, outcome: np.ndarray) -> dict[str, float]:
    return Classifier.of(scores, outcome).measure(np.ones(len(scores)))


@examples(50)
@given(st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=2, max_size=40))
def test_measures_are_those_of_scikit_learn_ties_included(rows: list[tuple[int, bool]]) -> None:
    scores = np.array([score / 10 for score, _ in rows])
    outcome = np.array([int(left) for _, left in rows])
    outcome[:2] = 0, 1
    found = measures(scores, outcome)
    assert found["auc"] == pytest.approx(roc_auc_score(outcome, scores))
    assert found["average_precision"] == pytest.approx(average_precision_score(outcome, scores))
    assert found["brier"] == pytest.approx(brier_score_loss(outcome, scores))
    assert found["log_loss"] == pytest.approx(log_loss(outcome, scores))


def test_a_weight_is_a_repetition() -> None:
    weights = np.array([0, 1, 2, 3, 1, 0, 2, 1, 1, 4])
    repeated = np.repeat(np.arange(10), weights)
    assert Classifier.of(SCORES, OUTCOME).measure(weights.astype(float)) == pytest.approx(
        measures(SCORES[repeated], OUTCOME[repeated])
    )


def test_precision_and_recall_where_the_other_is_70_percent() -> None:
    found = measures(SCORES, OUTCOME)
    assert found["precision_at_recall_70"] == pytest.approx(3 / 4)
    assert found["recall_at_precision_70"] == pytest.approx(3 / 4)


def test_no_threshold_of_70_percent_precision_finds_nobody() -> None:
    assert measures(SCORES, 1 - np.array([1, 1, 1, 1, 0, 1, 1, 1, 1, 0]))["recall_at_precision_70"] == 0


def test_lift_falls_from_the_highest_tenth_and_all_are_captured() -> None:
    found = lift_by_decile(churn(2000).scores[:, 0], churn(2000).outcome[:, 0])
    assert found[0]["lift"] > 1.5
    assert found[-1]["lift"] < 0.5
    assert (found[-1]["captured"], sum(part["rows"] for part in found)) == (1.0, 2000)


def test_the_threshold_of_calibrated_scores_is_near_cost_over_value() -> None:
    found = churn(20_000)
    chosen = choose_threshold(found.scores[:, 0], found.outcome[:, 0], Costs(contact=1, save=4))
    assert chosen["break_even"] == 0.25
    assert chosen["threshold"] == pytest.approx(0.25, abs=0.06)
    assert chosen["cost"] < min(chosen["cost_contacting_all"], chosen["cost_contacting_none"])


def test_the_confusion_is_that_of_the_threshold_stored() -> None:
    chosen = choose_threshold(SCORES, OUTCOME, Costs(contact=1, save=2.5))
    contacted = chosen["threshold"] <= SCORES
    assert chosen["confusion"] == {
        "true_positives": int((contacted & (OUTCOME == 1)).sum()),
        "false_positives": int((contacted & (OUTCOME == 0)).sum()),
        "false_negatives": int((~contacted & (OUTCOME == 1)).sum()),
        "true_negatives": int((~contacted & (OUTCOME == 0)).sum()),
    }


@pytest.mark.parametrize(("save", "contacted"), [(0.5, 0), (1000.0, 7)])
def test_dear_contacts_reach_nobody_and_cheap_ones_everybody_who_may_leave(save: float, contacted: int) -> None:
    confusion = choose_threshold(SCORES, OUTCOME, Costs(contact=1, save=save))["confusion"]
    assert confusion["true_positives"] + confusion["false_positives"] == contacted


def test_calibrated_scores_have_a_slope_of_one_and_no_error_beyond_chance() -> None:
    found = churn(20_000)
    scores, outcome = found.scores[:, 0], found.outcome[:, 0]
    slope, intercept = fit_slope(scores, outcome)
    assert (slope, intercept) == (pytest.approx(1, abs=0.05), pytest.approx(0, abs=0.05))
    assert expected_calibration_error(scores, outcome) < ece_by_chance(scores) * 1.1 < 0.02


def test_ece_is_the_gap_between_score_and_rate() -> None:
    assert expected_calibration_error(np.full(10, 0.8), np.array([1] * 5 + [0] * 5)) == pytest.approx(0.3)


def test_recentred_scores_have_the_rate_and_keep_their_order() -> None:
    centred = correct_prior_shift(SCORES, 0.2)
    assert centred.mean() == pytest.approx(0.2)
    assert (np.diff(centred) < 0).all()


def test_rows_of_one_customer_are_drawn_together() -> None:
    for weights in draws(["a", "b", "a", "c", "b"], resamples=20):
        assert weights[0] == weights[2]
        assert weights[1] == weights[4]
        assert weights[[0, 1, 3]].sum() == 3


def test_repeated_rows_of_a_customer_do_not_narrow_the_interval() -> None:
    found = churn(300)
    scores, outcome = (np.repeat(each[:, 0], 4) for each in (found.scores, found.outcome))
    model = Classifier.of(scores, outcome)
    widths = []
    for ids in (np.repeat(found.customer_ids, 4).tolist(), [str(number) for number in range(1200)]):
        low, high = interval(bootstrap(lambda weights: {"auc": model.auc(weights)}, ids)["auc"])
        widths.append(high - low)
    assert widths[0] > 1.6 * widths[1]


def test_a_model_compared_with_itself_has_no_difference() -> None:
    found = churn(300)
    scores = found.scores[:, 0]
    compared = compare(scores, {"itself": scores, "reversed": 1 - scores}, found.outcome[:, 0], found.customer_ids)
    itself, reverse = (compared["baselines"][name]["difference"] for name in ("itself", "reversed"))
    assert (itself["value"], itself["standard_error"], itself["interval_95"]) == (0, 0, [0, 0])
    assert reverse["value"] == pytest.approx(2 * compared["model"]["auc"] - 1, abs=1e-5)


def test_the_interval_holds_the_figure() -> None:
    model = evaluate(churn())["model"]
    # Resampling adds noise to a calibration error, so its interval may lie above it.
    for name in ("auc", "average_precision", "brier", "log_loss", "precision_at_recall_70"):
        low, high = model[f"{name}_95"]
        assert low < model[name] < high


def test_rows_without_an_outcome_count_for_nothing() -> None:
    found = churn(600)
    outcome = found.outcome.copy()
    outcome[400:] = -1
    some = churn(600, outcome=outcome)
    metrics = evaluate(some)
    assert metrics["positives"] + metrics["negatives"] == 400
    assert metrics["model"]["auc"] == pytest.approx(roc_auc_score(outcome[:400], found.scores[:400]), abs=1e-6)
