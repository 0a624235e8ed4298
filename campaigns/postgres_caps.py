"""Who cannot be contacted now because of a cap: the cooldown of a campaign, and the limits on contacts that bind it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from campaigns.contact_limits import PastContact
from campaigns.postgres_connections import connect_snapshot
from campaigns.queries import QUERIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    import psycopg

    from campaigns.contact_limits import ContactLimit
    from campaigns.definition import Campaign

_CONTACTS = msgspec.json.Decoder(list[PastContact])


@dataclass(frozen=True, slots=True)
class CapUse:
    """How many customers a cap keeps from being contacted at a moment.

    Attributes:
        limit: None for the cooldown of the campaign.
        members: of the campaign's segment.
        customers: all of them, members or not.
        first_free: when the first of them can be contacted again, as far as this cap is concerned; None without any.
    """

    limit: ContactLimit | None
    members: int
    customers: int
    first_free: datetime | None


@dataclass(frozen=True, slots=True)
class ContactsAhead:
    """The contacts of a customer of whom one is later than the moment, and whether they are a member."""

    is_member: bool
    contacts: Sequence[PastContact]


def read_caps(ledger_url: str, campaign: Campaign, at: datetime) -> Sequence[CapUse]:
    """Return how many customers each cap of a campaign binds at a moment of event time, the cooldown first.

    A customer is at a limit exactly where `ContactLimit.find_end` says so. It reads every contact.

    Raises:
        LedgerUnavailableError: the ledger cannot be read.
    """
    with connect_snapshot(ledger_url) as connection:
        caps = [_read_cooldown(connection, campaign, at)] if campaign.cooldown_days else []
        if not campaign.limits:
            return caps
        after = at - max(timedelta(days=each.days) for each in campaign.limits)
        values = {"segment": campaign.segment, "after": after, "at": at}
        rows = connection.execute(QUERIES["contacts_ahead"], values).fetchall()
        ahead = [ContactsAhead(is_member, _CONTACTS.decode(contacts)) for _, is_member, contacts in rows]
        of_limits = [_read_limit(connection, campaign.segment, each, at) for each in campaign.limits]
    return [*caps, *(add_ahead(each, ahead, at) for each in of_limits)]


def add_ahead(use: CapUse, ahead: Iterable[ContactsAhead], at: datetime) -> CapUse:
    """Return the use of a limit with the customers that it binds though a contact that it counts is later. Pure."""
    limit = use.limit
    if limit is None:
        return use
    ends = [
        (end, each.is_member)
        for each in ahead
        if any(contact.at > at and limit.counts(contact) for contact in each.contacts)
        and (end := limit.find_end(each.contacts, at))
    ]
    return CapUse(
        limit,
        use.members + sum(is_member for _, is_member in ends),
        use.customers + len(ends),
        min(filter(None, [use.first_free, *(end for end, _ in ends)]), default=None),
    )


def _read_cooldown(connection: psycopg.Connection[tuple[Any, ...]], campaign: Campaign, at: datetime) -> CapUse:
    length = timedelta(days=campaign.cooldown_days)
    values = {"campaign": campaign.key, "segment": campaign.segment, "after": at - length}
    customers, members, first = connection.execute(QUERIES["cooldown_use"], values).fetchall()[0]
    return CapUse(None, members, customers, None if first is None else first + length)


def _read_limit(
    connection: psycopg.Connection[tuple[Any, ...]], segment: str, limit: ContactLimit, at: datetime
) -> CapUse:
    window = timedelta(days=limit.days)
    values = {
        "segment": segment,
        "contacts": limit.contacts,
        "campaign": limit.campaign,
        "channel": limit.channel,
        "staff_channels": sorted(limit.staff_channels),
        "after": at - window,
        "at": at,
    }
    customers, members, first = connection.execute(QUERIES["limit_use"], values).fetchall()[0]
    return CapUse(limit, members, customers, None if first is None else first + window)
