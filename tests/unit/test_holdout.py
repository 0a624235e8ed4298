"""The control group."""

from __future__ import annotations

import pytest

from campaigns.holdout import is_in_holdout
from tests.builders import campaign


@pytest.mark.parametrize(("percent", "share"), [(0, 0), (10, 1000), (50, 5000)])
def test_the_holdout_is_about_its_share_of_customers(percent: float, share: int) -> None:
    """Of 10,000, within four standard deviations of a fair draw."""
    held = campaign(holdout_percent=percent)
    assert sum(is_in_holdout(held, f"customer-{number}") for number in range(10_000)) == pytest.approx(share, abs=200)


def test_a_larger_holdout_keeps_all_of_the_smaller() -> None:
    small, large = campaign(holdout_percent=10), campaign(holdout_percent=20)
    names = [f"customer-{number}" for number in range(1000)]
    assert {n for n in names if is_in_holdout(small, n)} < {n for n in names if is_in_holdout(large, n)}


def test_campaigns_of_one_group_hold_out_the_same_customers() -> None:
    """So staff are not asked to call a customer whom the other campaign leaves alone."""
    one, other = campaign(holdout_percent=20, holdout_group="all"), campaign(key="other", holdout_percent=20)
    same = other.model_copy(update={"holdout_group": "all"})
    names = [f"customer-{number}" for number in range(1000)]
    assert [is_in_holdout(one, each) for each in names] == [is_in_holdout(same, each) for each in names]
    assert [is_in_holdout(one, each) for each in names] != [is_in_holdout(other, each) for each in names]


def test_two_campaigns_hold_out_different_customers() -> None:
    """Otherwise all campaigns would leave the same people out."""
    one, other = campaign(holdout_percent=50), campaign(key="other", holdout_percent=50)
    names = [f"customer-{number}" for number in range(1000)]
    agree = sum(is_in_holdout(one, name) == is_in_holdout(other, name) for name in names)
    assert 400 < agree < 600
