"""The control group of a campaign: an assignment, not a guardrail. Pure."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from campaigns.definition import Campaign


def is_in_holdout(campaign: Campaign, customer_id: str) -> bool:
    """Return whether a customer belongs to the campaign's control group.

    The group is a hash of the campaign, or of its `holdout_group`, and of the customer: it needs no storage, and a
    customer stays in the same arm while the campaign keeps its key or its group.
    """
    digest = hashlib.sha256(f"{campaign.assignment_group}\x1f{customer_id}".encode()).digest()
    return int.from_bytes(digest[:8]) < campaign.holdout_percent / 100 * 2**64
