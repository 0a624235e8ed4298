"""What the quality benchmark says of its own figures."""

from __future__ import annotations

import pytest

from benchmarks.quality.targets import Target, tabulate


@pytest.mark.parametrize(("figure", "least", "met"), [(0.8, True, True), (0.7, True, False), (0.7, False, True)])
def test_a_bound_is_the_least_or_the_most(figure: float, least: bool, met: bool) -> None:
    target = Target("x", ("telco", "auc"), {}, 0.75, least=least)
    assert target.reach({"telco": {"auc": figure}}) == (figure, f"{'>=' if least else '<='} 0.7500", met)


@pytest.mark.parametrize(("least", "met"), [(True, False), (False, False)])
def test_without_a_bound_the_best_rival_is_to_be_reached(least: bool, met: bool) -> None:
    rivals = {"linear": "linear_auc", "rule": "rule_auc"}
    target = Target("x", ("telco", "tenth", "auc"), rivals, margin=0.125, least=least)
    results = {"telco": {"tenth": {"auc": 0.75, "linear_auc": 0.5, "rule_auc": 0.75}}}
    assert target.reach(results) == (0.75, ">= 0.8750" if least else "<= 0.6250", met)


@pytest.mark.parametrize(("figure", "met"), [(0.77, False), (0.78, True), (0.82, True), (0.83, False)])
def test_a_figure_may_have_to_be_between_two(figure: float, met: bool) -> None:
    assert Target("x", ("a",), {}, (0.78, 0.82)).reach({"a": figure}) == (figure, "0.78 to 0.82", met)


def test_what_was_not_measured_is_not_in_the_table() -> None:
    assert not Target("x", ("cdnow", "window_only", "auc"), {}, 0.7).is_in({"cdnow": {"auc": 1.0}})
    assert tabulate({}).row_count == 0
