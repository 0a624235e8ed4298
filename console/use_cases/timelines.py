"""The timeline of a customer: what the ledger holds, in the order in which it happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from campaigns.errors import UnknownCustomerError
from campaigns.postgres_timeline import open_timeline
from streams.definitions import read_definitions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from campaigns.records import TimelineEntry
    from streams.settings import Settings


@dataclass(frozen=True, slots=True)
class Timeline:
    """The latest entries of a customer.

    Attributes:
        customer_id: the customer.
        entries: in order.
        is_cut: whether there are earlier entries that the limit left out.
        offers: the key of each offer that is defined now, by id.
    """

    customer_id: str
    entries: Sequence[TimelineEntry]
    is_cut: bool
    offers: Mapping[int, str]


def find_timeline(settings: Settings, customer_id: str, *, since: datetime | None, limit: int) -> Timeline:
    """Return what the ledger holds of a customer.

    Args:
        settings: where the ledger and the definitions are.
        customer_id: the customer.
        since: the earliest time; None for the beginning.
        limit: the largest number of entries; the latest are kept.

    Raises:
        UnknownCustomerError: the ledger has nothing of the customer.
        LedgerUnavailableError: the ledger cannot be read.
        CampaignDefinitionError: the definitions cannot be used.
    """
    offers = {each.id: each.key for each in read_definitions(settings).offers.values()}
    with open_timeline(settings.ledger_url) as timeline:
        entries, is_cut = timeline.read(customer_id, since=since, limit=limit)
        if not entries and not timeline.knows(customer_id):
            raise UnknownCustomerError(
                f"the ledger has nothing of customer {customer_id!r}; check the id: no worker has evaluated it"
            )
    return Timeline(customer_id, entries, is_cut, offers)
