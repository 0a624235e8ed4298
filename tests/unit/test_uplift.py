"""Whom contact moves, on trials whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from features.table import FeatureTable
from tests.evidence import churn
from training.data.dataset import Dataset
from training.errors import TrainingDataError
from training.evaluation.metrics import evaluate
from training.evaluation.ranking import Ranking
from training.evaluation.uplift import Experiment, describe_uplift, fit_uplift, learn_uplift, qini, qini_curve

ROWS = 8000


def experiment(seed: int) -> tuple[np.ndarray, Experiment]:
    """Contact helps those whose first feature is 1; the second one tells who responds anyway."""
    generator = np.random.default_rng(seed)
    inputs = generator.integers(0, 2, (ROWS, 2)).astype(np.float32)
    treated = generator.random(ROWS) < 0.5
    chance = 0.1 + 0.3 * inputs[:, 1] + 0.2 * inputs[:, 0] * treated
    return inputs, Experiment.of(treated, generator.random(ROWS) < chance)


def coefficient(scores: np.ndarray, found: Experiment) -> float:
    return qini(Ranking.of(scores), found, np.ones(len(scores)))


def test_a_t_learner_finds_whom_contact_moves() -> None:
    (inputs, earlier), (later_inputs, later) = experiment(1), experiment(2)
    uplift = fit_uplift(inputs, earlier.treated > 0, earlier.outcome, later_inputs)
    moved = later_inputs[:, 0] == 1
    assert uplift[moved].mean() == pytest.approx(0.2, abs=0.04)
    assert uplift[~moved].mean() == pytest.approx(0, abs=0.04)
    assert coefficient(uplift, later) > coefficient(later_inputs[:, 1], later) + 0.03


def test_the_best_order_has_a_coefficient_of_one_and_a_constant_score_of_none() -> None:
    _, found = experiment(3)
    assert coefficient(found.outcome * (2 * found.treated - 1), found) == pytest.approx(1)
    assert coefficient(np.ones(ROWS), found) == pytest.approx(0)


def test_the_wrong_way_round_is_below_none() -> None:
    inputs, found = experiment(4)
    assert coefficient(-inputs[:, 0], found) == pytest.approx(-coefficient(inputs[:, 0], found), abs=0.02)


def test_the_curve_ends_at_the_mean_effect() -> None:
    inputs, found = experiment(5)
    share, gained = qini_curve(Ranking.of(inputs[:, 0]), found, np.ones(ROWS))
    described = describe_uplift(inputs[:, 0], found, [str(number) for number in range(ROWS)])
    assert (share[0], gained[0], share[-1]) == (0, 0, 1)
    assert gained[-1] == pytest.approx(described["mean_effect"], abs=1e-5)
    low, high = described["qini_95"]
    assert 0 < low < described["qini"] < high


def test_churn_with_a_control_group_is_measured_by_those_who_stay() -> None:
    inputs, found = experiment(6)
    measured = evaluate(
        churn(
            ROWS,
            outcome=(1 - found.outcome[:, None]).astype(np.float32),
            treated=found.treated > 0,
            uplift=inputs[:, 0].astype(float),
        )
    )["uplift"]
    assert measured["t_learner"]["mean_effect"] == pytest.approx(0.1, abs=0.03)
    assert measured["t_learner"]["qini"] > measured["by_risk"]["qini"]


def test_without_a_control_group_there_is_no_uplift() -> None:
    assert "uplift" not in evaluate(churn())


def snapshots(seed: int, rows: int = ROWS, **columns: np.ndarray) -> Dataset:
    inputs, found = experiment(seed)
    churned = 1 - found.outcome[:rows, None].astype(np.float32)
    churned[::10] = -1
    table = FeatureTable(("",) * rows, columns or {"contacted": found.treated[:rows]})
    dates = np.full(rows, "2011-06-01", dtype="datetime64[D]")
    return Dataset(table, inputs[:rows], churned, np.full(rows, np.nan), dates, {"a": "a", "b": "b"}, 90)


def test_a_column_of_who_was_contacted_gives_uplift() -> None:
    learned = learn_uplift(snapshots(1), snapshots(2))
    assert learned is not None
    treated, uplift = learned
    assert treated.tolist() == (experiment(2)[1].treated > 0).tolist()
    assert uplift[experiment(2)[0][:, 0] == 1].mean() == pytest.approx(0.2, abs=0.04)


@pytest.mark.parametrize("columns", [{"other": np.ones(ROWS)}, {"contacted": np.ones(ROWS)}])
def test_without_the_column_or_a_control_group_no_uplift_is_learned(columns: dict[str, np.ndarray]) -> None:
    assert learn_uplift(snapshots(1, **columns), snapshots(2, **columns)) is None


def test_a_few_rows_give_no_uplift() -> None:
    assert learn_uplift(snapshots(1), snapshots(2, rows=100)) is None


@pytest.mark.parametrize("cell", [2.0, np.nan])
def test_who_was_contacted_must_be_known(cell: float) -> None:
    rows = snapshots(1, contacted=np.full(ROWS, cell))
    with pytest.raises(TrainingDataError, match="column 'contacted' holds"):
        learn_uplift(rows, rows)
