"""Customers that the ledger knows: by the beginning of their id, and the members of a segment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from campaigns.postgres_timeline import open_timeline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streams.settings import Settings


def find_customers(settings: Settings, beginning: str, *, limit: int, after: str = "") -> Sequence[str]:
    """Return the ids of customers that a worker has evaluated and that begin so, in order.

    Args:
        settings: where the ledger is.
        beginning: of the id.
        limit: the most ids.
        after: only ids that come after this one.

    Raises:
        LedgerUnavailableError: the ledger cannot be read.
    """
    with open_timeline(settings.ledger_url) as timeline:
        return timeline.find_customers(beginning, after=after, limit=limit)


def find_members(settings: Settings, segment: str, *, limit: int, after: str = "") -> Sequence[str]:
    """Return the ids of members of a segment as the ledger has them, in order.

    Raises:
        LedgerUnavailableError: the ledger cannot be read.
    """
    with open_timeline(settings.ledger_url) as timeline:
        return timeline.members(segment, after=after, limit=limit)
