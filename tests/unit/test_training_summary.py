"""What a run found, in plain language."""

from __future__ import annotations

import numpy as np
import pytest

from tests.synthetic_runs import evidence, gate, manifest
from training.evaluation.curves import Estimate
from training.report.summary import describe_policy, enumerate_words, run_status, summarise

MODEL = Estimate(0.74, 0.72, 0.76)
LEVEL = Estimate(0.735, 0.71, 0.755, 0.005, -0.004, 0.015)
AHEAD = Estimate(0.65, 0.63, 0.67, 0.09, 0.07, 0.11)
BEHIND = Estimate(0.77, 0.75, 0.79, -0.03, -0.05, -0.01)


def answer(question: str, task: str = "churn", **changes: object) -> str:
    told = {"manifest": manifest(task), "evidence": evidence(task, 50), "estimates": {"model": MODEL}, **changes}
    return dict(summarise(**told).answers)[question]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "promoted"),
        ({"gates": []}, "undecided"),
        ({"gates": [gate("a", passed=None), gate("b")]}, "promoted"),
        ({"gates": [gate("a"), gate("b", passed=False)]}, "refused"),
        ({"gates": [gate("b", passed=False)], "promotion": {"forced": True}}, "forced"),
    ],
)
def test_one_gate_against_it_refuses_a_model(changes: dict[str, object], verdict: str) -> None:
    assert run_status(manifest("churn", **changes)) == verdict


def test_the_headline_names_the_gates_that_refuse() -> None:
    gates = [gate("beats_rfm", passed=False), gate("calibrated", passed=False), gate("stable")]
    told = summarise(manifest("churn", gates=gates), evidence("churn", 50), {})
    assert told.headline.endswith("2 of 3 gates refuse it: beats rfm and calibrated.")


def test_what_to_do_with_a_refused_model_names_the_command_and_its_version() -> None:
    told = summarise(manifest("churn", version="v7", gates=[gate("a", passed=False)]), evidence("churn", 50), {})
    assert "`holdfast models promote churn v7 --force --why REASON`" in told.next_step
    assert "About a." in told.doubts


def test_scorers_are_told_as_better_level_and_worse() -> None:
    estimates = {"model": MODEL, "champion": LEVEL, "rfm": AHEAD, "gradient_boosting": BEHIND}
    text = answer("Compared with what", estimates=estimates)
    assert "Better than RFM score (+0.090)." in text
    assert "No significant difference to champion, serving now (+0.005)." in text
    assert "Worse than gradient boosting (-0.030)." in text
    assert "no champion" not in text


def test_a_scorer_that_tells_nobody_apart_is_no_rival() -> None:
    constant = Estimate(0.5, 0.5, 0.5, 0.24, 0.22, 0.26)
    assert answer("Compared with what", estimates={"model": MODEL, "constant": constant}).startswith("No comparison")


def test_how_good_is_told_in_pairs_out_of_a_hundred() -> None:
    text = answer("How good it is")
    assert "it ranks the first higher in 74% of pairs (AUC 0.740, 95% interval 0.720 to 0.760" in text


def test_what_cannot_be_judged_is_not_called_good() -> None:
    assert answer("How good it is", estimates={}).startswith("Unknown")


def test_the_window_of_the_label_is_told_where_it_is_known() -> None:
    assert "90 days" in answer("What it predicts", manifest=manifest("churn", window_days=90))


def test_a_label_of_ones_own_is_described_by_its_column() -> None:
    """And by no window, unless the user stated one."""
    own = {"label": "Exited", "outcome": "Exited is true", "window_days": 90}
    told = [answer("What it predicts", manifest=manifest("churn", window_stated=stated, **own)) for stated in (0, 1)]
    assert "that Exited is true, as its training rows define it" in told[0]
    assert "that Exited is true in the 90 days after scoring" in told[1]


def test_gates_that_were_not_applied_are_a_doubt() -> None:
    gates = [gate("beats_recency_rule", passed=None), gate("stable", passed=None), gate("calibrated")]
    doubts = summarise(manifest("churn", gates=gates), evidence("churn", 1200), {}).doubts
    assert "2 of 3 gates were not applied: beats recency rule and stable." in doubts


def test_a_mean_score_far_from_the_rate_of_the_training_rows_is_a_doubt() -> None:
    known = evidence("churn", 1200, training_scores=np.full((500, 1), 0.47, np.float32))
    found = manifest("churn")
    training = {**found.get("training", {}), "rate": 0.38}
    assert "the mean score is 47.0% and the churn rate 38.0%" in " ".join(
        summarise({**found, "training": training}, known, {}).doubts
    )


def test_a_base_rate_that_moved_is_a_doubt() -> None:
    known = evidence("churn", 1200)
    moved = evidence("churn", 1200, scores=np.minimum(known.scores + np.float32(0.2), 1))
    doubts = [" ".join(summarise(manifest("churn"), each, {"model": MODEL}).doubts) for each in (known, moved)]
    assert ["the base rate changed" in each for each in doubts] == [False, True]


@pytest.mark.parametrize(
    ("times", "words"), [(1.5, "more spend than was observed"), (0.5, "less spend than was observed"), (1, None)]
)
def test_spend_that_does_not_add_up_is_a_doubt(times: float, words: str | None) -> None:
    known = evidence("ltv", 1200)
    right = known.scores * (known.outcome.sum() / known.scores.sum())
    doubts = " ".join(summarise(manifest("ltv"), evidence("ltv", 1200, scores=right * times), {"model": MODEL}).doubts)
    assert (words or "") in doubts
    assert ("spend than was observed" in doubts) == bool(words)


@pytest.mark.parametrize(("trained", "told"), [("2011-06-10", True), ("2011-09-09", False)])
def test_rows_are_called_later_only_where_they_are(trained: str, told: bool) -> None:
    text = answer("How certain that is", manifest=manifest("churn", training={"dates": [trained]}))
    assert ("later than all training rows" in text) == told


def test_warnings_few_rows_and_a_wide_interval_are_doubts() -> None:
    told = manifest("churn", training={"warnings": ["only 50 rows"]})
    doubts = summarise(told, evidence("churn", 50), {"model": Estimate(0.74, 0.6, 0.86)}).doubts
    assert doubts[0] == "Only 50 rows."
    assert doubts[1].startswith("Only 50 later rows")
    assert "The interval of its AUC is wide" in doubts[2]


def test_one_feature_that_knows_everything_is_a_doubt() -> None:
    known = evidence("churn", 50, importance={"churned_at": 0.4, "revenue": 0.01})
    assert any("churned_at" in doubt for doubt in summarise(manifest("churn"), known, {}).doubts)


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        ([0.01, 0.05], "better than"),
        ([-0.05, -0.01], "worse than"),
        ([-0.01, 0.02], "not significantly different from"),
    ],
)
def test_offers_are_compared_with_one_offer_for_all(interval: list[float], words: str) -> None:
    policy = {
        "verdict": "enough evidence",
        "model": {"dr": 0.28},
        "logged": {"value": 0.15},
        "best_constant_offer": {"offer_id": 4, "dr": 0.2},
        "difference_to_constant": {"value": 0.03, "interval_95": interval},
    }
    assert f"They are {words} always offer 4 (20.0%)" in describe_policy(policy)
    few = policy | {"verdict": "not enough evidence", "reason": "12 rows"}
    assert describe_policy(few) == "Not enough evidence for the value of its offers: 12 rows."


@pytest.mark.parametrize(("words", "text"), [(["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")])
def test_words_are_listed_as_in_prose(words: list[str], text: str) -> None:
    assert enumerate_words(words) == text
