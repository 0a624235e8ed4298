"""The due customers of an in-memory ledger."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from campaigns.ports import DueCustomer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.fakes.ledger import InMemoryLedger


class InMemoryDueCustomers:
    """Implements `campaigns.ports.DueCustomers`; a claim lasts until `end_leases`.

    Attributes:
        calls: how often customers were claimed or looked up.
    """

    def __init__(self, ledger: InMemoryLedger) -> None:
        self._ledger = ledger
        self.calls = 0

    async def now(self) -> int:
        """See the port."""
        self._ledger.reach()
        return int(time.time())

    async def claim(self, now: int, *, limit: int, lease_s: float) -> Sequence[DueCustomer]:
        """See the port."""
        claimed = [each for each in self._waiting() if each.due_at <= now][:limit]
        for each in claimed:
            self._ledger.customers[each.customer_id].claimed = lease_s > 0
        return claimed

    async def last_transition(self) -> int | None:
        """See the port."""
        self._ledger.reach()
        times = [at for each in self._ledger.customers.values() for at in each.transitions_at.values()]
        return int(max(times).timestamp()) if times else None

    async def next_due(self) -> int | None:
        """See the port."""
        return next((each.due_at for each in self._waiting()), None)

    def end_leases(self) -> None:
        """Let every claim end."""
        for customer in self._ledger.customers.values():
            customer.claimed = False

    def _waiting(self) -> list[DueCustomer]:
        self.calls += 1
        self._ledger.reach()
        known = self._ledger.customers.items()
        waiting = [
            DueCustomer(name, each.due_at) for name, each in known if each.due_at is not None and not each.claimed
        ]
        return sorted(waiting, key=lambda each: (each.due_at, each.customer_id))
