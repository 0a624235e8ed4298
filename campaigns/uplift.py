"""What a contact adds, where a model of uplift knows the campaign: its value, and whom it is kept from. Pure.

    net value = uplift x value of the offer - probability to convert with the contact x cost of the offer
                - cost of the contact

Whom the campaign converts anyway gets the offer too, so its cost counts for all who convert, its value only for those
who would not have. The arm plays no part: a held-out customer is kept from the contact exactly when a treated one is.
Otherwise the control group would hold customers whose like are not in the treated group.

A model that keeps customers from every contact would never learn that it was wrong about them. So a share of them,
`uplift_exploration_percent` of the campaign, is contacted or held out as everybody else. The draw is a hash of the
trigger's id, independent of the control group's, and the ledger keeps its probability.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from campaigns.channels import Channel
    from campaigns.definition import Campaign
    from campaigns.offers import OfferChoice


class ContactEffect(msgspec.Struct, frozen=True, array_like=True):
    """A customer's probability to convert with the contact of a campaign, and without."""

    converts: float
    converts_anyway: float

    @property
    def uplift(self) -> float:
        """What the contact adds to the probability."""
        return round(self.converts - self.converts_anyway, 6)


def find_effect(effects: Mapping[str, NDArray[np.float64]], campaign: Campaign, row: int) -> ContactEffect | None:
    """Return the effect of a campaign's contact on the customer of a row; None where it is not known.

    Args:
        effects: by campaign, shape [rows, 2]; NaN where a customer could not be scored.
        campaign: the campaign.
        row: the customer's.
    """
    known = effects.get(campaign.key)
    if known is None:
        return None
    converts, anyway = known[row].tolist()
    # NaN is unlike itself.
    return ContactEffect(converts, anyway) if converts == converts and anyway == anyway else None  # noqa: PLR0124


def find_incremental_value(effect: ContactEffect, choice: OfferChoice, channel: Channel) -> float:
    """Return what a contact is expected to add, its costs taken off."""
    return round(effect.uplift * choice.value - effect.converts * choice.cost - channel.cost, 6)


def is_explored(campaign: Campaign, trigger_id: str) -> bool:
    """Return whether the contact is possible although the model expects a loss."""
    digest = hashlib.sha256(f"uplift exploration\x1f{trigger_id}".encode()).digest()
    return int.from_bytes(digest[:8]) < campaign.uplift_exploration_percent / 100 * 2**64


def find_exposure_probability(campaign: Campaign, effect: ContactEffect | None, net_value: float | None) -> float:
    """Return the probability with which a contact was possible: below 1 only where the model expects a loss."""
    if effect is None or net_value is None or not is_loss(effect, net_value):
        return 1.0
    return campaign.uplift_exploration_percent / 100


def is_loss(effect: ContactEffect, net_value: float) -> bool:
    """Return whether the contact is expected to cost more than it adds, or to drive the customer away."""
    return effect.uplift < 0 or net_value < 0


def describe_loss(effect: ContactEffect, choice: OfferChoice, channel: Channel) -> str:
    """Return why the model expects a loss, with the values."""
    converts = (
        f"converts with probability {effect.converts:.3g} with the contact and {effect.converts_anyway:.3g} without"
    )
    if effect.uplift < 0:
        return f"the contact lowers the chance of a conversion: the customer {converts}"
    value, cost = f"{choice.value:g}", f"{choice.cost:g}"
    return (
        f"a loss is expected: uplift {effect.uplift:.3g} x value {value} - {effect.converts:.3g} x cost {cost} of the "
        f"offer - cost {channel.cost:g} of a contact by {channel.key}; the customer {converts}"
    )
