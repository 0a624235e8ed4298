"""A campaign's performance in values, words, characters and on the page."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from campaigns.errors import CampaignDefinitionError
from campaigns.exposures import CONTROL, TREATED, ContactCounts, ExposureDay
from console.cli.performance import PLOT_LINES, draw
from console.performance_page import draw_chart, render_page
from console.performance_views import (
    as_object,
    comparison_rows,
    contact_rows,
    describe_measured,
    effect_rows,
    headline,
    sentences,
    variant_rows,
    version_rows,
)
from console.use_cases.performance import evaluate, find_campaign, find_group
from tests.builders import campaign

if TYPE_CHECKING:
    from campaigns.definition import Campaign
    from console.use_cases.performance import CampaignPerformance

HELD = campaign(holdout_percent=10)
FIRST = date(2026, 3, 1)


def exposed(
    arm: str, customers: int, converted: int = 0, *, version: str | None = HELD.version, day: int = 0, each: int = 0
) -> ExposureDay:
    """Customers exposed on a day, and those who converted on it, for a value each."""
    on = FIRST + timedelta(days=day)
    return ExposureDay(version, arm, on, customers, converted, Decimal(each * converted), Decimal(each**2 * converted))


def measured(*days: ExposureDay, of: Campaign = HELD, in_both_arms: int = 0, refused: int = 0) -> CampaignPerformance:
    """The performance from exposure days; each customer had one contact."""
    contacts = {}
    for arm in (TREATED, CONTROL):
        customers = sum(each.customers for each in days if each.arm == arm)
        if customers:
            contacts[arm] = ContactCounts(customers, customers - refused, refused if arm == TREATED else 0)
    return evaluate(of, contacts, days, in_both_arms=in_both_arms)


def growing(days: int = 40, *, treated: int = 20, control: int = 10) -> CampaignPerformance:
    """Of a campaign that exposes a hundred customers in each arm on each day, of whom so many convert, for 5 each."""
    halved = campaign(holdout_percent=50)
    found = [
        exposed(arm, 100, converted, version=halved.version, day=day, each=5)
        for day in range(days)
        for arm, converted in ((TREATED, treated), (CONTROL, control))
    ]
    return measured(*found, of=halved)


EFFECTIVE = growing()


def said_of(found: CampaignPerformance) -> str:
    return "\n".join((headline(found), *sentences(found)))


def test_an_established_effect_is_told_with_its_interval() -> None:
    effect = "The campaign has an effect: more customers convert than without it, by +10.00 percentage points, "
    assert headline(EFFECTIVE).startswith(f"{effect}95 % interval +")
    assert "The split is as planned: 4,000 of 8,000 customers" in said_of(EFFECTIVE)
    assert "Revenue: +0.50 per customer, 95 % interval +" in said_of(EFFECTIVE)


def test_revenue_is_passed_over_where_no_outcome_has_a_value() -> None:
    assert "Revenue" not in said_of(measured(exposed(TREATED, 900, 90), exposed(CONTROL, 100, 10)))


def test_a_harmful_campaign_is_told_as_one() -> None:
    assert "fewer customers convert than without it, by -15.00" in headline(growing(treated=5, control=20))


def test_an_effect_that_is_not_established_is_told_as_that() -> None:
    found = measured(exposed(TREATED, 900, 90), exposed(CONTROL, 100, 10))
    assert headline(found).startswith("No effect on conversion is established: the difference is +0.00")
    assert headline(found).endswith("which contains 0.")


def test_an_effect_that_was_established_and_is_not_now_is_told_with_its_day() -> None:
    """The customers of the first day differ between the arms, those who follow do not."""
    large = exposed(TREATED, 100, 60), exposed(CONTROL, 100, 10)
    same = exposed(TREATED, 4_000, 1_200, day=9), exposed(CONTROL, 4_000, 1_210, day=9)
    found = measured(*(replace(each, version="half") for each in (*large, *same)))
    assert "No effect on conversion is established" in headline(found)
    assert "On earlier days an effect was established, first on 2026-03-01" in said_of(found)
    assert "On earlier days" not in said_of(EFFECTIVE)


def test_a_small_arm_gives_figures_and_no_interval() -> None:
    """With what is needed, and what there is."""
    found = measured(exposed(TREATED, 90, 9), exposed(CONTROL, 10, 1))
    assert "too early for a conclusion" in headline(found)
    assert "it has 10 customers and 1.0 such conversions." in headline(found)
    assert "each arm needs 100 customers" in headline(found)
    assert found.effect is not None
    assert found.effect.conversion.low is None
    assert ("conversion rate", "10.00 %", "10.00 %", "+0.00 points", "too early") in effect_rows(found.effect)


def test_a_control_group_without_conversions_gives_no_lift_and_a_doubt() -> None:
    found = measured(exposed(TREATED, 900, 300), exposed(CONTROL, 100))
    assert found.effect is not None
    assert found.effect.conversion.lift is None
    assert ("relative lift", "", "", "none: no control conversion", "") in effect_rows(found.effect)
    assert "check that conversions of control exposures are reported" in said_of(found)


def test_a_campaign_without_a_holdout_says_why_there_is_no_lift_and_what_to_do() -> None:
    found = measured(exposed(TREATED, 500, 50, version=campaign().version), of=campaign())
    assert found.effect is None
    assert found.sample_ratio is None
    assert "holds no customer out" in headline(found)
    assert "Set holdout_percent, for example 10" in headline(found)
    assert contact_rows(found)[0] == ("decided", "500", "0", "500")


def test_a_campaign_without_exposures_says_so() -> None:
    assert headline(measured()) == "win-back has exposed no customer yet: none was contacted, and none held out."
    assert (measured().days, sentences(measured())) == ([], [])


def test_one_arm_alone_is_not_compared() -> None:
    found = measured(exposed(TREATED, 20, 2))
    assert "No version of win-back has customers in both arms yet" in headline(found)
    assert "it holds out 10 %" in headline(found)


def test_a_wrong_split_is_told_before_any_effect() -> None:
    wrong = measured(exposed(TREATED, 5_000, 2_000), exposed(CONTROL, 300, 10))
    assert headline(wrong).startswith("The arms are not comparable")
    assert "is established" not in said_of(wrong)
    assert sentences(wrong)[0].startswith(
        "Alarm: 300 of 5,300 customers of the present version are in the control group"
    )


def test_the_split_is_that_of_the_present_version() -> None:
    """An earlier one held out another share, which the ledger does not know."""
    found = measured(
        exposed(TREATED, 500, 50, version="earlier"), exposed(CONTROL, 500, 50, version="earlier"),
        exposed(TREATED, 90, 9, day=1), exposed(CONTROL, 11, 1, day=1),
    )  # fmt: skip
    assert found.sample_ratio is not None
    assert (found.sample_ratio.customers, found.sample_ratio.alarm) == (101, False)
    assert "averages over 2 versions" in said_of(found)
    assert [row[0] for row in version_rows(found)] == ["earlier", f"{HELD.version} (present)"]


def test_customers_that_cannot_be_compared_are_counted() -> None:
    """Those of a version without a control group, and those whose version is unknown."""
    found = measured(
        exposed(TREATED, 500, 50, version="open to all"), exposed(TREATED, 7, version=None), exposed(TREATED, 900, 90),
        exposed(CONTROL, 100, 10), in_both_arms=3, refused=2,
    )  # fmt: skip
    assert (found.customers, found.left_out) == (1_507, 507)
    assert "507 of 1,507 customers are not compared" in said_of(found)
    assert "3 customers were contacted and held out" in said_of(found)
    assert "2 triggers could not be published; their customers count as treated." in said_of(found)
    assert version_rows(found)[0][5] == "one arm only"


def costing(cost: int, *, sold: int = 200) -> CampaignPerformance:
    """Each of 1,000 treated customers costs so much, and each who converts brings 10; 100 of as many held out do."""
    return measured(
        replace(
            exposed(TREATED, 1_000, sold, each=10),
            cost=Decimal(cost * 1_000),
            cost_in_squares=Decimal(sold * cost * (cost - 20) + (1_000 - sold) * cost**2),
        ),
        exposed(CONTROL, 1_000, 100, each=10),
    )


def test_costs_are_subtracted_from_the_revenue_of_each_customer() -> None:
    effect = costing(2).effect
    assert effect is not None
    assert effect.net is not None
    assert effect.revenue.difference == pytest.approx(1)
    assert (effect.net.treated, effect.net.control) == (pytest.approx(0), pytest.approx(1))
    assert effect.net.difference == pytest.approx(-1)
    assert effect.net.is_established
    assert effect_rows(effect)[-1][:4] == ("net per customer", "0.00", "1.00", "-1.00")


def test_one_more_conversion_costs_what_the_campaign_costs_for_each_that_is_gained() -> None:
    """The hundred that are gained cost 2,000."""
    found = costing(2)
    assert found.effect is not None
    each = found.effect.cost_per_conversion
    assert each is not None
    assert each.low is not None
    assert each.high is not None
    assert each.value == pytest.approx(20)
    assert each.low < 20 < each.high
    shown = json.loads(json.dumps(as_object(found)))["effect"]
    assert shown["cost_per_conversion"]["value"] == pytest.approx(20)
    assert shown["net_per_customer"]["established"]


def test_where_no_conversion_is_gained_none_has_a_cost() -> None:
    found = costing(2, sold=100).effect
    assert found is not None
    assert found.cost_per_conversion is None


def test_contacts_are_listed_with_their_cost_where_they_have_one() -> None:
    counts = ContactCounts(decided=3, revenue=Decimal(10), contact_cost=Decimal(2), offer_cost=Decimal(1))
    assert (counts.cost, counts.net) == (3, 7)
    shown = contact_rows(evaluate(HELD, {TREATED: counts}, [exposed(TREATED, 3)]))
    assert [row[:2] for row in shown[-3:]] == [
        ("cost of contacts", "2.00"),
        ("cost of offers", "1.00"),
        ("net", "7.00"),
    ]
    assert contact_rows(EFFECTIVE)[-1][0] == "revenue"


TOGETHER = [campaign(key=key, holdout_group="spring", holdout_percent=10) for key in ("first", "second")]


def test_campaigns_of_a_group_are_measured_together() -> None:
    """By the campaign and version of a customer's first exposure; the split is that of all present versions."""
    names = [f"{each.key} {each.version}" for each in TOGETHER]
    days = [
        exposed(arm, customers, converted, version=name)
        for name, sold in zip(names, (400, 300), strict=True)
        for arm, customers, converted in ((TREATED, 1_800, sold), (CONTROL, 200, 20))
    ]
    found = evaluate(find_group(TOGETHER, "spring"), {}, days)
    assert headline(found).startswith("The campaigns together have an effect: more customers convert than without them")
    assert found.sample_ratio is not None
    assert (found.sample_ratio.customers, found.sample_ratio.control) == (4_000, 400)
    assert [row[0] for row in version_rows(found)] == [f"{name} (present)" for name in names]
    assert describe_measured(found) == "group spring: first, second; holdout 10 %"
    shown = json.loads(json.dumps(as_object(found)))
    assert (shown["group"], shown["campaigns"]) == ("spring", ["first", "second"])
    assert "Campaigns of the group spring" in render_page(found)
    assert "there is nothing to compare" in headline(evaluate(find_group(TOGETHER, "spring"), {}, days[:1]))


