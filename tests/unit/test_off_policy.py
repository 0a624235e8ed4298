"""What another policy would have earned, on logs whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.evidence import offers
from training.evaluation.metrics import evaluate
from training.evaluation.off_policy import (
    OfferLog,
    always,
    best_scored,
    compare_policies,
    describe_gap,
    effective_rows_needed,
    read_log,
    standard_error,
    value_policy,
)
from training.evaluation.thresholds import GateThresholds

ROWS = 40_000
CHANCE = np.array([0.1, 0.3, 0.2])
LOGGED = np.array([0.7, 0.1, 0.2])


def logged(rows: int = ROWS, seed: int = 1) -> OfferLog:
    generator = np.random.default_rng(seed)
    offer = generator.choice(3, rows, p=LOGGED)
    return OfferLog(offer, (generator.random(rows) < CHANCE[offer]) * 1.0, LOGGED[offer], np.arange(rows))


@pytest.mark.parametrize("offer", [0, 1, 2])
@pytest.mark.parametrize("expected", [CHANCE, np.zeros(3), np.ones(3)])
def test_all_three_estimates_find_the_truth_whatever_the_reward_model(offer: int, expected: np.ndarray) -> None:
    found = value_policy(always(offer, (ROWS, 3)), np.tile(expected, (ROWS, 1)), logged())
    for name in ("ips", "snips", "dr"):
        error = getattr(found, f"{name}_error")
        assert abs(getattr(found, name) - CHANCE[offer]) < 3 * error < 0.06
    assert found.mean_weight == pytest.approx(1, abs=0.1)


def test_dr_finds_the_truth_with_wrong_propensities_and_a_right_reward_model() -> None:
    log = replace(logged(), propensity=np.full(ROWS, 1 / 3))
    found = value_policy(always(1, (ROWS, 3)), np.tile(CHANCE, (ROWS, 1)), log)
    assert found.dr == pytest.approx(0.3, abs=0.02)
    assert found.ips == pytest.approx(0.09, abs=0.02)
    assert found.mean_weight == pytest.approx(0.3, abs=0.02)


def test_a_reward_model_makes_dr_surer_than_ips() -> None:
    found = value_policy(always(1, (ROWS, 3)), np.tile(CHANCE, (ROWS, 1)), logged())
    assert found.dr_error < found.ips_error


def test_effective_rows_are_those_that_the_policy_shares_with_the_log() -> None:
    found = value_policy(always(1, (ROWS, 3)), np.zeros((ROWS, 3)), logged())
    assert found.effective_rows == (logged().offer == 1).sum()
    even = value_policy(np.full((ROWS, 3), 1 / 3), np.zeros((ROWS, 3)), logged())
    # One over the mean of w squared under the log: the sum of (1/3)^2 / p.
    assert even.effective_rows == pytest.approx(ROWS / (1 / 9 / LOGGED).sum(), rel=0.05)


def test_a_policy_never_tried_has_no_rows_and_no_snips() -> None:
    log = replace(logged(100), offer=np.zeros(100, dtype=np.intp))
    found = value_policy(always(1, (100, 3)), np.full((100, 3), 0.2), log)
    assert (found.effective_rows, found.describe()["snips"]) == (0, None)


def test_rows_of_one_customer_are_one_draw() -> None:
    values, customers = np.random.default_rng(3).random(500), np.arange(500)
    once = standard_error(values, customers)
    assert once == pytest.approx(values.std(ddof=1) / np.sqrt(500), rel=1e-6)
    assert standard_error(np.repeat(values, 4), np.repeat(customers, 4)) == pytest.approx(once, rel=1e-6)


def test_propensities_of_zero_and_null_are_left_out_and_counted() -> None:
    outcome = np.array([[1, -1], [-1, 0], [0, -1], [-1, 1], [-1, -1], [0, 1]], dtype=float)
    log, rows = read_log(outcome, np.array([0.5, 0.0, np.nan, 0.25, 0.5, 0.5]), list("abcdef"))
    assert rows.tolist() == [0, 3]
    assert (log.offer.tolist(), log.reward.tolist(), log.propensity.tolist()) == ([0, 1], [1, 1], [0.5, 0.25])
    assert (log.not_logged, log.zero) == (1, 1)


@pytest.mark.parametrize("wrong", [-0.1, 1.5])
def test_a_propensity_that_is_no_probability_counts_as_zero(wrong: float) -> None:
    log, rows = read_log(np.array([[1.0, -1.0]]), np.array([wrong]), ["a"])
    assert (len(rows), log.zero) == (0, 1)


@pytest.mark.parametrize(("rate", "needed"), [(0.5, 100), (0.1, 100), (0.01, 1000), (0, np.inf)])
def test_rare_conversions_need_more_effective_rows(rate: float, needed: float) -> None:
    assert effective_rows_needed(rate, GateThresholds()) == needed


def test_the_best_scored_offer_is_shown_with_certainty() -> None:
    assert best_scored(np.array([[0.1, 0.3], [0.4, 0.2]])).tolist() == [[0, 1], [1, 0]]


def test_the_best_constant_offer_is_found_and_the_gain_over_it_measured() -> None:
    found = offers(0.3)
    log, rows = read_log(found.outcome, found.propensities, found.customer_ids)
    policy = compare_policies(found.scores[rows].astype(float), log, GateThresholds())
    assert policy["best_constant_offer"]["offer_id"] in {1, 3}
    gap = policy["difference_to_constant"]
    assert gap["value"] == pytest.approx(0.4 - 0.25, abs=3 * gap["standard_error"])
    assert policy["verdict"] == "enough evidence"


def test_an_offer_hardly_shown_is_not_the_best_constant_one() -> None:
    generator = np.random.default_rng(2)
    offer = np.where(np.arange(3000) < 3, 0, generator.integers(1, 3, 3000))
    reward = np.where(offer == 0, 1.0, generator.random(3000) < 0.1)
    log = OfferLog(offer, reward, np.where(offer == 0, 0.001, 0.4995), np.arange(3000))
    policy = compare_policies(np.full((3000, 3), 0.1), log, GateThresholds())
    assert policy["constant_offers"][0]["dr"] > 0.5
    assert policy["best_constant_offer"]["offer_id"] != 1


def test_an_offer_never_shown_has_no_auc() -> None:
    found = offers(0.3)
    outcome = np.where(np.arange(3) == 2, -1, found.outcome).astype(np.float32)
    described = evaluate(replace(found, outcome=outcome))["offers"]
    assert described[2] == {"offer_id": 3, "shown": 0, "converted": 0, "auc": None}
    assert described[0]["auc"] > 0.5


def rare(seed: int, rows: int = 1000) -> OfferLog:
    """Rewards of 1 %, and an offer that the log hardly shows, of whose rows few are rewarded in most logs."""
    generator = np.random.default_rng(seed)
    propensity = np.array([0.97, 0.03])
    offer = generator.choice(2, rows, p=propensity)
    return OfferLog(offer, (generator.random(rows) < 0.01) * 1.0, propensity[offer], np.arange(rows))


def test_an_interval_covers_the_truth_although_rewards_are_rare_and_weights_are_large() -> None:
    """With the observed error alone it covers in a third of the logs: those in which a heavy row was rewarded."""
    covered, observed = 0, 0
    for seed in range(200):
        log = rare(seed)
        found = value_policy(np.full((len(log.offer), 2), 0.5), np.full((len(log.offer), 2), 0.01), log)
        low, high = found.interval_95
        covered += low <= 0.01 <= high
        observed += abs(found.dr - 0.01) <= 1.96 * standard_error(found.per_row, log.customers)
    assert covered >= 0.93 * 200
    assert observed < 0.7 * 200


def test_a_difference_has_the_error_that_is_expected_where_no_heavy_row_was_rewarded() -> None:
    log = replace(rare(1), reward=np.zeros(1000))
    expected = np.full((1000, 2), 0.01)
    found = value_policy(always(1, (1000, 2)), expected, log)
    gap = describe_gap(found, value_policy(always(0, (1000, 2)), expected, log), expected, log)
    # sqrt(q (1 - q) / (n p)) of the offer that is shown in 3 % of the rows.
    assert gap["standard_error"] == pytest.approx(np.sqrt(0.01 * 0.99 / 30), rel=0.1)


def test_amounts_have_the_observed_error_and_a_symmetric_interval() -> None:
    log = replace(logged(), reward=logged().reward * 25)
    found = value_policy(always(1, (ROWS, 3)), np.tile(CHANCE, (ROWS, 1)), log)
    assert found.dr_error == standard_error(found.per_row, log.customers)
    assert found.interval_95 == pytest.approx((found.dr - 1.96 * found.dr_error, found.dr + 1.96 * found.dr_error))


def test_a_policy_never_tried_can_be_worth_anything() -> None:
    log = replace(logged(100), offer=np.zeros(100, dtype=np.intp), reward=np.zeros(100))
    assert value_policy(always(1, (100, 3)), np.zeros((100, 3)), log).interval_95 == (0.0, 1.0)
