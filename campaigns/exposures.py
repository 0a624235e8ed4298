"""What the ledger holds of a campaign's customers and contacts, and the sums that an effect is computed from. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Self

import numpy as np

from campaigns.effect import Arm

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import date

TREATED, CONTROL = "treatment", "control"
"""The arms as the ledger names them."""


@dataclass(frozen=True, slots=True)
class ContactCounts:
    """Contacts of one arm, those of a customer each counted, by what became of them.

    Attributes:
        decided: triggers of the treated, exposures of the control group.
        published: those that Kafka has acknowledged.
        refused: those that their topic can never accept.
        waiting: those that are still to be published.
        failed: contacts with at least one such outcome: what was never sent; likewise those below.
        conversions: conversion outcomes, several of a contact counted.
        revenue: the sum of their values.
        contact_cost: of those published and sent, what their channels charged; nothing of a control exposure.
        offer_cost: of those converted, what their offers cost; likewise.
    """

    decided: int = 0
    published: int = 0
    refused: int = 0
    waiting: int = 0
    failed: int = 0
    delivered: int = 0
    bounced: int = 0
    opened: int = 0
    clicked: int = 0
    converted: int = 0
    conversions: int = 0
    revenue: Decimal = Decimal(0)
    contact_cost: Decimal = Decimal(0)
    offer_cost: Decimal = Decimal(0)

    @property
    def cost(self) -> Decimal:
        """What contacts and offers cost."""
        return self.contact_cost + self.offer_cost

    @property
    def net(self) -> Decimal:
        """What is left of the revenue."""
        return self.revenue - self.cost

    def __add__(self, other: Self) -> ContactCounts:
        return ContactCounts(*(getattr(self, each) + getattr(other, each) for each in self.__slots__))


@dataclass(frozen=True, slots=True)
class ExposureDay:
    """The customers of one version and arm that were first exposed on a day, and those that first converted on it.

    Attributes:
        version: of the campaign that exposed them first; None where the ledger has no decision of that.
        arm: of the first exposure.
        day: in UTC.
        customers: first exposed on this day.
        converted: first converted on this day; a conversion dated before the exposure counts on the exposure's day.
        revenue: of those who converted, over all their contacts of the campaign, of this day and later ones.
        revenue_squared: the sum of the squares of each customer's.
        variant: of the campaign, at the first exposure; None where it had none.
        cost: of those first exposed on this day, over all their contacts of the campaign.
        cost_in_squares: what the cost of the same customers adds to the sum of the squares of their revenue:
            (revenue - cost)² - revenue² of each.
    """

    version: str | None
    arm: str
    day: date
    customers: int
    converted: int
    revenue: Decimal
    revenue_squared: Decimal
    variant: str | None = None
    cost: Decimal = Decimal(0)
    cost_in_squares: Decimal = Decimal(0)

    @property
    def net(self) -> ExposureDay:
        """The same customers with their revenue less their cost as their revenue."""
        squared = self.revenue_squared + self.cost_in_squares
        return replace(self, revenue=self.revenue - self.cost, revenue_squared=squared)


@dataclass(frozen=True, slots=True)
class ExposureHistory:
    """The sums of both arms by version and day, each up to and including the day.

    Attributes:
        days: on which something happened, in UTC, ascending.
        versions: in the order of their first exposure.
        treated: shape [versions, days].
        control: shape [versions, days].
        by_variant: the treated and the control group of each variant, each of shape [versions, days].
    """

    days: Sequence[date]
    versions: Sequence[str]
    treated: Arm
    control: Arm
    by_variant: Mapping[str, tuple[Arm, Arm]] = field(default_factory=dict)


def accumulate(found: Collection[ExposureDay]) -> ExposureHistory:
    """Return the running sums of what was found; customers whose version is not known are left out."""
    known = sorted((each for each in found if each.version is not None), key=lambda each: each.day)
    days = list(dict.fromkeys(each.day for each in known))
    versions = list(dict.fromkeys(each.version for each in known if each.version is not None))

    def arms(found: Sequence[ExposureDay]) -> tuple[Arm, Arm]:
        treated, control = ([each for each in found if each.arm == arm] for arm in (TREATED, CONTROL))
        return _accumulate(treated, days, versions), _accumulate(control, days, versions)

    variants = dict.fromkeys(each.variant for each in known if each.variant is not None)
    by_variant = {key: arms([each for each in known if each.variant == key]) for key in variants}
    return ExposureHistory(days, versions, *arms(known), by_variant)


def _accumulate(found: Sequence[ExposureDay], days: Sequence[date], versions: Sequence[str]) -> Arm:
    sums = np.zeros((4, len(versions), len(days)))
    day_place = {day: place for place, day in enumerate(days)}
    version_place = {version: place for place, version in enumerate(versions)}
    for each in found:
        cell = version_place[str(each.version)], day_place[each.day]
        sums[:, *cell] += (each.customers, each.converted, float(each.revenue), float(each.revenue_squared))
    return Arm(*sums.cumsum(axis=2))
