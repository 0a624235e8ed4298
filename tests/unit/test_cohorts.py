"""Cohorts: customers by the month of their first purchase, and who buys again."""

from __future__ import annotations

from intelligence.cohorts import build_cohorts

PURCHASES = [
    ("ann", "2026-01-05"),
    ("ann", "2026-01-20"),
    ("ann", "2026-03-01"),
    ("bob", "2026-01-31"),
    ("cid", "2026-02-10"),
    (None, "2026-02-10"),
    ("dan", "no day"),
]


def test_each_customer_belongs_to_the_month_of_the_first_purchase() -> None:
    rows = build_cohorts(PURCHASES).rows(12)
    assert [(row.name, row.size, row.active) for row in rows] == [
        ("2026-01", 2, [2, 0, 1]),
        ("2026-02", 1, [1, 0]),
        ("2026-03", 0, [0]),
    ]


def test_only_the_latest_cohorts_are_returned() -> None:
    assert [row.name for row in build_cohorts(PURCHASES).rows(1)] == ["2026-03"]


def test_a_cell_names_its_customers() -> None:
    january = 12 * 2026
    assert build_cohorts(PURCHASES).active(january, 2, most=10) == ["ann"]


def test_without_purchases_there_are_no_cohorts() -> None:
    assert build_cohorts([]).rows(12) == []
