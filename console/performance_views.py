"""A campaign's performance in words, rows and JSON: what the terminal and the page show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from campaigns.confidence_sequence import ALPHA
from campaigns.effect import FIRST_CONVERTED, FIRST_CUSTOMERS
from campaigns.exposures import CONTROL, TREATED
from campaigns.sample_ratio import ALARM_BELOW
from campaigns.sample_ratio import FIRST_CUSTOMERS as FIRST_TESTED
from console.use_cases.performance import CampaignGroup, present_versions

if TYPE_CHECKING:
    from campaigns.definition import Campaign
    from campaigns.exposures import ContactCounts
    from campaigns.sample_ratio import VariantRatio
    from console.use_cases.performance import CampaignPerformance, Difference, Effect

LEVEL = f"{1 - ALPHA:.0%}".replace("%", " %")
CONTACT_HEADINGS = ("", "treated", "control", "total")
EFFECT_HEADINGS = ("", "treated", "control", "difference", f"{LEVEL} interval")
VERSION_HEADINGS = ("version", "since", "customers", "treated", "control", "difference", f"{LEVEL} interval")
VARIANT_HEADINGS = ("variant", "share", "customers", "treated", "control", "difference", f"{LEVEL} interval")
_COUNTED = (
    "decided",
    "published",
    "refused",
    "waiting",
    "failed",
    "delivered",
    "bounced",
    "opened",
    "clicked",
    "converted",
    "conversions",
)
# Smaller probabilities are shown as this one.
SMALLEST = 1e-6


def headline(found: CampaignPerformance) -> str:
    """Return the answer to whether the campaign has an effect, in one sentence."""
    campaign, effect = found.campaign, found.effect
    if not found.customers:
        return f"{campaign.key} has exposed no customer yet: none was contacted, and none held out."
    if effect is None:
        return _why_not_compared(found)
    if has_alarm(found):
        return "The arms are not comparable: they are not split as the holdout says. Do not trust the effect below."
    conversion = effect.conversion
    said = f"{points(conversion.difference)} percentage points, {LEVEL} interval {interval(conversion)}"
    if conversion.low is None:
        return (
            f"It is too early for a conclusion: each arm needs {FIRST_CUSTOMERS} customers, and the smaller one "
            f"{FIRST_CONVERTED} conversions at the common rate; it has {_smaller_arm(effect)}."
        )
    if not conversion.is_established:
        return f"No effect on conversion is established: the difference is {said}, which contains 0."
    verb = "more" if conversion.difference > 0 else "fewer"
    several = isinstance(campaign, CampaignGroup)
    who, without = ("The campaigns together have", "them") if several else ("The campaign has", "it")
    return f"{who} an effect: {verb} customers convert than without {without}, by {said}."


def find_tone(found: CampaignPerformance) -> str:
    """Return whether the effect is good, bad or open."""
    if has_alarm(found):
        return "bad"
    if found.effect is None or not found.effect.conversion.is_established:
        return "open"
    return "good" if found.effect.conversion.difference > 0 else "bad"


def key_figures(found: CampaignPerformance) -> list[tuple[str, str, str]]:
    """Return name, figure and meaning of the key figures."""
    effect = found.effect
    if effect is None:
        return []
    conversion, revenue = effect.conversion, effect.revenue
    return [
        ("Treated", share(conversion.treated), f"of {effect.treated.customers:,} customers converted"),
        ("Control", share(conversion.control), f"of {effect.control.customers:,} customers held out converted"),
        ("Difference", f"{points(conversion.difference)} pp", f"{LEVEL} interval: {interval(conversion)}"),
        ("Lift", lift(conversion), "difference relative to the control group"),
        ("Revenue", money(revenue.difference, signed=True), "per customer, against the control group"),
    ]


def describe_measured(found: CampaignPerformance) -> str:
    """Return what was measured: the campaign with its version, or the group with its campaigns."""
    measured = found.campaign
    if not isinstance(measured, CampaignGroup):
        return f"{measured.key}, version {measured.version}, holdout {measured.holdout_percent:g} %"
    shares = sorted({each.holdout_percent for each in measured.campaigns})
    held = " to ".join(f"{each:g}" for each in dict.fromkeys((shares[0], shares[-1])))
    return f"group {measured.key}: {', '.join(each.key for each in measured.campaigns)}; holdout {held} %"


def sentences(found: CampaignPerformance) -> list[str]:
    """Return what a reader has to know besides the figures, the most important first."""
    said = (
        _split(found),
        _missing_reports(found),
        _earlier(found),
        _revenue(found),
        _cost(found),
        _refused(found),
        *_compared(found),
        *_variants(found),
    )
    return [each for each in said if each]


def has_alarm(found: CampaignPerformance) -> bool:
    """Return whether the arms are not comparable."""
    return found.sample_ratio is not None and found.sample_ratio.alarm


def contact_rows(found: CampaignPerformance) -> list[tuple[str, ...]]:
    """Return the contacts by what became of them; a control exposure is not sent."""
    treated, control = found.contacts[TREATED], found.contacts[CONTROL]
    arms = (treated, control, treated + control)
    rows: list[tuple[str, ...]] = [(name, *(f"{getattr(each, name):,}" for each in arms)) for name in _COUNTED]
    amounts = {"revenue": "revenue"}
    if treated.cost:
        amounts |= {"cost of contacts": "contact_cost", "cost of offers": "offer_cost", "net": "net"}
    return [*rows, *((name, *(money(float(getattr(each, of))) for each in arms)) for name, of in amounts.items())]


def effect_rows(effect: Effect) -> list[tuple[str, ...]]:
    """Return the comparison of the arms."""
    conversion, revenue = effect.conversion, effect.revenue
    treated, control = effect.treated, effect.control
    return [
        ("customers", f"{treated.customers:,}", f"{control.customers:,}", "", ""),
        ("converted", f"{treated.converted:,}", f"{control.converted:,}", "", ""),
        (
            "conversion rate",
            share(conversion.treated),
            share(conversion.control),
            f"{points(conversion.difference)} points",
            interval(conversion),
        ),
        ("relative lift", "", "", lift(conversion), ""),
        (
            "revenue per customer",
            money(revenue.treated),
            money(revenue.control),
            money(revenue.difference, signed=True),
            _money_interval(revenue),
        ),
        *_net_row(effect),
    ]


def _net_row(effect: Effect) -> list[tuple[str, ...]]:
    net = effect.net
    if net is None:
        return []
    difference = money(net.difference, signed=True)
    return [("net per customer", money(net.treated), money(net.control), difference, _money_interval(net))]


def version_rows(found: CampaignPerformance) -> list[tuple[str, ...]]:
    """Return the effect on the customers of each version of the campaign."""
    rows: list[tuple[str, ...]] = []
    present = present_versions(found.campaign)
    for each in found.versions:
        name = f"{each.version}{' (present)' if each.version in present else ''}"
        first = (name, f"{each.since}", f"{each.customers:,}")
        rows.append((*first, *_rate_cells(each.effect)))
    return rows


def variant_rows(found: CampaignPerformance) -> list[tuple[str, ...]]:
    """Return the effect of each variant against its own control group."""
    rows: list[tuple[str, ...]] = []
    for each in found.variants:
        first = (each.key, "none now" if each.share is None else share(each.share), f"{each.customers:,}")
        rows.append((*first, *_rate_cells(each.effect)))
    return rows


def _rate_cells(effect: Effect | None) -> tuple[str, ...]:
    if effect is None:
        return ("", "", "one arm only", "")
    rate = effect.conversion
    return (share(rate.treated), share(rate.control), points(rate.difference), interval(rate))


def comparison_headings(found: CampaignPerformance) -> tuple[str, ...]:
    """Return the headings of `comparison_rows`."""
    against = f"against {found.variants[0].key}"
    amount = "revenue per customer" if found.effect is None or found.effect.net is None else "net per customer"
    return (against, "conversion rate", "difference", f"{LEVEL} interval", amount, f"{LEVEL} interval")


def comparison_rows(found: CampaignPerformance) -> list[tuple[str, ...]]:
    """Return the treated customers of each variant against those of the first one."""
    rows: list[tuple[str, ...]] = []
    for each in found.variants:
        if each.against_first is not None:
            rate, amount = each.against_first.conversion, each.against_first.net or each.against_first.revenue
            by_rate = (share(rate.treated), points(rate.difference), interval(rate))
            rows.append((each.key, *by_rate, money(amount.difference, signed=True), _money_interval(amount)))
    return rows


def share(value: float) -> str:
    """Return a share in percent."""
    return f"{value:.2%}".replace("%", " %")


def points(value: float) -> str:
    """Return a difference of shares in percentage points."""
    return f"{value * 100:+.2f}"


def money(value: float, *, signed: bool = False) -> str:
    """Return an amount in the unit of the outcomes' values, which the ledger does not know."""
    return f"{value:+,.2f}" if signed else f"{value:,.2f}"


