"""Variants of a campaign, for A/B tests: what each changes, and which one a customer gets. Pure.

The variant changes what is sent, never whether: eligibility, net value and limits are those of the campaign, and the
control group has the same variants, so each has a control group of its own.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from campaigns.templates import Subjects, Texts

if TYPE_CHECKING:
    from collections.abc import Sequence

FEWEST, MOST = 2, 10


class Variant(BaseModel):
    """One of the variants of a campaign; what it leaves out is the campaign's own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str = Field(pattern=r"^[a-z0-9-]{1,64}$", description="Its name in triggers, decisions and performance.")
    share: float = Field(
        default=1,
        gt=0,
        le=1e6,
        allow_inf_nan=False,
        description="How many parts of the customers get it, relative to the shares of the others.",
    )
    message: Texts | None = Field(default=None, description="The message in place of the campaign's.")
    subject: Subjects | None = Field(default=None, description="The subject in place of the campaign's.")
    offers: tuple[int, ...] | None = Field(
        default=None, min_length=1, description="Ids of the offers in place of the campaign's."
    )

    @property
    def texts(self) -> dict[str, Any]:
        """The texts that it changes, by the name of the field."""
        texts = {"message": self.message, "subject": self.subject}
        return {name: each for name, each in texts.items() if each is not None}


def assign_variant(variants: Sequence[Variant], group: str, customer_id: str) -> Variant:
    """Return the variant of a customer: the same whenever it is asked, whatever the order of the variants.

    Each variant draws an exponential time at the rate of its share, by a hash of group, variant and customer that has
    nothing to do with the holdout's; the first one wins. So a variant that is added takes customers and moves no
    others, and one that is removed moves its own alone. Where the shares of d of the customers change, at most
    2 d / (1 + d) move: no assignment without a memory can promise less (Bavarian, Ghazi, Haramaty, Kamath, Rivest,
    Sudan, 2020, "Optimality of correlated sampling strategies").

    Args:
        variants: at least one.
        group: the campaign, or the group of campaigns that assign alike.
        customer_id: who.
    """
    return min(variants, key=lambda each: _draw(group, each.key, customer_id) / each.share)


def find_shares(variants: Sequence[Variant]) -> dict[str, float]:
    """Return the share of each variant among all, by key; the shares add up to 1."""
    total = math.fsum(each.share for each in variants)
    return {each.key: each.share / total for each in variants}


def _draw(group: str, variant: str, customer_id: str) -> float:
    """Return an exponentially distributed number."""
    digest = hashlib.sha256(f"variant\x1f{group}\x1f{variant}\x1f{customer_id}".encode()).digest()
    # From above 0 to 1: its logarithm exists.
    return -math.log((int.from_bytes(digest[:8]) + 1) / (2**64 + 1))
