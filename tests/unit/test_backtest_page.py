"""What the page of a backtest says, and that it needs nothing from elsewhere."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from campaigns.replay_differences import Exposure
from console.backtest_page import render_page
from console.backtest_views import as_object, describe_estimate, headline, tone
from console.use_cases.backtest_estimates import Action, estimate
from console.use_cases.backtests import Backtest, read_opportunity, summarise
from console.use_cases.replay import ReasonCount, Replayed
from tests.unit.test_backtest_estimates import FIRST, SECOND, opportunity, simulate

REPLAY = Replayed(
    "a1b2c3d4",
    datetime(2026, 3, 1, tzinfo=UTC),
    datetime(2026, 4, 1, tzinfo=UTC),
    records=1_000,
    seconds=2.0,
    counts={},
    uncertain={},
    reasons=[ReasonCount("changed", "win-back", "fired", "fired", "message", 41)],
    days=[],
    sources={"recorded": 900},
    unsent=(0, 0),
    rejects={},
    missing={},
    examples=(),
    caveats=(),
)
CONTACT = Exposure(
    campaign="win-back",
    customer_id="<b>ann</b>",
    outcome="fired",
    channel="email",
    offer_id=1,
    propensity=1.0,
    net_value=3.0,
    contact_cost=0.5,
    offer_cost=4.0,
    live_outcome="fired",
    live_channel="email",
    live_offer_id=1,
    live_propensity=0.8,
    live_contact_cost=0.5,
    live_offer_cost=2.0,
    is_converted=True,
    value=20.0,
)


def test_contacts_and_costs_are_counted_on_both_sides() -> None:
    """Of the control group nothing is spent; an offer costs where it was accepted."""
    held_out = replace(CONTACT, outcome="control", live_outcome="control", customer_id="bob")
    silent = replace(CONTACT, outcome=None, channel=None, offer_id=None, is_converted=False, value=0.0)
    found = summarise(REPLAY, [CONTACT, held_out, silent])
    planned, recorded = found.planned, found.recorded
    assert (planned.contacts, planned.held_out, planned.contact_cost, planned.offer_cost) == (1, 1, 0.5, 4.0)
    assert (recorded.contacts, recorded.held_out, recorded.contact_cost, recorded.offer_cost) == (2, 1, 1.0, 2.0)


def test_what_was_earned_is_net_of_what_was_spent() -> None:
    assert read_opportunity(CONTACT).earned == 20.0 - 0.5 - 2.0
    assert read_opportunity(replace(CONTACT, live_outcome="control")).earned == 20.0
    assert read_opportunity(replace(CONTACT, is_converted=False, value=0.0)).earned == -0.5
    assert read_opportunity(CONTACT).recorded == Action("email", 1)


def backtest(planned: Action | None, customers: int = 3_000) -> Backtest:
    log = simulate(np.random.default_rng(5), customers, planned)
    return replace(summarise(REPLAY, [CONTACT]), estimate=estimate(log))


@pytest.mark.parametrize(
    ("planned", "said", "shown"),
    [(SECOND, "it would have earned more than", "good"), (None, "it would have earned less than", "bad")],
)
def test_the_headline_says_what_is_established(planned: Action | None, said: str, shown: str) -> None:
    found = backtest(planned)
    assert said in headline(found)
    assert tone(found.estimate) == shown


def test_what_is_not_established_is_left_open() -> None:
    few = estimate(simulate(np.random.default_rng(5), 60, FIRST))
    assert describe_estimate(few).startswith("There is not enough evidence")
    assert tone(few) == "open"
    nothing = estimate([opportunity(SECOND, FIRST)])
    assert describe_estimate(nothing).startswith("No estimate of its effect is possible")
    assert describe_estimate(estimate([])).startswith("Nothing was or would be sent")


def test_the_page_is_one_file_without_script() -> None:
    page = render_page(backtest(SECOND))
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert "41 contacts differ in the message alone" in page
    assert page == render_page(backtest(SECOND))


def test_the_json_has_the_reasons_without_support() -> None:
    found = replace(backtest(SECOND), estimate=estimate([opportunity(SECOND, FIRST)]))
    assert as_object(found)["estimate"]["unsupported"] == {"never_offered": 1}
