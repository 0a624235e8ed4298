"""What may keep a campaign from contacting a customer: consent, cooldown, holdout. Pure."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime
    from typing import Any

    from campaigns.definition import Campaign

GUARDRAIL_FACTS = frozenset({"preferred_channel"})
"""The facts that guardrails read besides the consent columns of a campaign's channels: decisions record them."""


def choose_channel(campaign: Campaign, facts: Mapping[str, Any], revoked: Collection[str]) -> str | None:
    """Return the customer's preferred channel, or the campaign's first one, among those consented to.

    Consent is the channel's consent column in the warehouse, less what the customer revoked since (an outcome event
    `unsubscribed` or `complained`). No such column means no consent.
    """
    allowed = [
        c for c in campaign.channels if facts.get(campaign.channel(c).consent_column) is True and c not in revoked
    ]
    preferred = facts.get("preferred_channel")
    if preferred in allowed:
        return str(preferred)
    return allowed[0] if allowed else None


def cooling_until(campaign: Campaign, last_contact: datetime | None) -> datetime | None:
    """Return when the campaign may contact the customer again, or None when it never contacted them."""
    return last_contact + timedelta(days=campaign.cooldown_days) if last_contact else None


def is_in_holdout(campaign: Campaign, customer_id: str) -> bool:
    """Say whether a customer belongs to the campaign's control group.

    The group is a hash of campaign and customer: it needs no storage, and a customer never changes sides while
    the campaign keeps its key.
    """
    digest = hashlib.sha256(f"{campaign.key}\x1f{customer_id}".encode()).digest()
    return int.from_bytes(digest[:8]) < campaign.holdout_percent / 100 * 2**64