def interval(difference: Difference) -> str:
    """Return the interval of a difference of shares."""
    if difference.low is None or difference.high is None:
        return "too early"
    return f"{points(difference.low)} to {points(difference.high)}"


def lift(difference: Difference) -> str:
    """Return the relative lift."""
    return "none: no control conversion" if difference.lift is None else f"{difference.lift * 100:+.1f} %"


def as_object(found: CampaignPerformance) -> dict[str, Any]:
    """Return the performance as JSON; docs/effect.md explains the fields."""
    ratio = found.sample_ratio
    treated, control = found.contacts[TREATED], found.contacts[CONTROL]
    return {
        **_measured_object(found.campaign),
        "alpha": ALPHA,
        "headline": headline(found),
        "sentences": sentences(found),
        "contacts": {
            "treated": _contacts_object(treated),
            "control": _contacts_object(control),
            "total": _contacts_object(treated + control),
        },
        "customers": found.customers,
        "customers_left_out": found.left_out,
        "customers_in_both_arms": found.in_both_arms,
        "effect": _effect_object(found.effect),
        "sample_ratio": ratio
        and {
            "planned": ratio.planned,
            "customers": ratio.customers,
            "control": ratio.control,
            "p_value": ratio.p_value,
            "alarm": ratio.alarm,
        },
        "days": [
            {"day": f"{each.day}", "customers": each.customers, **_difference_object(each.conversion)}
            for each in found.days
        ],
        "versions": [
            {
                "version": each.version,
                "since": f"{each.since}",
                "customers": each.customers,
                "effect": _effect_object(each.effect),
            }
            for each in found.versions
        ],
        "variants": [
            {
                "variant": each.key,
                "share": each.share,
                "customers": each.customers,
                "effect": _effect_object(each.effect),
                "against_first": _effect_object(each.against_first),
            }
            for each in found.variants
        ],
        "variant_ratio": found.variant_ratio
        and {
            "planned": dict(found.variant_ratio.planned),
            "customers": dict(found.variant_ratio.customers),
            "p_value": found.variant_ratio.p_value,
            "alarm": found.variant_ratio.alarm,
        },
    }


