"""What a campaign has achieved: its figures, and its effect against the customers it held out."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from campaigns.confidence_sequence import ALPHA
from campaigns.effect import compare_conversion, compare_revenue
from campaigns.errors import CampaignDefinitionError, DefinitionMissingError
from campaigns.exposures import CONTROL, TREATED, ContactCounts, accumulate
from campaigns.postgres_performance import open_performance
from campaigns.sample_ratio import check_ratio, check_variants
from campaigns.variants import find_shares
from streams.definitions import read_definitions

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import date

    from numpy.typing import NDArray

    from campaigns.definition import Campaign
    from campaigns.effect import Arm, Comparison
    from campaigns.exposures import ExposureDay, ExposureHistory
    from campaigns.sample_ratio import SampleRatio, VariantRatio
    from streams.settings import Settings


@dataclass(frozen=True, slots=True)
class ArmCustomers:
    """The customers of one arm that are compared, each once.

    Attributes:
        converted: those with a conversion.
        revenue: the sum of the values of their conversions.
    """

    customers: int
    converted: int
    revenue: float


@dataclass(frozen=True, slots=True)
class Difference:
    """A mean per customer in both arms, and their difference.

    Attributes:
        difference: treated - control.
        low: of the interval that holds at every look; None where there are too few customers or conversions for one.
        high: likewise.
    """

    treated: float
    control: float
    difference: float
    low: float | None
    high: float | None

    @property
    def lift(self) -> float | None:
        """The difference relative to the control group; None where that is not above 0."""
        return self.difference / self.control if self.control > 0 else None

    @property
    def is_established(self) -> bool:
        """Whether the interval excludes 0."""
        return (self.low is not None and self.low > 0) or (self.high is not None and self.high < 0)


class CostPerConversion(NamedTuple):
    """What one more conversion costs, and its range where an effect is established."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Effect:
    """Customers who were contacted, by intention, against those who were held out.

    Attributes:
        conversion: share of customers who converted.
        revenue: per customer.
        net: revenue less cost, per customer; None where nothing costs anything.
    """

    treated: ArmCustomers
    control: ArmCustomers
    conversion: Difference
    revenue: Difference
    net: Difference | None = None

    @property
    def cost_per_conversion(self) -> CostPerConversion | None:
        """What one more conversion costs; None where nothing costs anything, or no conversion is gained."""
        rate = self.conversion
        if self.net is None or rate.difference <= 0:
            return None
        cost = self.revenue.difference - self.net.difference
        if rate.low is None or rate.high is None or rate.low <= 0:
            return CostPerConversion(cost / rate.difference, None, None)
        return CostPerConversion(cost / rate.difference, cost / rate.high, cost / rate.low)


@dataclass(frozen=True, slots=True)
class VersionEffect:
    """The effect on the customers that one version of the campaign exposed first.

    Attributes:
        since: the day of its first such exposure, in UTC.
        customers: of both arms.
        effect: None where one arm is empty.
    """

    version: str
    since: date
    customers: int
    effect: Effect | None


@dataclass(frozen=True, slots=True)
class VariantEffect:
    """The effect of one variant of the campaign, over all versions.

    Attributes:
        key: of the variant.
        share: of the customers, 0 to 1; None where the present definition does not have it.
        customers: of both arms.
        effect: its treated customers against its own control group; None where there are none in both arms.
        against_first: its treated customers, `treated` here, against those of the first variant, `control`; None for
            the first one, and without customers of both. The intervals of all variants hold at once.
    """

    key: str
    share: float | None
    customers: int
    effect: Effect | None
    against_first: Effect | None


@dataclass(frozen=True, slots=True)
class DayEffect:
    """The difference of the conversion rates as of the end of a day in UTC."""

    day: date
    customers: int
    conversion: Difference


@dataclass(frozen=True, slots=True)
class CampaignGroup:
    """The campaigns of one `holdout_group`, measured together.

    Attributes:
        key: the group.
        campaigns: those of the present definitions, at least one.
    """

    key: str
    campaigns: Sequence[Campaign]

    @property
    def name(self) -> str:
        """Its name for people."""
        return f"Campaigns of the group {self.key}"

    @property
    def holdout_percent(self) -> float | None:
        """The share that each campaign holds out; None where they differ."""
        shares = {each.holdout_percent for each in self.campaigns}
        return shares.pop() if len(shares) == 1 else None


