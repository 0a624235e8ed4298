"""Kaplan and Meier's curve, the Brier score under censoring, and concordance."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.evidence import evidence
from training.evaluation.gates import evaluate_gates
from training.evaluation.metrics import evaluate
from training.evaluation.ranking import area
from training.evaluation.survival import FollowUp, concordance, expected_wait, kaplan_meier, squared_errors

if TYPE_CHECKING:
    from numpy.typing import NDArray

PERIODS = 12


def follow(period: NDArray[Any], lost: NDArray[Any]) -> NDArray[np.float32]:
    """The status of customers who buy in a period, and are lost after the end of another one."""
    ends = np.arange(PERIODS)
    bought = (period[:, None] <= ends) & (period <= lost)[:, None]
    known = bought | (ends < lost[:, None])
    return np.where(known, ~bought, -1).astype(np.float32)


def draw(rows: int, seed: int = 1, *, lost: bool) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """True curves of constant hazards, and what was seen of such customers; half are lost where asked."""
    generator = np.random.default_rng(seed)
    hazard = generator.beta(1.5, 6.0, rows)
    period = generator.geometric(np.maximum(hazard, 1e-9)) - 1
    until = np.where(lost, generator.integers(0, 2 * PERIODS, rows), PERIODS)
    return (1 - hazard[:, None]) ** np.arange(1, PERIODS + 1), follow(period, until)


def test_the_curve_of_all_is_that_of_kaplan_and_meier() -> None:
    """The textbook's product: of 4 one buys, one is lost, of 2 one buys."""
    status = follow(np.array([0, 9, 2, 99]), np.array([12, 1, 12, 12]))
    np.testing.assert_allclose(kaplan_meier(status)[:4], [3 / 4, 3 / 4, 3 / 8, 3 / 8])


def test_without_loss_the_curve_is_the_share_that_is_left() -> None:
    _, status = draw(500, lost=False)
    np.testing.assert_allclose(kaplan_meier(status), (status > 0).mean(axis=0))


def test_losing_customers_at_random_changes_the_figures_little() -> None:
    """Weighted, what is seen of the customers who are left stands for those who were lost."""
    (curves, whole), (same, part) = draw(40_000, lost=False), draw(40_000, lost=True)
    np.testing.assert_array_equal(curves, same)
    assert (part < 0).mean() > 0.1
    np.testing.assert_allclose(kaplan_meier(part), kaplan_meier(whole), atol=0.02)
    found = [float(squared_errors(curves, FollowUp.of(each)).mean()) for each in (whole, part)]
    assert found[0] == pytest.approx(found[1], rel=0.02)
    kept = part[:, -1] >= 0
    assert abs(squared_errors(curves[kept], FollowUp.of(part[kept])).mean() / found[0] - 1) > 0.03
    waits = expected_wait(curves)
    uno = [concordance(waits, FollowUp.of(each), weighted=True) for each in (whole, part)]
    assert uno[0] == pytest.approx(uno[1], abs=0.01)


def test_without_loss_the_score_is_the_mean_squared_error_over_time() -> None:
    curves, status = draw(300, lost=False)
    each = ((status - curves) ** 2).mean(axis=0)
    expected = area(np.arange(PERIODS + 1) / PERIODS, np.concatenate([[0.0], each]))
    assert squared_errors(curves, FollowUp.of(status)).mean() == pytest.approx(expected)


def test_no_curve_scores_better_than_the_true_one() -> None:
    curves, status = draw(20_000, lost=True)
    seen = FollowUp.of(status)
    right = squared_errors(curves, seen).mean()
    for other in (curves**1.3, curves**0.7, np.tile(kaplan_meier(status), (len(curves), 1))):
        assert squared_errors(other, seen).mean() > right


@pytest.mark.parametrize("lost", [False, True])
def test_concordance_counts_pairs(lost: bool) -> None:
    """Against the definition, pair by pair; of equal waits one half counts."""
    curves, status = draw(80, lost=lost)
    seen, waits = FollowUp.of(status), expected_wait(curves).round(1)
    right = pairs = 0.0
    for one, other in combinations(range(80), 2):
        first, second = (one, other) if seen.period[one] < seen.period[other] else (other, one)
        if seen.period[first] < seen.period[second] and seen.known[second] > seen.period[first]:
            pairs += 1
            right += 0.5 * (waits[first] <= waits[second]) + 0.5 * (waits[first] < waits[second])
    assert concordance(waits, seen) == pytest.approx(right / pairs)


def run(scores: NDArray[Any], status: NDArray[Any]) -> tuple[dict[str, Any], dict[str, bool | None]]:
    """Metrics and gates of curves, compared with the curve of all and with a little worse ones."""
    usual = np.tile(kaplan_meier(status), (len(status), 1)).astype(np.float32)
    baselines = {"kaplan_meier": usual, "logistic_regression": (0.5 * scores + 0.5 * usual).astype(np.float32)}
    made = evidence("next_purchase", status, scores, baselines=baselines, folds={})
    metrics = evaluate(made)
    return metrics, {gate.name: gate.passed for gate in evaluate_gates(made, metrics)}


def test_true_curves_pass_every_gate() -> None:
    curves, status = draw(3000, lost=False)
    metrics, gates = run(curves, status)
    assert False not in gates.values()
    assert gates["beats_kaplan_meier"]
    assert gates["not_worse_than_logistic_regression"]
    assert metrics["baselines"]["kaplan_meier"]["brier_skill"] == 0
    assert 0 < metrics["model"]["brier_skill"] < 1
    assert [each["day"] for each in metrics["curve"]][3::4] == [30, 60, 90]


def test_the_curve_of_all_is_refused_as_a_model() -> None:
    _, status = draw(3000, lost=False)
    usual = np.tile(kaplan_meier(status), (len(status), 1))
    assert run(usual, status)[1]["beats_kaplan_meier"] is False


def test_curves_of_rows_with_one_outcome_are_not_evaluated() -> None:
    metrics, gates = run(np.full((200, PERIODS), 0.5), np.ones((200, PERIODS)))
    assert "one outcome only" in metrics["note"]
    assert gates["beats_kaplan_meier"] is False
