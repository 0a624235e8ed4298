"""What training refuses, how it splits, what it learns to do to its inputs. No TensorFlow."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from features.table import FeatureTable
from models.errors import ModelInputError
from training.data.dataset import Dataset, prepare, require_both_sides, split
from training.errors import TrainingDataError
from training.nets.preprocessing import learn_preprocessing
from training.tasks.registry import TASKS

MAPPING = {"days_since_last": "days", "revenue": "money"}
START = date(2011, 1, 1)


def history(rows: int, **columns: list[Any]) -> FeatureTable:
    generator = np.random.default_rng(1)
    cells: dict[str, list[Any]] = {
        "customer_id": [str(number) for number in range(rows)],
        "days": generator.integers(0, 90, rows).tolist(),
        "money": generator.gamma(1, 100, rows).tolist(),
        "churned": [number % 2 for number in range(rows)],
        "snapshot_date": [START + timedelta(days=14 * (5 * number // rows)) for number in range(rows)],
    } | columns
    return FeatureTable.from_rows(cells["customer_id"], list(cells), list(zip(*cells.values(), strict=True)))


def churn(rows: int, **columns: list[Any]) -> Dataset:
    return prepare(history(rows, **columns), TASKS["churn"], MAPPING)


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(TrainingDataError, match="49 rows to train churn on; 50 are needed"):
        churn(49)


@pytest.mark.parametrize(("rows", "warned"), [(999, True), (1000, False)])
def test_fewer_than_a_thousand_rows_are_warned_of(rows: int, warned: bool) -> None:
    assert bool(churn(rows).warnings) is warned


def test_one_class_only_is_refused() -> None:
    with pytest.raises(TrainingDataError, match="'churned' has one outcome only"):
        churn(100, churned=[1] * 100)


def test_a_lopsided_label_is_warned_of() -> None:
    assert "positive" in churn(1000, churned=[0] * 990 + [1] * 10).warnings[0]


@pytest.mark.parametrize(("cells", "holds"), [([7] * 100, "always 7"), ([None] * 100, "always null")])
def test_a_constant_column_is_refused_by_name(cells: list[Any], holds: str) -> None:
    with pytest.raises(TrainingDataError, match=f"'money' .* is {holds}"):
        churn(100, money=cells)


def test_an_unknown_column_is_refused_by_name() -> None:
    with pytest.raises(TrainingDataError, match="'age'"):
        prepare(history(100), TASKS["churn"], {"age": "age"})


def test_a_missing_label_is_refused_by_name() -> None:
    with pytest.raises(TrainingDataError, match="'converted_offer_id'"):
        prepare(history(100), TASKS["nbo"], MAPPING)


def test_a_label_out_of_range_is_refused() -> None:
    with pytest.raises(TrainingDataError, match=r"'churned' holds 2; it may hold 1 and 0"):
        churn(100, churned=[0, 1, 2, 1] * 25)


@pytest.mark.parametrize("pair", [("yes", "No"), ("TRUE", "false "), ("t", "f"), ("1", "0"), (True, False)])
def test_a_label_may_be_text_or_a_truth_value(pair: tuple[Any, Any]) -> None:
    assert churn(100, churned=[*pair, None, pair[0]] * 25).targets[:4, 0].tolist() == [1, 0, -1, 1]


def test_a_label_of_other_words_is_refused_with_what_to_write() -> None:
    with pytest.raises(TrainingDataError, match=r"holds 'left', 'stayed'; .* as \(churned = 'left'\)::int AS churned"):
        churn(100, churned=["stayed", "left"] * 50)


def test_a_label_in_mixed_case_is_named_as_postgresql_folds_it() -> None:
    with pytest.raises(TrainingDataError, match="no column 'Churned'; there is 'churned'"):
        prepare(history(100), TASKS["churn"].labelled("Churned"), MAPPING)


def test_dates_that_are_none_are_refused() -> None:
    with pytest.raises(TrainingDataError, match="'snapshot_date' holds something that is no date"):
        churn(100, snapshot_date=["yesterday"] * 100)


def monthly(**columns: list[Any]) -> Dataset:
    """A thousand rows of a hundred customers on ten days, a month apart."""
    ids = [str(number % 100) for number in range(1000)]
    days = [START + timedelta(days=30 * (number // 100)) for number in range(1000)]
    return churn(1000, customer_id=ids, snapshot_date=days, **columns)


def test_evaluation_is_on_the_latest_dates_that_hold_a_fifth_of_the_rows() -> None:
    halves = split(monthly())
    assert np.unique(halves.later.dates).tolist() == [START + timedelta(days=270 - 30 * back) for back in (1, 0)]
    assert len(halves.later) == 200


def test_what_is_trained_on_was_known_when_evaluation_begins() -> None:
    halves = split(monthly())
    assert halves.earlier.dates.max() + np.timedelta64(90, "D") <= halves.later.dates.min()
    assert not halves.overlapping


def test_where_labels_overlap_other_customers_are_evaluated_on() -> None:
    dataset = replace(monthly(), window_days=300)
    halves = split(dataset)
    assert halves.overlapping
    assert halves.earlier.dates.max() < halves.later.dates.min()
    assert not set(halves.earlier.table.customer_ids) & set(halves.later.table.customer_ids)
    assert "customers not trained on" in halves.how


def test_labels_of_the_moment_need_no_gap_and_the_day_itself_is_not_trained_on() -> None:
    halves = split(replace(monthly(), window_days=0))
    assert halves.later.dates.min() - halves.earlier.dates.max() == np.timedelta64(30, "D")


def test_a_split_within_a_split_takes_other_customers() -> None:
    dataset = replace(monthly(), window_days=300)
    one, other = (set(split(dataset, salt).later.table.customer_ids) for salt in ("", "inner"))
    assert one - other
    assert one & other


def test_rows_without_dates_are_split_by_customer() -> None:
    ids = [str(number % 100) for number in range(1000)]
    halves = split(churn(1000, customer_id=ids, snapshot_date=[None] * 1000))
    earlier, later, how = halves.earlier, halves.later, halves.how
    assert not set(earlier.table.customer_ids) & set(later.table.customer_ids)
    assert "customers" in how
    assert len(later) > 0


def test_rows_that_cannot_be_split_are_refused_with_what_is_missing() -> None:
    halves = split(churn(100, customer_id=["one"] * 100, snapshot_date=[None] * 100))
    with pytest.raises(TrainingDataError, match=r"rows to train on and .* to evaluate on .*customer_id"):
        require_both_sides(halves)


def test_a_fingerprint_changes_with_any_label() -> None:
    one = churn(100)
    other = replace(one, targets=1 - one.targets)
    assert one.fingerprint() == churn(100).fingerprint() != other.fingerprint()


def test_a_null_label_is_not_observed() -> None:
    table = FeatureTable.from_rows(["a", "b", "c"], ["churned"], [[1], [None], [0]])
    assert TASKS["churn"].targets(table).ravel().tolist() == [1, -1, 0]


@pytest.mark.parametrize("cell", [-1.0, float("nan")])
def test_spend_that_is_none_is_refused_with_the_number_of_rows(cell: float) -> None:
    with pytest.raises(TrainingDataError, match=r"'spend' holds .* in 1 of 100 rows"):
        prepare(history(100, spend=[cell] + [5.0] * 99), TASKS["ltv"], MAPPING)


def test_rows_tell_over_how_many_days_their_spend_is() -> None:
    spend = {"spend": [0.0, 5.0] * 50}
    assert prepare(history(100, **spend), TASKS["ltv"], MAPPING).window_days == 365
    assert prepare(history(100, window_days=[90] * 100, **spend), TASKS["ltv"], MAPPING).window_days == 90
    with pytest.raises(TrainingDataError, match="'window_days' holds 90, 365"):
        prepare(history(100, window_days=[90, 365] * 50, **spend), TASKS["ltv"], MAPPING)


def test_an_offer_not_shown_is_not_observed() -> None:
    names = ["shown_offer_id", "converted_offer_id"]
    targets = TASKS["nbo"].targets(FeatureTable.from_rows(["a", "b"], names, [[1, None], [8, 8]]))
    assert targets.tolist() == [[0] + [-1] * 7, [-1] * 7 + [1]]


def test_conversions_alone_give_shares_of_the_offers() -> None:
    table = FeatureTable.from_rows(["a", "b"], ["converted_offer_id"], [[1], [8]])
    assert TASKS["nbo"].targets(table).tolist() == [[1] + [0] * 7, [0] * 7 + [1]]


def test_the_number_of_offers_is_that_of_the_offers_file_where_it_is_given() -> None:
    table = FeatureTable.from_rows(["a", "b"], ["converted_offer_id"], [[1], [3]])
    assert TASKS["nbo"].targets(table).shape == (2, 3)
    assert TASKS["nbo"].sized(10).targets(table).shape == (2, 10)
    with pytest.raises(ModelInputError, match="'converted_offer_id' holds 3; it may hold 1 to 2 or null"):
        TASKS["nbo"].sized(2).targets(table)


def test_pieces_cover_the_range_seen_without_gaps() -> None:
    inputs = np.random.default_rng(2).gamma(1, 100, (500, 2)).astype(np.float32)
    inputs[::7, 1] = np.nan
    learned = learn_preprocessing(inputs)
    assert learned.flagged.tolist() == [1]
    assert learned.logged.all()
    for feature in range(2):
        left = learned.left[learned.source == feature]
        right = left + learned.width[learned.source == feature]
        np.testing.assert_allclose(left[1:], right[:-1], rtol=1e-5)
        np.testing.assert_allclose(
            np.expm1([left[0], right[-1]]), [learned.low[feature], learned.high[feature]], rtol=1e-4
        )


def test_pieces_of_a_feature_of_two_values_have_a_width() -> None:
    width = learn_preprocessing(np.array([[0], [1]] * 30, dtype=np.float32)).width
    assert (width > 0).all()
    assert width.sum() == 1
