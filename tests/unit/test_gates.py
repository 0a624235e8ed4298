"""Every gate passes what it should and refuses what it should."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.evidence import churn, evidence, offers, spend
from training.evaluation.gates import Gate, check_not_worse, evaluate_gates, promotable
from training.evaluation.metrics import evaluate
from training.evaluation.thresholds import GateThresholds

if TYPE_CHECKING:
    from training.evaluation.evaluation_data import EvaluationData


def gate(name: str, found: EvaluationData, thresholds: GateThresholds | None = None) -> Gate:
    (answer,) = [
        each for each in evaluate_gates(found, evaluate(found, thresholds=thresholds), thresholds) if each.name == name
    ]
    return answer


def blurred(found: EvaluationData, by: float, seed: int = 9) -> np.ndarray[Any, Any]:
    """Scores like the model's, less well ranked."""
    noise = np.random.default_rng(seed).normal(0, by, found.scores.shape)
    return np.clip(found.scores + noise, 0.001, 0.999).astype(np.float32)


def with_baseline(found: EvaluationData, name: str, scores: np.ndarray[Any, Any]) -> EvaluationData:
    return replace(found, baselines={name: scores})


def squared(found: EvaluationData) -> np.ndarray[Any, Any]:
    """The scores of a model whose ranking is perfect."""
    return np.where(found.outcome > 0, 0.9, 0.1).astype(np.float32)


@pytest.mark.parametrize("name", ["beats_recency_rule", "not_worse_than_rfm", "not_worse_than_logistic_regression"])
@pytest.mark.parametrize(("blur", "verdict"), [(0.5, "passed"), (0.0, "refused")])
def test_a_churn_model_must_be_better_than_what_is_simpler(name: str, blur: float, verdict: str) -> None:
    found = churn()
    baseline = name.removeprefix("beats_").removeprefix("not_worse_than_")
    answer = gate(name, with_baseline(found, baseline, blurred(found, blur)))
    assert answer.verdict == verdict


def test_a_lead_within_the_noise_beats_the_fitted_model_and_not_the_rule() -> None:
    found = churn(400)
    almost = blurred(found, 0.03)
    rule = gate("beats_recency_rule", with_baseline(found, "recency_rule", almost))
    linear = gate("not_worse_than_logistic_regression", with_baseline(found, "logistic_regression", almost))
    assert (rule.passed, linear.passed) == (False, True)
    assert "better, within the noise" in linear.sentence


@pytest.mark.parametrize(("sharper", "verdict"), [(False, "refused"), (True, "passed")])
def test_of_two_models_that_rank_alike_the_better_probabilities_win(sharper: bool, verdict: str) -> None:
    found = churn()
    odds = np.log(found.scores / (1 - found.scores)) * (0.5 if sharper else 1)
    answer = gate(
        "not_worse_than_logistic_regression", with_baseline(found, "logistic_regression", 1 / (1 + np.exp(-odds)))
    )
    assert answer.verdict == verdict
    assert "level within the noise" in answer.sentence


@pytest.mark.parametrize(
    ("low", "high", "gini", "verdict", "words"),
    [
        (-0.03, 0.01, 0.8, "passed", "better by normalised Gini, 0.8000 against 0.7000"),
        (-0.03, 0.01, 0.6, "refused", "no better by normalised Gini"),
        (-0.03, 0.01, None, "refused", "no normalised Gini to decide by"),
        (-0.03, -0.001, 0.8, "refused", "worse, beyond the noise"),
    ],
)
def test_a_value_model_level_in_r2_must_rank_better(
    low: float, high: float, gini: float | None, verdict: str, words: str
) -> None:
    lead = {"metric": "r2_winsorised", "value": -0.01, "standard_error": 0.01, "interval_95": [low, high]}
    baseline = {"gini_normalised": 0.7, "difference": lead}
    answer = check_not_worse(
        "tweedie", {"model": {"gini_normalised": gini}, "baselines": {"tweedie": baseline}}, GateThresholds()
    )
    assert answer.verdict == verdict
    assert words in answer.sentence


