"""The funnel of a campaign's contacts."""

from __future__ import annotations

from campaigns.exposures import ContactCounts
from console.web.funnel import draw_funnel


def test_bars_are_shares_of_the_first_stage() -> None:
    funnel = draw_funnel(ContactCounts(decided=200, published=100, converted=1))
    assert funnel is not None
    first, published, *_, converted = funnel.bars
    assert published.width == first.width / 2
    assert converted.said == "1 (0.5%)"
    assert funnel.summary.startswith("to contact 200 (100.0%), published 100 (50.0%)")


def test_without_contacts_there_is_no_funnel() -> None:
    assert draw_funnel(ContactCounts()) is None
