"""What a worker keeps of customers between batches: what the ledger held when they were last read.

Nothing that is kept is used before the ledger has said that it is the latest: each customer has a revision, which every
commit that changes what is kept of them replaces by another random number. See docs/decisions/0034.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec.structs import replace

from campaigns.decide import ContactHistory
from features.signals import Signals
from segments.engine import MembershipState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

KEPT = 100_000
NO_HISTORY = ContactHistory()
LATENESS = timedelta(days=1)
"""Contacts are read from so much earlier on, so that events that arrive late find them listed, too."""
_BEGINNING = datetime.min.replace(tzinfo=UTC)


class CustomerState(msgspec.Struct, frozen=True, gc=False):
    """What the ledger holds of one customer.

    Attributes:
        revision: of the customer when they were read, as text; None for one who must not be kept.
        due_at: when they are due, in seconds since 1970; 0 for never, None for one who was never evaluated.
        membership: None for one who was never evaluated.
        signals: None without conversations.
        history: None without contacts, consent changes and feedback.
        contacts_after: from when on it lists contacts; None: it lists none.
    """

    revision: str | None
    due_at: int | None
    membership: MembershipState | None
    signals: Signals | None
    history: ContactHistory | None
    contacts_after: datetime | None


class Parts(NamedTuple):
    """What the ledger holds of customers, part by part; who has nothing of a part is missing there."""

    memberships: dict[str, MembershipState]
    signals: dict[str, Signals]
    histories: dict[str, ContactHistory]
    due_times: dict[str, int]


class KeptCustomers:
    """As many customers as a limit allows; the one who was read longest ago makes room.

    Not the one used longest ago: to note each use would touch more memory that is in no cache. Who has many events
    changes, and is read again, often. All were evaluated under the same versions of all segments; when others come into
    force, everybody is forgotten.

    Args:
        limit: the most customers; 0 keeps none.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: OrderedDict[str, CustomerState] = OrderedDict()
        self._roster = 0

    def __len__(self) -> int:
        return len(self._kept)

    def find(
        self, customer_ids: Iterable[str], roster: int, contacts_after: datetime | None
    ) -> dict[str, CustomerState]:
        """Return those of the customers who are kept.

        Args:
            customer_ids: the customers.
            roster: the id of the versions under which they will be evaluated.
            contacts_after: the moment after which their histories must list contacts; None: they may list none.
        """
        if roster != self._roster:
            self.forget_all()
            self._roster = roster
        found = {}
        for each in customer_ids:
            customer = self._kept.get(each)
            if customer is None:
                continue
            listed = customer.contacts_after
            if contacts_after is None or (listed is not None and listed <= contacts_after):
                found[each] = customer
        return found

    def keep(self, customers: Mapping[str, CustomerState], roster: int) -> None:
        """Keep customers as they were read, if they were evaluated under the versions of the latest `find`."""
        if not self._limit or roster != self._roster:
            return
        for each, customer in customers.items():
            self._kept[each] = customer
            self._kept.move_to_end(each)
        while len(self._kept) > self._limit:
            self._kept.popitem(last=False)

    def forget(self, customer_ids: Iterable[str]) -> None:
        """Forget customers."""
        for each in customer_ids:
            self._kept.pop(each, None)

    def forget_all(self) -> None:
        """Forget everybody."""
        self._kept.clear()


def begin_reading(contacts_after: datetime | None) -> datetime | None:
    """Return the moment after which to read contacts where those after another one are asked for."""
    if contacts_after is None or contacts_after - _BEGINNING <= LATENESS:
        return contacts_after
    return contacts_after - LATENESS


def arrange_parts(customers: Mapping[str, CustomerState], contacts_after: datetime | None) -> Parts:
    """Return the parts of customers; their histories list the contacts after a moment, None stands for none."""
    parts = Parts({}, {}, {}, {})
    memberships, signals, histories, due_times = parts
    for each, customer in customers.items():
        if customer.membership is not None:
            memberships[each] = customer.membership
        if customer.signals is not None:
            signals[each] = customer.signals
        if customer.due_at is not None:
            due_times[each] = customer.due_at
        if customer.history is not None and (history := _without_contacts_until(contacts_after, customer.history)):
            histories[each] = history
    return parts


def _without_contacts_until(moment: datetime | None, history: ContactHistory) -> ContactHistory | None:
    """Return a history as a read of the contacts after a moment gives it, None if that would find nothing."""
    if not history.contacts:
        return history
    listed = () if moment is None else tuple(each for each in history.contacts if each.at > moment)
    left = replace(history, contacts=listed)
    return None if left == NO_HISTORY else left
