"""What the quality benchmark says of its own figures."""

from __future__ import annotations

import pytest

from benchmarks.quality.targets import Target, tabulate


@pytest.mark.parametrize(("figure", "least", "met"), [(0.8, True, True), (0.7, True, False), (0.7, False, True)])
def test_a_bound_is_the_least_or_the_most(figure: float, least: bool, met: bool) -> None:
    target = Target("x", ("telco", "auc"), {}, 0.75, least=least)
    assert target.reach({"telco": {"auc": figure}}) == (figure, 0.75, met)


def test_a_bound_may_be_a_rivals_figure_and_a_margin() -> None:
    target = Target("x", ("telco", "tenth", "auc"), {}, "lightgbm_auc", 0.25)
    assert target.reach({"telco": {"tenth": {"auc": 0.75, "lightgbm_auc": 0.5}}}) == (0.75, 0.75, True)


def test_what_was_not_measured_is_not_in_the_table() -> None:
    assert not Target("x", ("cdnow", "window_only", "auc"), {}, 0.7).is_in({"cdnow": {"auc": 1.0}})
    assert tabulate({}).row_count == 0
