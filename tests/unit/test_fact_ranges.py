"""The ends and the steps of sliders."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.fact_ranges import FactRange, find_range

NUMBERS = st.floats(allow_nan=False, allow_infinity=False, width=32) | st.integers(-(10**9), 10**9)


@pytest.mark.parametrize(
    ("values", "today", "found"),
    [
        ([0, 37, 365], 5, (0, 365, 5)),
        ([1, 2, 7], 3, (1, 7, 1)),
        ([0.0, 0.5], 0.25, (0, 0.5, 0.005)),
        ([12.5, 980], 2_000, (0, 2_000, 20)),
        ([-3, "x", None, True, math.nan, math.inf], 4.5, (-3, 4.5, 0.1)),
    ],
)
def test_a_range_has_steps_that_people_count_in(values: list[object], today: float, found: tuple[float, ...]) -> None:
    assert find_range(values, today) == FactRange(*map(pytest.approx, found))


@pytest.mark.parametrize("values", [[], [5, 5.0], ["5", None]])
def test_there_is_none_where_all_are_the_same(values: list[object]) -> None:
    assert find_range(values, 5) is None


@given(st.lists(NUMBERS), NUMBERS)
def test_all_values_are_within_it(values: list[float], today: float) -> None:
    found = find_range(values, today)
    for each in (*values, today):
        assert found is None or found.low - found.step / 2 <= each <= found.high + found.step / 2
    if found is not None:
        assert 20 <= round((found.high - found.low) / found.step) + 100 * (found.step == 1) <= 202
