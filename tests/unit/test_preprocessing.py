"""What is learned of features before a net sees them."""

from __future__ import annotations

import numpy as np
import pytest

from training.nets.preprocessing import learn_preprocessing


def columns(*cells: list[float]) -> np.ndarray:
    return np.array(cells, dtype=np.float32).T


def test_a_category_has_a_code_for_each_value_seen_and_no_pieces() -> None:
    learned = learn_preprocessing(columns([0, 2, 2, 5], [1, 2, 3, 4]), categories=[0])
    assert learned.code.tolist() == [0, 2, 5]
    assert learned.category.tolist() == [0, 0, 0]
    assert set(learned.source) == {1}


def test_a_constant_feature_gets_no_columns() -> None:
    learned = learn_preprocessing(columns([7, 7, 7], [1, 2, 3]))
    assert set(learned.origin) == {1}


def test_a_feature_that_is_always_null_gets_its_flag_alone() -> None:
    learned = learn_preprocessing(columns([np.nan] * 3, [1, 2, 3]))
    assert learned.flagged.tolist() == [0]
    assert learned.origin.tolist().count(0) == 1


@pytest.mark.parametrize("odd", [np.inf, -np.inf])
def test_what_is_infinite_counts_as_null(odd: float) -> None:
    learned = learn_preprocessing(columns([1, 2, 3, odd]))
    assert (learned.low[0], learned.high[0], learned.median[0]) == (1, 3, 2)
    assert learned.flagged.tolist() == [0]


@pytest.mark.parametrize(
    ("cells", "logged"), [([0] * 9 + [1000], True), ([-1] + [0] * 8 + [1000], False), ([1, 2, 3], False)]
)
def test_only_what_is_skewed_and_never_negative_is_logged(cells: list[float], logged: bool) -> None:
    assert learn_preprocessing(columns(cells)).logged[0] == logged


def test_the_manifest_tells_numbers_from_categories() -> None:
    number, category = learn_preprocessing(columns([1, 2, 3], [0, 1, np.nan]), categories=[1]).describe(["age", "tier"])
    assert number["clamp"] == [1, 3]
    assert category == {"feature": "tier", "missing_flag": True, "categories": [0, 1]}