@pytest.mark.parametrize("baseline", ["gradient_boosting", "champion"])
def test_a_model_as_good_as_boosting_or_the_champion_passes_and_a_worse_one_does_not(baseline: str) -> None:
    found = churn()
    name = f"not_worse_than_{baseline}"
    assert gate(name, with_baseline(found, baseline, found.scores)).passed is True
    assert gate(name, with_baseline(found, baseline, blurred(found, 0.02))).passed is True
    assert gate(name, with_baseline(found, baseline, squared(found))).passed is False


def test_what_there_is_not_to_compare_with_does_not_apply() -> None:
    answers = {each.name: each for each in evaluate_gates(churn(), evaluate(churn()))}
    names = ("not_worse_than_rfm", "not_worse_than_champion", "stable")
    assert [answers[name].passed for name in names] == [None, None, None]
    assert "no champion yet" in answers["not_worse_than_champion"].sentence


def test_calibrated_probabilities_pass() -> None:
    answer = gate("calibrated", churn())
    assert (answer.passed, answer.sentence.endswith("calibrated.")) == (True, True)


@pytest.mark.parametrize(
    ("distort", "reason"),
    [
        (lambda odds: 2.5 * odds, "too extreme"),
        (lambda odds: 0.3 * odds, "too close to the base rate"),
        (lambda odds: odds - 2.5, "the base rate has moved too far"),
        (lambda odds: np.abs(odds) - 1, "the calibration error is too high"),
    ],
)
def test_probabilities_that_do_not_mean_what_they_say_are_refused(distort: Any, reason: str) -> None:
    found = churn()
    odds = np.log(found.scores / (1 - found.scores))
    answer = gate("calibrated", replace(found, scores=1 / (1 + np.exp(-distort(odds)))))
    assert answer.passed is False
    assert reason in answer.sentence


def test_a_base_rate_that_moved_a_little_is_told_and_not_held_against_the_model() -> None:
    found = churn(4000)
    odds = np.log(found.scores / (1 - found.scores)) - 0.45
    answer = gate("calibrated", replace(found, scores=1 / (1 + np.exp(-odds))))
    assert answer.passed is True
    assert evaluate(replace(found, scores=1 / (1 + np.exp(-odds))))["calibration"]["ece"] > GateThresholds().ece


def test_one_score_for_everybody_is_calibrated_and_told_so() -> None:
    found = churn()
    answer = gate("calibrated", replace(found, scores=np.full_like(found.scores, found.outcome.mean())))
    assert "all scores are equal" in answer.sentence
    assert answer.passed is False


@pytest.mark.parametrize(
    ("folds", "passed"),
    [({"2011-03": 0.73, "2011-04": 0.71}, True), ({"2011-03": 0.73, "2011-04": 0.61}, False), ({"2011-03": 0.7}, None)],
)
def test_a_model_that_depends_on_when_it_is_trained_is_refused(folds: dict[str, float], passed: bool | None) -> None:
    assert gate("stable", churn(folds=folds)).passed is passed


def test_enough_rows_are_enough_and_too_few_are_not() -> None:
    assert gate("enough_data", churn()).passed is True
    assert gate("enough_data", churn(150)).verdict == "not enough evidence"
    assert gate("enough_data", churn(training_inputs=np.zeros((999, 1), dtype=np.float32))).passed is False


@pytest.mark.parametrize("make", [churn, spend])
def test_a_feature_that_knows_the_outcome_raises_the_alarm(make: Any) -> None:
    found = make()
    leaking = replace(found, later_inputs=found.outcome, features=("days_until_cancelled",))
    answer = gate("no_leakage", leaking)
    assert gate("no_leakage", found).passed is True
    assert answer.passed is False
    assert answer.sentence.startswith("days_until_cancelled alone")


def test_a_feature_that_is_null_for_all_who_leave_raises_the_alarm() -> None:
    found = churn()
    null = np.where(found.outcome > 0, np.nan, np.random.default_rng(3).random(found.outcome.shape))
    assert gate("no_leakage", replace(found, later_inputs=null.astype(np.float32))).passed is False


