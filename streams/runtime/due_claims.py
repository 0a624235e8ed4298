"""Claims customers who are due, and requests their evaluation, at a bounded rate.

Any worker claims any customers; a request goes to the owner of the customer's partition, as every event does. A claim
ends with the evaluation, which stores the next due time. If the worker ends in between, or the request is lost, the
claim ends by itself, and the customer is claimed again: a second request changes nothing. A worker whose own partitions
are behind claims none, so live events are not held up.

The clock is the ledger's, one for all workers: a worker whose own clock is wrong requests nothing for the future.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from campaigns.ports import DueCustomer, DueCustomers
    from streams.observability.metrics import Metrics
    from streams.runtime.retry import RetryPolicy

FAR_BEHIND_S = 600
"""A customer who has been due for so long shows in /health."""


@dataclass(frozen=True, slots=True)
class DuePace:
    """How fast customers are claimed.

    Attributes:
        rate: the most customers claimed in a second.
        page: customers claimed at once.
        lease_s: how long a claim lasts: longer than a request usually waits for its turn.
        poll_s: the longest pause between two looks into the ledger.
        shortest_s: the shortest pause after a look that found none.
        behind_s: the pause while the worker is behind.
    """

    rate: float
    page: int = 1_000
    lease_s: float = 120.0
    poll_s: float = 5.0
    shortest_s: float = 0.02
    behind_s: float = 1.0


class DueClaims:
    """Runs next to the stages of a worker.

    Args:
        customers: the customers of the ledger.
        request: publishes a request for each customer; returns when the broker has them.
        clock: returns the present time in seconds since 1970; None while it is unknown.
        jumps: whether that time is one of events, which may jump forward at any moment.
        is_behind: whether the worker has much to decide already.
        pace: how fast.
        retry: retries unavailable services.
        metrics: counts the customers claimed.

    Attributes:
        overdue_s: for how long the customer who waits longest has been due, as of the last look.
    """

    def __init__(
        self,
        customers: DueCustomers,
        request: Callable[[Sequence[DueCustomer], int], Awaitable[None]],
        *,
        clock: Callable[[], Awaitable[int | None]],
        jumps: bool,
        is_behind: Callable[[], bool],
        pace: DuePace,
        retry: RetryPolicy,
        metrics: Metrics,
    ) -> None:
        self._customers = customers
        self._request = request
        self._clock = clock
        self._jumps = jumps
        self._is_behind = is_behind
        self._pace = pace
        self._retry = retry
        self._metrics = metrics
        self._next_due: int | None = None
        self._looked_at = 0.0
        self.overdue_s = 0

    def describe(self) -> list[str]:
        """Return a sentence if customers who are due wait for long; by the time of events, long is a moment."""
        if self._jumps or self.overdue_s < FAR_BEHIND_S:
            return []
        words = f"due customers: the first has waited for {self.overdue_s:,} s"
        return [f"{words}; add workers, or raise HOLDFAST_DUE_RATE where they are idle"]

    async def run(self) -> None:
        """Claim and request until cancelled."""
        while True:
            pause_s = await self.claim_page()
            await asyncio.sleep(pause_s)

    async def claim_page(self) -> float:
        """Claim a page of customers and request their evaluation; return how many seconds to wait for the next.

        Raises:
            LedgerError, HoldfastStreamError: an error that does not pass by itself.
        """
        now, pace = await self._retry("ledger", self._clock), self._pace
        if now is None or (self._jumps and self._is_idle(now)):
            return pace.shortest_s
        if self._is_behind():
            await self._look(now)
            return pace.behind_s
        claim = partial(self._customers.claim, now, limit=pace.page, lease_s=pace.lease_s)
        claimed = await self._retry("ledger", claim)
        if not claimed:
            await self._look(now)
            return self._pause(now)
        self._next_due, self.overdue_s = claimed[0].due_at, now - claimed[0].due_at
        # Counted before: who waits until all requests are decided must not miss those on their way.
        self._metrics.due_customers.inc(len(claimed))
        await self._retry("broker", partial(self._request, claimed, now))
        return len(claimed) / pace.rate

    async def _look(self, now: int) -> None:
        """Find when the next customer is due."""
        self._next_due = await self._retry("ledger", self._customers.next_due)
        self._looked_at = time.monotonic()
        self.overdue_s = 0 if self._next_due is None else max(now - self._next_due, 0)

    def _is_idle(self, now: int) -> bool:
        """Return whether no customer was due at the last look, nor has become due since, and it was not long ago."""
        waits = self._next_due is None or self._next_due > now
        return waits and time.monotonic() < self._looked_at + self._pace.poll_s

    def _pause(self, now: int) -> float:
        """Return how long no customer will be due, as far as is known: other workers store due times meanwhile."""
        if self._jumps:
            return self._pace.shortest_s
        waits = self._pace.poll_s if self._next_due is None else self._next_due - now
        return min(max(waits, self._pace.shortest_s), self._pace.poll_s)