def _measured_object(measured: Campaign | CampaignGroup) -> dict[str, Any]:
    common = {"name": measured.name, "holdout_percent": measured.holdout_percent}
    if isinstance(measured, CampaignGroup):
        return {"group": measured.key, "campaigns": [each.key for each in measured.campaigns], **common}
    return {"campaign": measured.key, "version": measured.version, **common}


def _contacts_object(counts: ContactCounts) -> dict[str, Any]:
    amounts = ("revenue", "contact_cost", "offer_cost", "net")
    return {
        **{name: getattr(counts, name) for name in _COUNTED},
        **{name: float(getattr(counts, name)) for name in amounts},
    }


def _effect_object(effect: Effect | None) -> dict[str, Any] | None:
    if effect is None:
        return None
    arms = {"treated": effect.treated, "control": effect.control}
    return {
        **{
            arm: {"customers": each.customers, "converted": each.converted, "revenue": each.revenue}
            for arm, each in arms.items()
        },
        "conversion_rate": {**_difference_object(effect.conversion), "lift": effect.conversion.lift},
        "revenue_per_customer": {**_difference_object(effect.revenue), "lift": effect.revenue.lift},
        "net_per_customer": effect.net and _difference_object(effect.net),
        "cost_per_conversion": effect.cost_per_conversion and effect.cost_per_conversion._asdict(),
    }


def _difference_object(difference: Difference) -> dict[str, Any]:
    return {
        "treated": difference.treated,
        "control": difference.control,
        "difference": difference.difference,
        "low": difference.low,
        "high": difference.high,
        "established": difference.is_established,
    }


def _why_not_compared(found: CampaignPerformance) -> str:
    campaign = found.campaign
    if isinstance(campaign, CampaignGroup):
        return (
            f"No version of a campaign of {campaign.key} has customers in both arms yet: there is nothing to compare."
        )
    if not campaign.holdout_percent:
        return (
            f"{campaign.key} holds no customer out, so there is nothing to compare with and no lift: what customers "
            "would have bought without it is unknown. Set holdout_percent, for example 10, in "
            f"{campaign.file or 'its definition'}."
        )
    return (
        f"No version of {campaign.key} has customers in both arms yet, so there is nothing to compare; it holds out "
        f"{campaign.holdout_percent:g} %."
    )


def _smaller_arm(effect: Effect) -> str:
    treated, control = effect.treated, effect.control
    customers = min(treated.customers, control.customers)
    converted = treated.converted + control.converted
    expected = customers * converted / (treated.customers + control.customers)
    return f"{customers:,} customers and {expected:.1f} such conversions"


def _split(found: CampaignPerformance) -> str:
    """Return whether the arms are split as planned; nothing where no customer is held out."""
    ratio = found.sample_ratio
    if ratio is None:
        return ""
    split = f"{ratio.control:,} of {ratio.customers:,} customers of the present version are in the control group"
    planned = f"planned are {ratio.planned * 100:g} %"
    if ratio.p_value is None:
        return f"The split is not tested yet: {split}; {FIRST_TESTED} customers are needed."
    if not ratio.alarm:
        return f"The split is as planned: {split}; {planned}."
    return (
        f"Alarm: {split}; {planned}, and chance gives such a split with a probability of at most "
        f"{max(ratio.p_value, SMALLEST):.6f} (alarm below {ALARM_BELOW:g}). Something adds or removes customers of one "
        "arm: look for rows that were deleted from the ledger, and for workers with other definitions."
    )


