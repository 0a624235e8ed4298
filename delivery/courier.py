"""What happens to the triggers of one channel. Read this first.

    claim > plan > permit > send > conclude > settle

A trigger is claimed for twice as long as an attempt may take, and its outcome is stored after the answer. So a crash
before the send costs a pause, and one between the server's acceptance and `settle` makes the next attempt a repetition,
under the same id: no protocol of mail or HTTP lets both happen at once. See docs/delivery.md.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from campaigns.errors import LedgerUnavailableError
from delivery.answers import Retry, Settled, TryAgain, conclude
from delivery.permission import Unknown, Withheld, find_domain
from delivery.plan import Later, Never, plan
from features.errors import WarehouseError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from delivery.answers import Answer
    from delivery.config import Retries
    from delivery.permission import Permission
    from delivery.ports import Claimed, Deliveries, Permissions, Transport
    from streams.runtime.retry import RetryPolicy

log = structlog.get_logger()

CLAIMED_TIMEOUTS = 2
"""A claim lasts so many times longer than an attempt may take."""


def read_clock() -> datetime:
    """Return the time; the only place where a delivery reads it."""
    return datetime.now(UTC)


class Courier:
    """Delivers the triggers of one channel.

    Args:
        channel: the channel's key.
        deliveries: where triggers and outcomes are stored.
        permissions: whether customers may be contacted now.
        transport: sends the messages.
        retry: repeats what an unavailable ledger has made fail.
        retries: the pauses between attempts.
        connections: messages sent at once.
        timeout_s: the longest time for an attempt, the check of consent included.
        clock: returns the time.

    Attributes:
        results: attempts and decisions by result: delivered, bounced, failed, retry or later.
    """

    def __init__(  # noqa: PLR0913 - the ports, and what a delivery.json says
        self,
        channel: str,
        deliveries: Deliveries,
        permissions: Permissions,
        transport: Transport,
        *,
        retry: RetryPolicy,
        retries: Retries,
        connections: int,
        timeout_s: float,
        clock: Callable[[], datetime] = read_clock,
    ) -> None:
        self.channel = channel
        self.results: Counter[str] = Counter()
        self._deliveries = deliveries
        self._permissions = permissions
        self._transport = transport
        self._retry = retry
        self._retries = retries
        self._connections = connections
        self._timeout_s = timeout_s
        self._clock = clock

    async def deliver_due(self) -> int:
        """Deliver what is due, as many at once as there are connections; return how many were due.

        Raises:
            LedgerUnavailableError: nothing is claimed that this process knows of; call again later.
        """
        # Before the claim: what it takes is part of it.
        deadline = asyncio.get_running_loop().time() + self._timeout_s
        now = self._clock()
        until = now + timedelta(seconds=CLAIMED_TIMEOUTS * self._timeout_s)
        claimed = await self._deliveries.claim(self.channel, now=now, until=until, limit=self._connections)
        ready = [each for each in claimed if await self._is_ready(each)]
        if ready:
            permissions = await self._find_permissions(ready, deadline)
            attempts = [self._attempt(*each, deadline) for each in zip(ready, permissions, strict=True)]
            for result in await asyncio.gather(*attempts, return_exceptions=True):
                if isinstance(result, BaseException):
                    raise result
        return len(claimed)

    async def _is_ready(self, claimed: Claimed) -> bool:
        now = self._clock()
        planned = plan(claimed.trigger, now)
        if isinstance(planned, Later):
            self.results["later"] += 1
            at = planned.at
            await self._retry("ledger", lambda: self._deliveries.postpone(claimed, at))
        elif isinstance(planned, Never):
            await self._settle(claimed, Settled("failed", _add_last(planned.reason, claimed)), None)
        return not isinstance(planned, Later | Never)

    async def _find_permissions(self, ready: list[Claimed], deadline: float) -> Sequence[Permission]:
        try:
            async with asyncio.timeout_at(deadline):
                return await self._permissions.find([each.trigger for each in ready])
        except (LedgerUnavailableError, WarehouseError, TimeoutError) as error:
            log.warning("consent_unknown", channel=self.channel, triggers=len(ready), error=error)
            return [Unknown("consent could not be checked")] * len(ready)

    async def _attempt(self, claimed: Claimed, permission: Permission, deadline: float) -> None:
        address: str | None = None
        answer: Answer
        if isinstance(permission, Withheld):
            answer = Settled("failed", permission.reason)
        elif isinstance(permission, Unknown):
            answer = TryAgain(permission.reason)
        else:
            address = permission.address
            answer = await self._send(claimed, address, deadline)
        now = self._clock()
        concluded = conclude(answer, claimed.attempts, now, claimed.trigger.expires_at, self._retries)
        if isinstance(concluded, Retry):
            self.results["retry"] += 1
            at, reason = concluded.at, concluded.reason
            await self._retry("ledger", lambda: self._deliveries.retry(claimed, at, reason))
        else:
            await self._settle(claimed, concluded, address)

    async def _send(self, claimed: Claimed, address: str | None, deadline: float) -> Answer:
        try:
            async with asyncio.timeout_at(deadline):
                return await self._transport.send(claimed, address)
        except TimeoutError:
            return TryAgain(f"no answer within {self._timeout_s:g} s")

    async def _settle(self, claimed: Claimed, settled: Settled, address: str | None) -> None:
        domain = find_domain(address) if address else None
        trigger, at = claimed.trigger, self._clock()
        # Until it is stored: an answer that is forgotten would be asked for again.
        stored = await self._retry(
            "ledger",
            lambda: self._deliveries.settle(trigger, settled.outcome, settled.reason, at=at, mail_domain=domain),
        )
        if stored:
            self.results[settled.outcome] += 1
            log.info("delivery_settled", trigger_id=trigger.id, outcome=settled.outcome, reason=settled.reason)
        else:
            log.warning("delivery_settled_before", trigger_id=trigger.id, outcome=settled.outcome)


def _add_last(reason: str, claimed: Claimed) -> str:
    """Return a reason, with a word on the attempts that were made before."""
    before = claimed.attempts - 1
    return f"{reason} after {before} attempts" if before else reason
