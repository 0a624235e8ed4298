"""The next best offer among those a campaign may make, and what a contact with it is worth. Pure."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from campaigns.definition import Offer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from campaigns.channels import Channel
    from campaigns.definition import Campaign


class ScoredOffer(msgspec.Struct, frozen=True):
    """An offer and the model's score for one customer, from 0 to 1."""

    offer: Offer
    score: float


def choose_offer(campaign: Campaign, offers: dict[int, Offer], scores: NDArray[np.float32]) -> ScoredOffer:
    """Return the campaign's offer with the highest expected value; the lowest id wins a tie.

    Where no offer has a value of its own, that is the offer with the highest score.

    Args:
        campaign: names the offers that may be made.
        offers: every offer by id.
        scores: shape [offers], the score of offer id i at position i - 1.
    """
    scores_by_id = scores.tolist()
    best = min(campaign.offers, key=lambda each: (-scores_by_id[each - 1] * offers[each].margin, each))
    return ScoredOffer(offers[best], round(scores_by_id[best - 1], 6))


def explore(
    campaign: Campaign, best: ScoredOffer, offers: dict[int, Offer], scores: NDArray[np.float32], trigger_id: str
) -> tuple[ScoredOffer, float]:
    """Return the offer to make, and the probability with which it was to be made: its propensity.

    Epsilon-greedy: `exploration_percent` of the decisions make one of the campaign's offers at random, each as likely
    as another. The draw is a hash of the trigger's id, so a decision that is made again makes the same offer.
    """
    share = campaign.exploration_percent / 100
    if not share:
        return best, 1.0
    made = best
    digest = hashlib.sha256(f"exploration\x1f{trigger_id}".encode()).digest()
    if int.from_bytes(digest[:8]) < share * 2**64:
        drawn = campaign.offers[int.from_bytes(digest[8:16]) * len(campaign.offers) >> 64]
        made = ScoredOffer(offers[drawn], round(float(scores[drawn - 1]), 6))
    return made, find_propensity(campaign, best, made)


def find_propensity(campaign: Campaign, best: ScoredOffer, made: ScoredOffer) -> float:
    """Return the probability with which a campaign was to make an offer, given its best one."""
    share = campaign.exploration_percent / 100
    drawn = share / len(campaign.offers) if made.offer.id in campaign.offers else 0.0
    return round(drawn + (1 - share if made.offer.id == best.offer.id else 0), 9)


def find_net_value(scored: ScoredOffer, channel: Channel) -> float:
    """Return what a contact is expected to bring: probability x (value - cost of the offer) - cost of the contact."""
    return round(scored.score * scored.offer.margin - channel.cost, 6)