@dataclass(frozen=True, slots=True)
class CampaignPerformance:
    """What a campaign, or a group of campaigns, has achieved.

    Attributes:
        campaign: its present definition, or the group.
        contacts: by arm as the ledger names it, both arms present.
        customers: exposed at least once.
        left_out: those among them that cannot be compared: their version has customers in one arm only, or is unknown.
        in_both_arms: customers who were contacted and held out; they count in the arm of the first exposure.
        effect: None where no version has customers in both arms.
        days: the conversion of each day on which something happened, from the first with customers in both arms.
        versions: in the order of their first exposure.
        sample_ratio: of the present version; None without a holdout, or without a first exposure.
        variants: in the order of the definition, then those that it does not have any more.
        variant_ratio: of the present version; None without variants, or without a first exposure.
    """

    campaign: Campaign | CampaignGroup
    contacts: Mapping[str, ContactCounts]
    customers: int
    left_out: int
    in_both_arms: int
    effect: Effect | None
    days: Sequence[DayEffect]
    versions: Sequence[VersionEffect]
    sample_ratio: SampleRatio | None
    variants: Sequence[VariantEffect] = ()
    variant_ratio: VariantRatio | None = None


def measure_campaign(settings: Settings, key: str) -> CampaignPerformance:
    """Return what a campaign has achieved so far.

    Raises:
        CampaignDefinitionError: there is no such campaign.
        LedgerUnavailableError: the ledger cannot be read.
    """
    return _measure(settings, find_campaign(read_definitions(settings).campaigns, key), [key])


def measure_group(settings: Settings, key: str) -> CampaignPerformance:
    """Return what the campaigns of a holdout group have achieved together.

    Raises:
        CampaignDefinitionError: no campaign is in such a group.
        LedgerUnavailableError: the ledger cannot be read.
    """
    group = find_group(read_definitions(settings).campaigns, key)
    return _measure(settings, group, [each.key for each in group.campaigns])


def _measure(settings: Settings, measured: Campaign | CampaignGroup, keys: Sequence[str]) -> CampaignPerformance:
    with open_performance(settings.ledger_url) as ledger:
        contacts = ledger.count_contacts(*keys)
        exposures = ledger.exposure_days(*keys)
        moved = ledger.count_in_both_arms(*keys)
    return evaluate(measured, contacts, exposures, in_both_arms=moved)


def find_group(campaigns: Collection[Campaign], key: str) -> CampaignGroup:
    """Return the group of campaigns that an operator names.

    Raises:
        CampaignDefinitionError: no campaign is in such a group; the message names those that there are.
    """
    found = [each for each in campaigns if each.holdout_group == key]
    if not found:
        groups = ", ".join(sorted({each.holdout_group for each in campaigns if each.holdout_group}))
        known = f"there are: {groups}" if groups else "no campaign has a holdout_group"
        raise CampaignDefinitionError(f"no campaign has the holdout_group {key!r}; {known}")
    return CampaignGroup(key, found)


def find_campaign(campaigns: Collection[Campaign], key: str) -> Campaign:
    """Return the campaign that an operator names.

    Raises:
        DefinitionMissingError: there is none; the message names those with the nearest names, or all.
    """
    by_key = {campaign.key: campaign for campaign in campaigns}
    if key not in by_key:
        nearest = get_close_matches(key, by_key)
        meant = f"did you mean {' or '.join(map(repr, nearest))}?" if nearest else f"there are: {', '.join(by_key)}"
        raise DefinitionMissingError(f"no campaign {key!r}; {meant}")
    return by_key[key]


def evaluate(
    campaign: Campaign | CampaignGroup,
    contacts: Mapping[str, ContactCounts],
    exposures: Collection[ExposureDay],
    *,
    in_both_arms: int = 0,
) -> CampaignPerformance:
    """Compute the effect of a campaign, or of a group of them, from what the ledger holds of it.

    Args:
        campaign: its present definition, or the group.
        contacts: by arm.
        exposures: by version, arm and day.
        in_both_arms: customers who were contacted and held out.
    """
    history = accumulate(exposures)
    # Without costs there is nothing to subtract: the net is left out.
    net = accumulate([each.net for each in exposures]) if any(each.cost for each in exposures) else None
    effect = _find_effect(history.treated, history.control, (net.treated, net.control) if net else None)
    customers = sum(each.customers for each in exposures)
    compared = effect.treated.customers + effect.control.customers if effect else 0
    return CampaignPerformance(
        campaign,
        {arm: contacts.get(arm, ContactCounts()) for arm in (TREATED, CONTROL)},
        customers,
        customers - compared,
        in_both_arms,
        effect,
        _by_day(history),
        [_of_version(history, net, place) for place in range(len(history.versions))],
        _check_ratio(campaign, history),
        [] if isinstance(campaign, CampaignGroup) else _by_variant(campaign, history, net),
        None if isinstance(campaign, CampaignGroup) else _check_variants(campaign, history),
    )


