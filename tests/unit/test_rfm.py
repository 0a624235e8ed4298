"""RFM scores and segments."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pytest

from features.table import FeatureTable
from models.rfm import RFM_SOURCES, SEGMENTS, RfmCuts, quintiles, rfm_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

CUTS = RfmCuts(recency=(10, 20, 30, 40), frequency=(1, 2, 3, 4), monetary=(1, 2, 3, 4))
NAMES = ("days_since_last_transaction", "transaction_count", "total_revenue")


def customers(rows: Sequence[tuple[float, float, float]]) -> FeatureTable:
    ids = tuple(map(str, range(len(rows))))
    return FeatureTable(ids, dict(zip(NAMES, np.array(rows, dtype=float).T, strict=True)))


def every_score() -> FeatureTable:
    return customers([(55 - 10 * r, f, m) for r, f, m in product(range(1, 6), repeat=3)])


def test_every_combination_of_scores_has_a_segment_and_every_segment_occurs() -> None:
    got = rfm_columns(every_score(), CUTS)
    scores = zip(got["rfm_recency"], got["rfm_frequency"], got["rfm_monetary"], strict=True)
    assert list(scores) == list(product(range(1, 6), repeat=3))
    assert set(got["rfm_segment"]) == set(SEGMENTS)
    assert len(SEGMENTS) == 11


@pytest.mark.parametrize(
    ("row", "segment"),
    [
        ((1, 9, 9), "Champions"),
        ((25, 9, 9), "Loyal"),
        ((1, 3, 2), "Potential Loyalists"),
        ((1, 1, 1), "New Customers"),
        ((15, 1, 1), "Promising"),
        ((25, 3, 3), "Need Attention"),
        ((25, 1, 1), "About To Sleep"),
        ((35, 4, 4), "At Risk"),
        ((99, 9, 9), "Cannot Lose Them"),
        ((35, 1, 1), "Hibernating"),
        ((99, 1, 1), "Lost"),
    ],
)
def test_typical_customers_are_in_the_usual_segments(row: tuple[float, float, float], segment: str) -> None:
    assert rfm_columns(customers([row]), CUTS)["rfm_segment"].tolist() == [segment]


def test_a_value_on_a_cut_point_has_not_passed_it() -> None:
    got = rfm_columns(customers([(10, 1, 1), (10.5, 1.5, 1.5)]), CUTS)
    assert got["rfm_recency"].tolist() == [5, 4]
    assert got["rfm_frequency"].tolist() == [1, 2]


@pytest.mark.parametrize("row", [(np.nan, 0, 0), (np.nan, np.nan, 0), (np.nan, 0, np.nan)])
def test_a_customer_without_orders_scores_one(row: tuple[float, float, float]) -> None:
    got = rfm_columns(customers([row]), CUTS)
    assert [got[name][0] for name in ("rfm_recency", "rfm_frequency", "rfm_monetary")] == [1, 1, 1]
    assert got["rfm_segment"].tolist() == ["Lost"]


def test_a_customer_of_whom_nothing_is_known_has_no_score() -> None:
    """Independent of the rest of the batch: a view may have the columns and no values in them."""
    alone, together = (
        rfm_columns(customers(rows), CUTS) for rows in ([(np.nan,) * 3], [(1, 9, 9), (np.nan,) * 3, (99, 1, 1)])
    )
    nothing = dict.fromkeys(RFM_SOURCES)
    assert FeatureTable(("a",), alone).row(0) == FeatureTable(("a", "b", "c"), together).row(1) == nothing
    assert together["rfm_segment"].tolist() == ["Champions", None, "Lost"]


@pytest.mark.parametrize("missing", NAMES)
def test_what_a_missing_column_is_needed_for_is_null(missing: str) -> None:
    """The other scores are those of the whole table."""
    whole = customers([(1, 9, 9), (99, 1, 1)])
    table = FeatureTable(whole.customer_ids, {name: cells for name, cells in whole.columns.items() if name != missing})
    got, expected = rfm_columns(table, CUTS), rfm_columns(whole, CUTS)
    for name, sources in RFM_SOURCES.items():
        if missing in sources:
            assert FeatureTable(("a", "b"), got).row(0)[name] is None
        else:
            assert got[name].tolist() == expected[name].tolist()
        assert got[name].dtype == expected[name].dtype


def test_quintiles_put_a_fifth_of_the_customers_in_each_score() -> None:
    table = customers([(day, day, day) for day in range(1, 101)])
    cuts = quintiles(table, np.arange(100.0))
    counts = np.unique(rfm_columns(table, cuts)["rfm_monetary"], return_counts=True)[1]
    assert counts.tolist() == [20, 20, 20, 20, 20]
    assert cuts.value == (49.5, 79.2)
