"""The facts that scores become."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pytest

from features.table import FeatureTable
from models.errors import ModelInputError, ModelOutputError
from models.fallbacks import RECENT_BATCHES, Fallback, ModelFallbacks
from models.rules import RuleScorer, churn_rule, lifetime_value_rule, offers_rule
from models.scores import score_all, score_columns, score_offers
from tests.fakes.scorer import InMemoryScorer, build_scorers

if TYPE_CHECKING:
    from models.ports import Scorer
    from models.registry import Scorers

IDS = ("a", "b", "c", "d", "e")
CHURN = {"a": [0.39999], "b": [0.4], "c": [0.69999], "d": [0.7], "e": [1.0]}
VALUE = {"a": [0.0], "b": [500.0], "c": [500.5], "d": [2000.0], "e": [9000.0]}


def scorers() -> Scorers:
    return build_scorers(InMemoryScorer(CHURN), InMemoryScorer({}, outputs=8), InMemoryScorer(VALUE))


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


def test_a_value_of_which_nothing_is_known_is_null() -> None:
    """And counts as no failure of the rule."""
    rule = RuleScorer(lifetime_value_rule, "no model")
    fallbacks = ModelFallbacks()
    got = score_columns(columns(lifetime_value=[np.nan, 1000.0, 1.0]), with_value_model(rule), fallbacks)
    assert [None if value != value else value for value in got["predicted_ltv"].tolist()] == [None, 2027.78, 2.03]  # noqa: PLR0124
    assert got["value_segment"].tolist() == [None, "high", "low"]
    assert not fallbacks.counts


class ValueModel(InMemoryScorer):
    """A model of lifetime value with an interval, trained on 73 days."""

    manifest: ClassVar = {"window_days": 73, "value_cuts": [60, 400]}


def with_value_model(scorer: Scorer) -> Scorers:
    return build_scorers(InMemoryScorer(CHURN), InMemoryScorer({}, outputs=8), scorer)


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


def test_a_rule_scores_everyone_while_a_column_of_the_model_is_missing() -> None:
    failing = InMemoryScorer(CHURN)
    failing.error = ModelInputError("no column 'age'")
    given = build_scorers(failing, failing, failing)
    table = columns(days_since_last_transaction=[45.0], transaction_count=[1.0])
    fallbacks = ModelFallbacks()
    got = score_columns(table, given, fallbacks)
    assert got["decision_basis"].tolist() == ["rules"]
    assert got["churn_probability"].tolist() == [0.5]
    assert score_offers(table, given)[1].tolist() == ["rules"]
    assert fallbacks.counts == {("churn", "missing_column"): 1, ("ltv", "missing_column"): 1}
    assert "no column 'age'" in fallbacks.describe(given.versions)[0]


@pytest.mark.parametrize("score", [np.nan, np.inf, -np.inf, -3.0, -0.01, 1.01, 7.5])
def test_only_the_customer_without_a_usable_probability_is_scored_by_the_rule(score: float) -> None:
    given = build_scorers(InMemoryScorer(CHURN | {"b": [score]}), InMemoryScorer({}, 8), InMemoryScorer({}))
    fallbacks = ModelFallbacks()
    got = score_columns(columns(days_since_last_transaction=[45.0] * 3), given, fallbacks)
    assert got["decision_basis"].tolist() == ["model", "rules", "model"]
    assert got["churn_probability"].tolist() == [0.39999, 0.5, 0.69999]
    reason = "out_of_range" if np.isfinite(score) else "not_finite"
    assert fallbacks.counts == {("churn", reason): 1}


@pytest.mark.parametrize(("score", "clipped"), [(-1e-5, 0.0), (1.00001, 1.0)])
def test_a_probability_that_rounding_put_outside_is_clipped(score: float, clipped: float) -> None:
    given = build_scorers(InMemoryScorer({"a": [score]}), InMemoryScorer({}, 8), InMemoryScorer({}))
    got = score_columns(columns(days_since_last_transaction=[45.0]), given)
    assert (got["decision_basis"].tolist(), got["churn_probability"].tolist()) == (["model"], [clipped])


def test_an_offer_score_outside_its_range_costs_that_customer_the_model() -> None:
    sound = [0.1] * 8
    given = scorers().with_scorer("nbo", InMemoryScorer({"a": sound, "b": [*sound[:7], -3.0]}, 8))
    scored, basis = score_offers(FeatureTable(("a", "b"), {}), given)
    assert basis.tolist() == ["model", "rules"]
    np.testing.assert_array_equal(scored[1:], offers_rule(FeatureTable(("b",), {}), 8))


def test_a_negative_value_or_bound_is_replaced_on_the_scale_of_the_rule() -> None:
    told = ValueModel({"a": [10.0, 2.0, 50.0], "b": [-10.0, 2.0, 50.0], "c": [10.0, -2.0, 50.0]}, outputs=3)
    fallbacks = ModelFallbacks()
    table = columns(lifetime_value=[360.0] * 3, tenure_days=[180.0] * 3)
    got = score_columns(table, with_value_model(told), fallbacks)
    assert got["predicted_ltv"].tolist() == [50, 730, 730]
    np.testing.assert_array_equal(got["predicted_ltv_low"], [10, np.nan, np.nan])
    assert got["value_segment"].tolist() == ["low", "medium", "medium"]
    assert fallbacks.counts == {("ltv", "out_of_range"): 2}


def test_text_in_a_column_of_numbers_is_null_to_a_rule_for_that_customer_alone() -> None:
    cells = np.array([45.0, "three", None, "135"], dtype=object)
    table = FeatureTable(IDS[:4], {"days_since_last_transaction": cells})
    np.testing.assert_allclose(churn_rule(table)[:, 0], [0.5, 0.5, 0.5, 0.75])


def test_a_sum_beyond_float32_stays_finite() -> None:
    assert np.isfinite(lifetime_value_rule(columns(lifetime_value=[1e300], tenure_days=[1.0]))).all()


def test_an_empty_batch_gives_empty_columns() -> None:
    assert {len(cells) for cells in score_columns(FeatureTable((), {}), scorers()).values()} == {0}


def test_the_churn_rule_is_one_half_after_45_days_times_the_root_of_orders() -> None:
    table = columns(days_since_last_transaction=[45.0, 135.0, np.nan], transaction_count=[1.0, 9.0, 3.0])
    np.testing.assert_allclose(churn_rule(table)[:, 0], [0.5, 0.5, 0.5])


def test_the_offers_rule_prefers_the_large_discount_for_the_lapsed_and_the_advisor_for_the_valuable() -> None:
    table = columns(
        days_since_last_transaction=[120.0, 1.0], transaction_count=[1.0, 3.0], total_revenue=[200.0, 5000.0]
    )
    assert (offers_rule(table, 8).argmax(axis=1) + 1).tolist() == [4, 8]


def test_the_value_rule_goes_on_at_the_rate_to_date_and_not_below_zero() -> None:
    table = columns(lifetime_value=[360.0, 100.0, -5.0], tenure_days=[360.0, 1.0, 10.0])
    np.testing.assert_allclose(lifetime_value_rule(table)[:, 0], [365.0, 100 / 180 * 365, 0.0], rtol=1e-6)


def test_a_model_is_measured_by_its_own_scores_or_not_at_all() -> None:
    with pytest.raises(ModelOutputError, match=r"1 of 2 customers .* first customer 'b'"):
        score_all(InMemoryScorer({"a": [0.5], "b": [np.nan]}), FeatureTable(("a", "b"), {}))


def test_health_speaks_of_fallbacks_until_the_last_batches_are_scored_by_the_model() -> None:
    fallbacks = ModelFallbacks()
    fallbacks.note("churn", "churn-1", 80, {Fallback.OUT_OF_RANGE: 80}, "a customer was given [7.5]")
    (sentence,) = fallbacks.describe({"churn": "churn-1"})
    assert sentence.startswith("churn: churn-1 serves, but a rule scored 80 of the last 80 customers (out_of_range 80)")
    assert sentence.endswith("a customer was given [7.5]")
    for _ in range(RECENT_BATCHES):
        fallbacks.note("churn", "churn-1", 10, {})
    assert fallbacks.describe({"churn": "churn-1"}) == []


def test_what_another_version_left_to_rules_is_no_reason_to_be_degraded() -> None:
    fallbacks = ModelFallbacks()
    fallbacks.note("churn", "churn-1", 80, {Fallback.NOT_FINITE: 80})
    assert fallbacks.describe({"churn": "churn-2"}) == []
    assert fallbacks.counts == {("churn", "not_finite"): 80}