def _find_effect(treated: Arm, control: Arm, net: tuple[Arm, Arm] | None = None, alpha: float = ALPHA) -> Effect | None:
    """Return the effect at the last look, None where no version has customers in both arms.

    Args:
        treated: shape [versions, looks].
        control: of the same shape.
        net: both with the revenue less the cost as their revenue; None without costs.
        alpha: the probability that an interval ever misses.
    """
    if not treated.customers.size:
        return None
    both = (treated.customers[:, -1] > 0) & (control.customers[:, -1] > 0)
    if not both.any():
        return None
    return Effect(
        _count(treated, both),
        _count(control, both),
        _difference(compare_conversion(treated, control, alpha), -1),
        _difference(compare_revenue(treated, control, alpha), -1),
        _difference(compare_revenue(*net, alpha), -1) if net else None,
    )


def _count(arm: Arm, both: NDArray[np.bool_]) -> ArmCustomers:
    customers, converted, revenue = (
        float(sums[both, -1].sum()) for sums in (arm.customers, arm.converted, arm.revenue)
    )
    # Values are added as floats: what is beyond the sixth decimal is their rounding.
    return ArmCustomers(int(customers), int(converted), round(revenue, 6))


def _difference(comparison: Comparison, look: int) -> Difference:
    low, high = float(comparison.low[look]), float(comparison.high[look])
    return Difference(
        float(comparison.treated[look]),
        float(comparison.control[look]),
        float(comparison.difference[look]),
        None if np.isnan(low) else low,
        None if np.isnan(high) else high,
    )


def _by_day(history: ExposureHistory) -> list[DayEffect]:
    if not history.days:
        return []
    comparison = compare_conversion(history.treated, history.control)
    customers = (history.treated.customers + history.control.customers).sum(axis=0)
    return [
        DayEffect(day, int(customers[look]), _difference(comparison, look))
        for look, day in enumerate(history.days)
        if not np.isnan(comparison.difference[look])
    ]


def _of_version(history: ExposureHistory, net: ExposureHistory | None, place: int) -> VersionEffect:
    treated, control = history.treated.of_version(place), history.control.of_version(place)
    net_arms = (net.treated.of_version(place), net.control.of_version(place)) if net else None
    customers = (treated.customers + control.customers)[0]
    since = history.days[int(np.argmax(customers > 0))]
    return VersionEffect(history.versions[place], since, int(customers[-1]), _find_effect(treated, control, net_arms))


def _by_variant(campaign: Campaign, history: ExposureHistory, net: ExposureHistory | None) -> list[VariantEffect]:
    """Return the effect of each variant.

    The error is divided among the variants (Bonferroni), so that the intervals of all of them hold at once.
    """
    planned = find_shares(campaign.variants)
    known = [*planned, *(key for key in history.by_variant if key not in planned)]
    keys = [key for key in known if key in history.by_variant]
    if not keys:
        return []
    first = history.by_variant[keys[0]][0]
    found = []
    for key in keys:
        treated, control = history.by_variant[key]
        customers = int((treated.customers + control.customers)[:, -1].sum())
        effect = _find_effect(treated, control, net.by_variant[key] if net else None, ALPHA / len(keys))
        treated_net = (net.by_variant[key][0], net.by_variant[keys[0]][0]) if net else None
        against = None if key == keys[0] else _find_effect(treated, first, treated_net, ALPHA / (len(keys) - 1))
        found.append(VariantEffect(key, planned.get(key), customers, effect, against))
    return found


def _check_variants(campaign: Campaign, history: ExposureHistory) -> VariantRatio | None:
    if campaign.version not in history.versions or not campaign.variants:
        return None
    place, planned = history.versions.index(campaign.version), find_shares(campaign.variants)
    none = np.zeros(len(history.days))
    customers = dict.fromkeys(planned, none)
    for key, (treated, control) in history.by_variant.items():
        if key in planned:
            customers[key] = (treated.customers + control.customers)[place]
    return check_variants(customers, planned)


def present_versions(measured: Campaign | CampaignGroup) -> Collection[str]:
    """Return the present versions as `ExposureDay` names them."""
    if not isinstance(measured, CampaignGroup):
        return [measured.version]
    several = len(measured.campaigns) > 1
    return [f"{each.key} {each.version}" if several else each.version for each in measured.campaigns]


def _check_ratio(measured: Campaign | CampaignGroup, history: ExposureHistory) -> SampleRatio | None:
    present = present_versions(measured)
    places = [place for place, version in enumerate(history.versions) if version in present]
    if not places or not measured.holdout_percent:
        return None
    control, treated = (arm.customers[places].sum(axis=0) for arm in (history.control, history.treated))
    return check_ratio(control, control + treated, measured.holdout_percent / 100)