def _missing_reports(found: CampaignPerformance) -> str:
    """Doubt a control group that never converts: its conversions often come from another system, or from none."""
    effect = found.effect
    if effect is None or effect.control.converted or effect.conversion.low is None:
        return ""
    return (
        "No customer of the control group has converted: check that conversions of control exposures are reported as "
        "outcomes, with the trigger_id of campaign-triggers.control. Otherwise every sale looks like an effect."
    )


def _earlier(found: CampaignPerformance) -> str:
    """Return when an effect was established that is not now: a larger one at first, or the error that may occur."""
    earlier = [each.day for each in found.days if each.conversion.is_established]
    if not earlier or found.days[-1].conversion.is_established or has_alarm(found):
        return ""
    return (
        f"On earlier days an effect was established, first on {earlier[0]}: it has become smaller since, or was one of "
        f"the {ALPHA * 100:g} in 100 errors."
    )


def _revenue(found: CampaignPerformance) -> str:
    effect = found.effect
    if effect is None or effect.revenue.low is None or has_alarm(found):
        return ""
    if not (effect.treated.revenue or effect.control.revenue):
        return ""
    revenue = effect.revenue
    said = f"{money(revenue.difference, signed=True)} per customer, {LEVEL} interval {_money_interval(revenue)}"
    return f"Revenue: {said}; {'an' if revenue.is_established else 'no'} effect is established."


def _cost(found: CampaignPerformance) -> str:
    """Return what one more conversion costs, and whether the campaign pays."""
    effect = found.effect
    if effect is None or effect.net is None or effect.net.low is None or has_alarm(found):
        return ""
    net, each = effect.net, effect.cost_per_conversion
    said = f"Net of cost: {money(net.difference, signed=True)} per customer, {LEVEL} interval {_money_interval(net)}"
    if each is None:
        return f"{said}; no conversion is gained."
    between = "" if each.low is None or each.high is None else f", {money(each.low)} to {money(each.high)}"
    return f"{said}; one more conversion costs {money(each.value)}{between}."


def _refused(found: CampaignPerformance) -> str:
    refused = found.contacts[TREATED].refused
    return f"{refused:,} triggers could not be published; their customers count as treated." if refused else ""


def _compared(found: CampaignPerformance) -> list[str]:
    """Return which customers are compared, and how, where that is not plain."""
    said = []
    if (several := sum(each.effect is not None for each in found.versions)) > 1:
        of = "versions of the campaigns" if isinstance(found.campaign, CampaignGroup) else "versions of the campaign"
        said.append(f"Rates are averages over {several} {of}, weighted with their customers.")
    if found.effect is not None and found.left_out:
        said.append(
            f"{found.left_out:,} of {found.customers:,} customers are not compared: the version that exposed them "
            "first has customers in one arm only, or is unknown."
        )
    if found.in_both_arms:
        differ = isinstance(found.campaign, CampaignGroup) and found.campaign.holdout_percent is None
        why = "the campaigns hold out different shares" if differ else "holdout_percent changed"
        said.append(
            f"{found.in_both_arms:,} customers were contacted and held out, because {why}; they count in the arm of "
            "their first exposure."
        )
    return said


def _split_of_variants(ratio: VariantRatio) -> str:
    counts = ", ".join(f"{key} {each:,}" for key, each in ratio.customers.items())
    planned = ", ".join(f"{key} {share(each)}" for key, each in ratio.planned.items())
    return (
        f"Alarm: the customers of the present version are not split between the variants as planned: {counts}; planned "
        f"are {planned}. Do not compare the variants: look for workers with other definitions."
    )


def _variants(found: CampaignPerformance) -> list[str]:
    """Return which variants differ, or why that cannot be said."""
    compared = [(each.key, each.against_first.conversion) for each in found.variants if each.against_first is not None]
    ratio = found.variant_ratio
    if ratio is not None and ratio.alarm:
        return [_split_of_variants(ratio)]
    if not compared:
        return []
    first = found.variants[0].key
    established = [
        f"Variant {key} converts {'more' if each.difference > 0 else 'fewer'} customers than {first}, by "
        f"{points(each.difference)} percentage points, {LEVEL} interval {interval(each)}."
        for key, each in compared
        if each.is_established
    ]
    if established:
        return established
    if all(each.low is None for _, each in compared):
        return ["It is too early to compare the variants."]
    return ["No difference between the variants is established."]


def _money_interval(difference: Difference) -> str:
    if difference.low is None or difference.high is None:
        return "too early"
    return f"{money(difference.low, signed=True)} to {money(difference.high, signed=True)}"
