from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from features.table import FeatureTable, column


@pytest.mark.parametrize(
    ("cells", "kind", "dtype"),
    [
        ([1, 2.5, None], None, np.float64),
        ([True, False], None, np.bool_),
        ([True, None], None, object),
        (["a", None], None, object),
        ([None, None], None, np.float64),
        ([None, None], "other", object),
        ([None, None], "boolean", object),
        ([], "boolean", np.bool_),
        ([], "other", object),
    ],
)
def test_a_column_has_the_type_of_its_kind_or_else_of_its_values(cells: list[Any], kind: Any, dtype: Any) -> None:
    made = column(cells, kind)
    assert (made.dtype, len(made)) == (dtype, len(cells))


def test_cells_that_are_lists_of_one_length_stay_cells() -> None:
    assert column([[1, 2], [3, 4]]).tolist() == [[1, 2], [3, 4]]


def test_a_row_comes_back_as_it_went_in_with_nulls_as_none() -> None:
    names, row = ["n", "b", "t", "l", "z"], [1.5, True, "x", ["y"], None]
    table = FeatureTable.from_rows(["ann"], names, [row])
    assert table.row(0) == dict(zip(names, row, strict=True))


def test_taking_rows_keeps_ids_and_columns_together() -> None:
    table = FeatureTable.from_rows(["a", "b", "c"], ["n"], [[1], [2], [3]]).take([2, 0])
    assert (table.customer_ids, table.columns["n"].tolist()) == (("c", "a"), [3, 1])