def test_campaigns_that_hold_out_different_shares_have_no_planned_split() -> None:
    """Some customers are then in the control group of one and contacted by another."""
    group = find_group([TOGETHER[0], campaign(key="third", holdout_group="spring", holdout_percent=5)], "spring")
    found = evaluate(group, {}, [exposed(TREATED, 9, version="x"), exposed(CONTROL, 9, version="x")], in_both_arms=2)
    assert (group.holdout_percent, found.sample_ratio) == (None, None)
    assert "because the campaigns hold out different shares" in said_of(found)
    assert describe_measured(found) == "group spring: first, third; holdout 5 to 10 %"


def test_an_unknown_group_is_answered_with_those_there_are() -> None:
    with pytest.raises(CampaignDefinitionError, match="no campaign has the holdout_group 'x'; there are: spring"):
        find_group(TOGETHER, "x")
    with pytest.raises(CampaignDefinitionError, match="no campaign has a holdout_group"):
        find_group([campaign()], "x")


VARIED = campaign(holdout_percent=10, variants=[{"key": "plain"}, {"key": "short", "message": "Hi"}])


def by_variant(*of: tuple[str | None, int, int], version: str = VARIED.version) -> list[ExposureDay]:
    """So many treated customers of each variant, and converted ones; a tenth as many are held out, of whom 5 % do."""
    return [
        replace(exposed(arm, customers, converted, version=version, each=2), variant=key)
        for key, treated, sold in of
        for arm, customers, converted in ((TREATED, treated, sold), (CONTROL, treated // 9, treated // 180))
    ]


def test_variants_are_compared_with_their_control_groups_and_with_the_first() -> None:
    found = measured(*by_variant(("short", 9_000, 1_800), ("plain", 9_000, 900)), of=VARIED)
    plain, short = found.variants
    assert (plain.key, plain.share, plain.customers, plain.against_first) == ("plain", 0.5, 10_000, None)
    assert plain.effect is not None
    assert short.effect is not None
    assert short.against_first is not None
    assert plain.effect.conversion.difference == pytest.approx(0.05)
    assert short.effect.conversion.difference == pytest.approx(0.15)
    assert short.against_first.conversion.difference == pytest.approx(0.1)
    assert short.against_first.conversion.is_established
    assert "Variant short converts more customers than plain, by +10.00 percentage points" in said_of(found)
    assert [row[0] for row in (*variant_rows(found), *comparison_rows(found))] == ["plain", "short", "short"]
    assert found.effect is not None
    assert found.effect.conversion.difference == pytest.approx(0.1)
    page = render_page(found)
    assert "<h2>Variants</h2>" in page
    assert "against plain" in page
    shown = json.loads(json.dumps(as_object(found)))
    assert shown["variants"][1]["against_first"]["conversion_rate"]["difference"] == pytest.approx(0.1)
    assert shown["variant_ratio"]["customers"] == {"plain": 10_000, "short": 10_000}


def test_variants_that_do_not_differ_are_told_as_that_and_few_customers_as_too_early() -> None:
    same = measured(*by_variant(("plain", 9_000, 900), ("short", 9_000, 905)), of=VARIED)
    assert "No difference between the variants is established." in said_of(same)
    few = measured(*by_variant(("plain", 60, 6), ("short", 60, 6)), of=VARIED)
    assert "It is too early to compare the variants." in said_of(few)


def test_variants_that_are_not_split_as_planned_are_not_compared() -> None:
    found = measured(*by_variant(("plain", 9_000, 900), ("short", 1_800, 900)), of=VARIED)
    assert "Alarm: the customers of the present version are not split between the variants" in said_of(found)
    assert "Variant short converts" not in said_of(found)


def test_a_variant_of_an_earlier_version_is_shown_without_a_share() -> None:
    """Customers are compared within the version that exposed them first."""
    earlier = by_variant(("gone", 900, 90), ("plain", 900, 90), version="earlier")
    found = measured(*earlier, *by_variant(("plain", 900, 90), ("short", 900, 90)), of=VARIED)
    assert [(each.key, each.share) for each in found.variants] == [("plain", 0.5), ("short", 0.5), ("gone", None)]
    assert variant_rows(found)[2][1] == "none now"


def test_a_campaign_without_variants_shows_none() -> None:
    assert (EFFECTIVE.variants, EFFECTIVE.variant_ratio) == ([], None)
    assert "Variants" not in render_page(EFFECTIVE)


def test_days_accumulate_until_each_day() -> None:
    assert [(each.day, each.customers) for each in growing(3).days] == [
        (FIRST + timedelta(days=n), 200 * (n + 1)) for n in range(3)
    ]


def test_json_has_every_figure_as_a_number() -> None:
    found = json.loads(json.dumps(as_object(EFFECTIVE)))
    assert found["effect"]["conversion_rate"]["difference"] == pytest.approx(0.1)
    assert found["effect"]["revenue_per_customer"]["lift"] == pytest.approx(1)
    assert found["contacts"]["total"]["decided"] == 8_000
    assert found["days"][-1]["low"] == found["effect"]["conversion_rate"]["low"]
    assert json.loads(json.dumps(as_object(measured())))["effect"] is None


def test_the_plot_marks_zero_the_difference_and_its_interval() -> None:
    lines = draw(EFFECTIVE.days)
    assert len(lines) == PLOT_LINES
    assert re.fullmatch(r"  2026-04-09  \|? *\[-*o-*\] *  \+10\.00 \(\+\d\.\d\d to \+1\d\.\d\d\)", lines[-1])
    assert ">" in lines[0]
    assert {len(line.split("  +")[0]) for line in lines} == {len(lines[0].split("  +")[0])}


@pytest.mark.parametrize("found", [measured(), measured(exposed(TREATED, 90, 9), exposed(CONTROL, 10, 1))])
def test_without_an_interval_nothing_is_drawn(found: CampaignPerformance) -> None:
    assert draw(found.days) == []
    assert draw_chart(found.days) is None


def test_a_plot_of_no_difference_at_all_is_drawn() -> None:
    """And of a single day."""
    assert len(draw(growing(1, treated=50, control=50).days)) == 1
    assert draw_chart(growing(2, treated=50, control=50).days) is not None


def test_the_page_is_one_file_without_scripts_whose_drawing_is_well_formed() -> None:
    page = render_page(EFFECTIVE)
    (drawing,) = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    places = [part.get("points", "") for part in ET.fromstring(drawing)]  # noqa: S314 - our own
    assert max(len(each.split()) for each in places) == 2 * len(
        [e for e in EFFECTIVE.days if e.conversion.low is not None]
    )
    assert not re.search(r"<script|src=|href=|url\(", page)
    assert page == render_page(EFFECTIVE)


@pytest.mark.parametrize("found", [measured(), measured(exposed(TREATED, 5)), growing(1)])
def test_every_state_has_a_page(found: CampaignPerformance) -> None:
    assert "</html>" in render_page(found)


def test_text_of_definitions_and_of_the_ledger_is_escaped_on_the_page() -> None:
    odd = campaign(name="<script>alert(1)</script> & Söhne", holdout_percent=10)
    days = [exposed(arm, 200, 40, version=name) for name in ("<img>", odd.version) for arm in (TREATED, CONTROL)]
    page = render_page(measured(*days, of=odd))
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; Söhne" in page
    assert "&lt;img&gt;" in page


def test_an_unknown_campaign_is_answered_with_the_nearest_names() -> None:
    """Or with all, where none is near."""
    known = [campaign(), campaign(key="vip-offers")]
    assert find_campaign(known, "win-back") is known[0]
    with pytest.raises(CampaignDefinitionError, match=r"^no campaign 'vip-offer'; did you mean 'vip-offers'\?$"):
        find_campaign(known, "vip-offer")
    with pytest.raises(CampaignDefinitionError, match=r"^no campaign 'x'; there are: win-back, vip-offers$"):
        find_campaign(known, "x")
