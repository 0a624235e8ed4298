"""The facts that scores become."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from features.table import FeatureTable
from models.errors import ModelError, ModelInputError, ModelOutputError
from models.registry import Scorers
from models.rfm import RfmCuts
from models.rules import churn_rule, lifetime_value_rule, offers_rule
from models.scores import score_columns, score_offers
from tests.fakes.scorer import InMemoryScorer

IDS = ("a", "b", "c", "d", "e")
CHURN = {"a": [0.39999], "b": [0.4], "c": [0.69999], "d": [0.7], "e": [1.0]}
VALUE = {"a": [0.0], "b": [500.0], "c": [500.5], "d": [2000.0], "e": [9000.0]}


def scorers() -> Scorers:
    return Scorers(InMemoryScorer(CHURN), InMemoryScorer({}, outputs=8), InMemoryScorer(VALUE), RfmCuts())


def columns(**cells: list[float]) -> FeatureTable:
    count = len(next(iter(cells.values())))
    return FeatureTable(tuple(IDS[:count]), {name: np.array(values) for name, values in cells.items()})


def test_risk_is_low_below_four_tenths_and_high_from_seven() -> None:
    got = score_columns(FeatureTable(IDS, {}), scorers())
    assert got["churn_risk"].tolist() == ["low", "medium", "medium", "high", "high"]
    assert got["churn_probability"].dtype == np.float64


def test_risk_and_probability_agree_for_a_rule_that_compares() -> None:
    got = score_columns(FeatureTable(IDS, {}), scorers())
    np.testing.assert_array_equal(got["churn_probability"] >= 0.7, got["churn_risk"] == "high")


def test_value_segments_follow_the_cut_points() -> None:
    got = score_columns(FeatureTable(IDS, {}), scorers())
    assert got["value_segment"].tolist() == ["low", "low", "medium", "medium", "high"]


class ValueModel(InMemoryScorer):
    """A model of lifetime value with an interval, trained on 73 days."""

    manifest: ClassVar = {"window_days": 73, "value_cuts": [60, 400]}


def with_value_model(scorer: InMemoryScorer) -> Scorers:
    return Scorers(InMemoryScorer(CHURN), InMemoryScorer({}, outputs=8), scorer, RfmCuts())


def test_a_value_and_its_bounds_are_told_for_twelve_months() -> None:
    told = ValueModel({"a": [10.0, 2.0, 50.0], "b": [100.0, 0.0, 300.0]}, outputs=3)
    got = score_columns(FeatureTable(("a", "b"), {}), with_value_model(told))
    assert got["predicted_ltv"].tolist() == [50, 500]
    assert got["predicted_ltv_low"].tolist() == [10, 0]
    assert got["predicted_ltv_high"].tolist() == [250, 1500]
    assert got["value_segment"].tolist() == ["low", "high"]


def test_a_rule_that_stands_in_for_a_value_model_keeps_its_own_scale_and_cuts() -> None:
    told = ValueModel({}, outputs=3)
    told.error = ModelInputError("no column")
    got = score_columns(columns(lifetime_value=[360.0], tenure_days=[180.0]), with_value_model(told))
    assert got["predicted_ltv"].tolist() == [730]
    assert np.isnan(got["predicted_ltv_low"]).all()
    assert got["value_segment"].tolist() == ["medium"]


@pytest.mark.parametrize("error", [ModelInputError("no column"), ModelOutputError("no number")])
def test_a_model_that_refuses_a_batch_is_replaced_by_its_rule_for_it(error: ModelError) -> None:
    failing = InMemoryScorer(CHURN)
    failing.error = error
    given = Scorers(failing, failing, failing, RfmCuts())
    table = columns(days_since_last_transaction=[45.0], transaction_count=[1.0])
    got = score_columns(table, given)
    assert got["decision_basis"].tolist() == ["rules"]
    assert got["churn_probability"].tolist() == [0.5]
    assert score_offers(table, given)[1] == "rules"


def test_a_score_that_is_no_number_is_replaced_by_the_rule() -> None:
    given = Scorers(InMemoryScorer({"a": [float("nan")]}), InMemoryScorer({}, 8), InMemoryScorer({}), RfmCuts())
    got = score_columns(columns(days_since_last_transaction=[45.0]), given)
    assert got["decision_basis"].tolist() == ["rules"]


def test_an_empty_batch_gives_empty_columns() -> None:
    assert {len(cells) for cells in score_columns(FeatureTable((), {}), scorers()).values()} == {0}


def test_the_churn_rule_is_one_half_after_45_days_times_the_root_of_orders() -> None:
    table = columns(days_since_last_transaction=[45.0, 135.0, np.nan], transaction_count=[1.0, 9.0, 3.0])
    np.testing.assert_allclose(churn_rule(table)[:, 0], [0.5, 0.5, 0.5])


def test_the_offers_rule_prefers_the_large_discount_for_the_lapsed_and_the_advisor_for_the_valuable() -> None:
    table = columns(
        days_since_last_transaction=[120.0, 1.0], transaction_count=[1.0, 3.0], total_revenue=[200.0, 5000.0]
    )
    assert (offers_rule(table).argmax(axis=1) + 1).tolist() == [4, 8]


def test_the_value_rule_goes_on_at_the_rate_to_date_and_not_below_zero() -> None:
    table = columns(lifetime_value=[360.0, 100.0, -5.0], tenure_days=[360.0, 1.0, 10.0])
    np.testing.assert_allclose(lifetime_value_rule(table)[:, 0], [365.0, 100 / 180 * 365, 0.0], rtol=1e-6)
