"""No feature of a snapshot knows anything of its cut-off or of what came after it."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from training.data.point_in_time import Orders, Snapshots, Windows, take_snapshots

CUT_OFF = np.datetime64("2011-06-01")
# Mostly days at which a window begins or ends: that is where a comparison may be off by one.
EDGES = [CUT_OFF.astype(date) + timedelta(days=days) for days in (-181, -180, -31, -30, -1, 0, 1, 29, 30, 89, 90)]
DAYS = st.sampled_from(EDGES) | st.integers(0, 400).map(lambda days: date(2010, 9, 1) + timedelta(days=days))
AMOUNTS = st.sampled_from([-20.0, 0.0, 5.0, 7.5, 300.0])
ROWS = st.lists(st.tuples(st.sampled_from("abcde"), DAYS, AMOUNTS), max_size=40)
FUTURE = st.integers(0, 3).map(lambda days: CUT_OFF.astype(date) + timedelta(days=days))
LATER = st.lists(st.tuples(st.sampled_from("ab"), FUTURE, AMOUNTS), max_size=8)
WINDOWS = st.builds(Windows, st.sampled_from([30, 180]), st.sampled_from([30, 90]), st.integers(1, 3))


def orders(rows: list[tuple[str, date, float]]) -> Orders:
    return Orders(
        np.array([row[0] for row in rows], dtype=np.str_),
        np.array([row[1] for row in rows], dtype="datetime64[D]"),
        np.array([row[2] for row in rows], dtype=np.float64),
    )


def snapshot(rows: list[tuple[str, date, float]], windows: Windows) -> Snapshots:
    return take_snapshots(orders(rows), np.array([CUT_OFF]), windows)


@given(before=ROWS, after=LATER, other=LATER, windows=WINDOWS)
def test_changing_adding_or_removing_what_came_later_changes_no_feature_and_no_row(
    before: list[tuple[str, date, float]],
    after: list[tuple[str, date, float]],
    other: list[tuple[str, date, float]],
    windows: Windows,
) -> None:
    known = [row for row in before if np.datetime64(row[1]) < CUT_OFF]
    one, two = (snapshot(known + future, windows) for future in (after, other))
    assert one.customer.tolist() == two.customer.tolist()
    for name, values in one.features.items():
        np.testing.assert_array_equal(values, two.features[name], err_msg=name)


@given(before=ROWS, after=ROWS, windows=WINDOWS)
def test_labels_are_of_the_window_from_the_cut_off_on_and_nothing_else(
    before: list[tuple[str, date, float]], after: list[tuple[str, date, float]], windows: Windows
) -> None:
    rows = before + after
    ends = CUT_OFF + np.timedelta64(windows.prediction, "D")
    taken = snapshot(rows, windows)
    for customer, churned, spend in zip(taken.customer, taken.churned, taken.spend, strict=True):
        bought = [row[2] for row in rows if row[0] == customer and CUT_OFF <= np.datetime64(row[1]) < ends]
        purchases = [amount for amount in bought if amount > 0]
        assert churned == (not purchases)
        np.testing.assert_allclose(spend, sum(purchases))


@given(rows=ROWS, windows=WINDOWS, seed=st.integers(0, 9))
def test_the_order_of_the_rows_does_not_matter(
    rows: list[tuple[str, date, float]], windows: Windows, seed: int
) -> None:
    shuffled = [rows[place] for place in np.random.default_rng(seed).permutation(len(rows))]
    one, two = snapshot(rows, windows), snapshot(shuffled, windows)
    assert one.customer.tolist() == two.customer.tolist()
    for name, values in one.features.items():
        np.testing.assert_allclose(values, two.features[name], err_msg=name)