@pytest.mark.parametrize(("power", "passed"), [(0.2, True), (1.0, False)])
def test_a_value_model_must_be_better_than_past_spend(power: float, passed: bool) -> None:
    found = spend()
    past = found.scores**power * found.scores.mean() ** (1 - power)
    assert gate("beats_past_spend", with_baseline(found, "past_spend", past)).passed is passed
    assert gate("not_worse_than_tweedie", with_baseline(found, "tweedie", past)).passed is passed


@pytest.mark.parametrize(("factor", "passed"), [(1.0, True), (1.2, True), (0.5, False), (2.0, False)])
def test_predicted_spend_must_add_up(factor: float, passed: bool) -> None:
    found = spend()
    assert gate("calibrated", replace(found, scores=factor * found.scores)).passed is passed


@pytest.mark.parametrize(("width", "words"), [(0.1, "too narrow"), (2.35, "as promised"), (50.0, "too wide")])
def test_an_interval_must_hold_what_it_is_made_to_hold(width: float, words: str) -> None:
    found = spend()
    bounds = np.hstack([0 * found.scores, width * found.scores]) - 1e-3 * (width < 1)
    narrow = bounds if width > 1 else np.hstack([found.scores, (1 + width) * found.scores])
    assert words in gate("interval_covers", replace(found, interval=narrow)).sentence


def test_without_an_interval_its_gate_does_not_apply() -> None:
    assert gate("interval_covers", spend()).passed is None


@pytest.mark.parametrize(("gain", "verdict"), [(0.3, "passed"), (0.1, "refused"), (0.0, "refused")])
def test_personalisation_must_earn_more_than_one_offer_for_all(gain: float, verdict: str) -> None:
    answer = gate("personalisation_pays", offers(gain))
    assert answer.verdict == verdict
    assert ("keep offer 2 for all customers" in answer.sentence) is (verdict == "refused")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"rows": 120}, "40 rows of this policy, 100 are needed|are needed at a conversion rate"),
        ({"propensities": np.full(6000, np.nan)}, "no row has an offer shown and its propensity"),
        ({"propensities": np.where(np.arange(6000) % 20, 1 / 3, 0.0)}, "300 of 6,000 rows have a logged propensity"),
    ],
)
def test_a_policy_is_not_judged_on_too_little(changes: dict[str, Any], reason: str) -> None:
    found = offers(0.3, **changes)
    answer = gate("personalisation_pays", found)
    assert (answer.verdict, answer.passed, answer.figure) == ("not enough evidence", False, None)
    assert any(part in answer.sentence for part in reason.split("|"))


@pytest.mark.parametrize("make", [churn, lambda **changes: offers(0.3, **changes), spend])
def test_one_outcome_only_refuses_for_want_of_evidence(make: Any) -> None:
    found = make()
    found = replace(found, outcome=np.where(found.outcome >= 0, 0, -1).astype(np.float32))
    answers = evaluate_gates(found, evaluate(found))
    assert not promotable(answers)
    assert "refused" not in {each.verdict for each in answers}


def test_a_good_model_is_promotable_and_one_refusal_is_enough() -> None:
    found = churn()
    good = evaluate_gates(found, evaluate(found))
    assert promotable(good)
    assert not promotable([*good, gate("calibrated", replace(found, scores=found.scores / 9))])


def test_no_gates_promote_nothing() -> None:
    assert not promotable([])


def test_gates_and_metrics_are_json() -> None:
    for found in (churn(), spend(), offers(0.3)):
        constant = np.full_like(found.scores, 0.5)
        metrics = evaluate(with_baseline(found, "constant", constant))
        gates = [asdict(each) for each in evaluate_gates(found, metrics)]
        assert json.loads(json.dumps([metrics, gates], allow_nan=False)) == [metrics, gates]


def test_limits_decide() -> None:
    found = churn(folds={"one": 0.7, "two": 0.65})
    assert gate("stable", found).passed is True
    assert gate("stable", found, GateThresholds(spread=0.04)).passed is False


def test_few_outcomes_of_any_offer_leave_the_leakage_alarm_without_evidence() -> None:
    outcome = np.array([1.0] * 5 + [0.0] * 200)
    assert gate("no_leakage", evidence("churn", outcome, outcome)).verdict == "not enough evidence"
