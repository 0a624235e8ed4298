"""Whether a customer may be contacted at the moment of sending, and at which address. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from campaigns.consent import find_revocation, has_consent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from campaigns.channels import Channel
    from campaigns.consent import Consent

_LONGEST_ADDRESS = 254
# What every mail server takes; no line break, comma or angle bracket can add a header or a recipient.
_ADDRESS = re.compile(
    r"[^\s@<>,;:\"\\()\[\]\x00-\x1f\x7f]{1,64}@[^\s@<>,;:\"\\()\[\]\x00-\x1f\x7f]+\.[^\s@<>,;:\"\\()\[\]\x00-\x1f\x7f.]+"
)


@dataclass(frozen=True, slots=True)
class Permitted:
    """The contact may be made; `address` is where, None where the channel needs none."""

    address: str | None = None


@dataclass(frozen=True, slots=True)
class Withheld:
    """The contact must not be made, for this reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """It cannot be known now, for this reason: the contact waits."""

    reason: str


Permission = Permitted | Withheld | Unknown


def find_permission(
    channel: Channel,
    rows: Sequence[Mapping[str, Any]] | None,
    consent: Consent,
    *,
    address_column: str | None = None,
) -> Permission:
    """Return whether a contact may be made.

    A column that is missing is an operator's mistake and not the customer's word: the contact waits.

    Args:
        channel: the channel, with the consent column of the campaign's purpose.
        rows: the customer's rows in the warehouse; None where it is not asked: then revocations alone count.
        consent: the customer's changes of consent by events.
        address_column: the column with the address; None where the channel needs none.
    """
    if rows is None:
        revoked = channel.needs_consent and find_revocation(consent, channel.key) is not None
        return Withheld("no_consent") if revoked else Permitted()
    if len(rows) != 1:
        return Withheld("several_rows" if rows else "no_row")
    (row,) = rows
    needed = [channel.consent_column if channel.needs_consent else None, address_column]
    if missing := [column for column in needed if column is not None and column not in row]:
        return Unknown(f"the warehouse has no column {missing[0]}")
    if not has_consent(channel, row, consent):
        return Withheld("no_consent")
    return Permitted() if address_column is None else _find_address(row[address_column])


def _find_address(value: object) -> Permission:
    if value is None or value == "":
        return Withheld("no_address")
    address = value.strip() if isinstance(value, str) else ""
    usable = len(address) <= _LONGEST_ADDRESS and _ADDRESS.fullmatch(address)
    return Permitted(address) if usable else Withheld("invalid_address")


def find_domain(address: str) -> str:
    """Return the mail domain of an address, in lower case."""
    return address.rpartition("@")[2].lower()
