"""The task `next_purchase`: targets of rows, curves as facts, and the rule."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from features.table import FeatureTable
from models.errors import ModelInputError
from models.inputs import FEATURE_MAPPING
from models.registry import load_scorers
from models.rfm import RfmCuts
from models.rules import churn_rule
from models.scores import score_customers
from models.tasks.next_purchase import NextPurchase, read_curve
from tests.fakes.scorer import InMemoryScorer
from training.evaluation.baselines import BaselineRows
from training.tasks.next_purchase import connect
from training.tasks.registry import TASKS

if TYPE_CHECKING:
    from models.registry import Scorers

TASK = TASKS["next_purchase"]
STEADY = (0.5 ** (np.arange(1, 13) / 12)).astype(np.float32)
"""Half of such customers buy within the window."""


def rows(*waits: float | None, **columns: list[float]) -> FeatureTable:
    """Rows with these days until the next purchase."""
    cells = {"days_to_next_purchase": np.array(waits, dtype=object)}
    return FeatureTable(tuple(map(str, waits)), cells | {name: np.array(each) for name, each in columns.items()})


def load_scorers_of_rules() -> Scorers:
    """Scorers without any model."""
    return load_scorers(Path("/nonexistent"), FEATURE_MAPPING)


def facts(curve: Any, basis: str = "model", **manifest: float) -> dict[str, Any]:
    """The facts of one customer."""
    found = NextPurchase().add_facts(np.array([curve], np.float32), np.array([basis], object), manifest, RfmCuts())
    return {name: cells[0] for name, cells in found.items()}


def test_a_customer_is_without_a_purchase_until_the_period_of_the_next_one() -> None:
    status = TASK.targets(rows(0, 7, 8, 89.9, 90, None)).astype(int).tolist()
    assert status == [[0] * 12, [0] * 12, [1] + [0] * 11, [1] * 11 + [0], [1] * 12, [1] * 12]


def test_periods_are_twelfths_of_the_window() -> None:
    assert TASK.over(360).targets(rows(29, 30)).sum(axis=1).tolist() == [0, 1]
    assert TASK.window_days == 90


def test_nothing_is_known_after_a_customer_was_lost() -> None:
    status = TASK.targets(rows(None, 5, 20, days_observed=[16, 16, 16])).astype(int).tolist()
    assert status == [[1, 1] + [-1] * 10, [0] * 12, [1, 1] + [-1] * 10]


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (rows(-1), "holds -1; it may hold 0 or more days"),
        (rows(1, days_observed=[np.nan]), "'days_observed' must hold"),
        (FeatureTable(("a",), {}), "no column 'days_to_next_purchase'"),
    ],
)
def test_labels_that_make_no_sense_are_refused(table: FeatureTable, says: str) -> None:
    with pytest.raises(ModelInputError, match=says):
        TASK.targets(table)


def test_a_curve_is_told_as_probabilities_and_expected_days() -> None:
    found = facts(STEADY, window_days=90)
    assert [found[f"purchase_probability_{days}d"] for days in (30, 60, 90)] == pytest.approx(
        [1 - 0.5 ** (1 / 3), 1 - 0.5 ** (2 / 3), 0.5], abs=1e-6
    )
    assert found["expected_days_to_next_purchase"] == pytest.approx(90 * 0.5 / np.log(2), abs=0.1)
    assert found["next_purchase_within"] == "90 days"


@pytest.mark.parametrize(
    ("level", "window", "within"), [(0.0, 90, "30 days"), (1.0, 90, "later"), (1.0, 60, None), (0.4, 60, "30 days")]
)
def test_the_time_within_which_a_customer_buys_is_unknown_beyond_the_window(
    level: float, window: int, within: str | None
) -> None:
    found = facts(np.full(12, level), window_days=window)
    assert found["next_purchase_within"] == within
    assert np.isnan(found["purchase_probability_90d"]) == (window < 90)


def test_a_customer_whose_curve_is_unknown_has_no_facts() -> None:
    found = facts(np.full(12, np.nan))
    assert found.pop("next_purchase_within") is None
    assert np.isnan(list(found.values())).all()


@pytest.mark.parametrize("days", [1, 30, 45, 90])
def test_a_longer_window_is_read_at_the_same_days(days: float) -> None:
    straight = 1 - np.linspace(0, 1, 13)[None]
    assert read_curve(straight, np.array([360.0]), days) == pytest.approx(1 - days / 360)


def test_the_rule_agrees_with_the_rule_of_churn() -> None:
    columns = {"days_since_last_transaction": np.array([0.0, 45, np.nan]), "transaction_count": np.array([1.0, 1, 1])}
    table = FeatureTable(("a", "b", "c"), columns)
    scored = score_customers(table, load_scorers_of_rules())
    churn = np.maximum(churn_rule(table)[:, 0], 0.01)
    assert scored.columns["purchase_probability_90d"] == pytest.approx(1 - churn, abs=1e-6)
    assert (np.diff(scored.columns["purchase_probability_30d"]) < 0)[0]


def test_a_customer_of_the_rule_is_read_over_90_days_next_to_one_of_a_model_of_a_year() -> None:
    model = InMemoryScorer({"a": STEADY.tolist(), "b": [np.nan] * 12}, 12)
    model.manifest = {"window_days": 360}  # type: ignore[attr-defined]
    scorers = load_scorers_of_rules().with_scorer("next_purchase", model)
    scored = score_customers(FeatureTable(("a", "b"), {}), scorers).columns
    assert scored["expected_days_to_next_purchase"] == pytest.approx([259.7, 65.0], abs=0.5)


def test_baselines_of_four_points_are_connected_by_straight_lines_that_never_rise() -> None:
    found = connect(np.array([[0.7, 0.4, 0.5, 0.1]], np.float32))[0]
    np.testing.assert_allclose(found[:6], [0.9, 0.8, 0.7, 0.6, 0.5, 0.4], rtol=1e-6)
    np.testing.assert_allclose(found[6:], [0.4, 0.4, 0.4, 0.3, 0.2, 0.1], rtol=1e-6)


def test_the_baselines_are_curves_of_every_later_row() -> None:
    generator = np.random.default_rng(1)
    inputs = generator.random((300, 2)).astype(np.float32)
    status = TASK.targets(rows(*(inputs[:, 0] * 150)))
    found = TASK.fit_baselines(BaselineRows(inputs, status, inputs[:50], ("a", "b")))
    assert set(found) == {"kaplan_meier", "logistic_regression", "gradient_boosting"}
    assert {curves.shape for curves in found.values()} == {(50, 12)}
    errors = {name: ((curves - status[:50]) ** 2).mean() for name, curves in found.items()}
    assert errors["gradient_boosting"] < errors["kaplan_meier"]
