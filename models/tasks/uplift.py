"""Uplift: what the contact of a campaign adds to the probability that a customer converts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from models.tasks.protocol import ModelTask

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from features.table import Column, FeatureTable

HEADS = 2
"""Scores for each campaign: the probability to convert with its contact, and without."""
CAMPAIGNS_AT_MOST = 100


class Uplift(ModelTask):
    """The task `uplift`: two scores for each campaign of the manifest's `heads`, with its contact and without.

    Nothing stands in for a missing model: campaigns are then valued by the scores of their offers.
    """

    name = "uplift"
    fact = "negative_uplifts"
    for_contacts_only = True
    is_optional = True

    def outputs(self, offers: int) -> tuple[int, ...]:
        """Return two scores for each of any number of campaigns."""
        _ = offers
        return tuple(range(HEADS, HEADS * CAMPAIGNS_AT_MOST + 1, HEADS))

    def explain_outputs(self, found: int, offers: int) -> str:
        """Return that heads come in pairs."""
        _ = offers
        return (
            f"the model has {found} outputs; it needs two for each campaign, of 1 to {CAMPAIGNS_AT_MOST} campaigns: "
            "train it again"
        )

    def apply_rule(self, table: FeatureTable, offers: int) -> NDArray[np.float32]:
        """Return unknown: no rule knows what a contact adds."""
        _ = offers
        return np.full((len(table), HEADS), np.nan, dtype=np.float32)

    def preview(self, scores: NDArray[np.float32]) -> Column:
        """Return in how many campaigns a contact lowers the customer's probability."""
        return np.asarray((scores[:, 0::HEADS] < scores[:, 1::HEADS]).sum(axis=1))


def split_by_campaign(scores: NDArray[np.float32], manifest: Mapping[str, Any]) -> dict[str, NDArray[np.float64]]:
    """Return the scores of the campaigns that passed the gate, by campaign, shape [customers, 2].

    A campaign whose scores are not there is left out: without a column of the model no customer has more than two
    unknown ones, see `Uplift.apply_rule`.
    """
    places: Mapping[str, int] = manifest.get("campaigns", {})
    pairs = {key: slice(HEADS * place, HEADS * (place + 1)) for key, place in places.items()}
    known = scores.astype(np.float64).round(6)
    return {key: known[:, pair] for key, pair in pairs.items() if pair.stop <= scores.shape[1]}
