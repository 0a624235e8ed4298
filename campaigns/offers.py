"""The next best offer among those a campaign may make. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from campaigns.definition import Campaign, Offer


@dataclass(frozen=True, slots=True)
class ScoredOffer:
    """An offer and the model's score for one customer, from 0 to 1."""

    offer: Offer
    score: float


def choose_offer(campaign: Campaign, offers: dict[int, Offer], scores: NDArray[np.float32]) -> ScoredOffer:
    """Return the campaign's offer with the highest score; the lowest id wins a tie.

    Args:
        campaign: names the offers that may be made.
        offers: every offer by id.
        scores: shape [offers], the score of offer id i at position i - 1.
    """
    scores_by_id = scores.tolist()
    best = min(campaign.offers, key=lambda offer_id: (-scores_by_id[offer_id - 1], offer_id))
    return ScoredOffer(offers[best], round(scores_by_id[best - 1], 6))
