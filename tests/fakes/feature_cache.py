"""An in-memory feature cache."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from features.errors import CacheUnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class InMemoryFeatureCache:
    """Implements `features.ports.FeatureCache`; `away` makes every call fail."""

    def __init__(self) -> None:
        self.rows: dict[str, bytes] = {}
        self.leases: dict[str, bytes] = {}
        self.away = False
        self._tokens = count()

    async def read(self, customer_ids: Sequence[str]) -> tuple[dict[str, bytes], dict[str, bytes]]:
        """Return the rows found, and leases for missing rows without a current lease."""
        self._reach()
        found = {each: self.rows[each] for each in customer_ids if each in self.rows}
        free = [each for each in customer_ids if each not in found and each not in self.leases]
        granted = {each: str(next(self._tokens)).encode() for each in free}
        self.leases |= granted
        return found, granted

    async def fill(self, rows: Mapping[str, bytes], leases: Mapping[str, bytes]) -> None:
        """Store each row whose lease is still held."""
        self._reach()
        for customer_id, row in rows.items():
            if customer_id in leases and self.leases.get(customer_id) == leases[customer_id]:
                self.rows[customer_id] = row
                del self.leases[customer_id]

    async def invalidate(self, customer_ids: Sequence[str]) -> None:
        """Remove rows and leases."""
        self._reach()
        for customer_id in customer_ids:
            self.rows.pop(customer_id, None)
            self.leases.pop(customer_id, None)

    def _reach(self) -> None:
        if self.away:
            raise CacheUnavailableError("the in-memory cache is away")
