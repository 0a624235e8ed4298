"""Detects workers that died, and removes them from the group: Kafka alone waits until their sessions time out.

Each worker has a session of the ledger that bears its member id. The session of a process that dies ends at once. A
worker that saw another one's session, and does not see it any more, lets that member leave the group. A mistake costs a
rebalance: the member joins again, and epochs fence what it did meanwhile. So a session that ends for another reason
than a death does no harm.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from campaigns.errors import LedgerUnavailableError, SharedSessionError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from campaigns.ports import WorkerSessions, WorkerSessionsSeen

FIND_EVERY_S = 0.25
CONFIRMATIONS = 3
"""Workers lose their sessions together when PostgreSQL restarts or a network fails, and reconnect within this time."""

log = structlog.get_logger()


class VanishedMembers:
    """Finds the members whose sessions have ended."""

    def __init__(self) -> None:
        self._own: tuple[str, int] = ("", 0)
        self._missed: dict[str, int] = {}
        """How many times in a row each member that was seen was not."""

    def observe(self, own: str, seen: WorkerSessionsSeen) -> list[str]:
        """Return the members that were seen before, and not the last few times.

        A worker whose own session or member id is new knows of none: it cannot tell who ended from who is not back yet.

        Args:
            own: this worker's member id.
            seen: the sessions now.
        """
        if (own, seen.session) != self._own:
            self._own, self._missed = (own, seen.session), {}
        for member in self._missed:
            self._missed[member] += 1
        self._missed |= dict.fromkeys(seen.names - {own}, 0)
        return sorted(member for member, times in self._missed.items() if times >= CONFIRMATIONS)

    def forget(self, member: str) -> None:
        """Return a member no longer."""
        self._missed.pop(member, None)


class FailureDetector:
    """Removes the members of this worker's group that died.

    Args:
        sessions: the sessions of all workers.
        member_id: returns this worker's, empty while it is not in the group.
        remove: lets a member leave the group, if it is still in there; False where the broker did not answer.
        every_s: the pause between two looks.
    """

    def __init__(
        self,
        sessions: WorkerSessions,
        member_id: Callable[[], str],
        remove: Callable[[str], Awaitable[bool]],
        *,
        every_s: float = FIND_EVERY_S,
    ) -> None:
        self._sessions = sessions
        self._member_id = member_id
        self._remove = remove
        self._every_s = every_s
        self._vanished = VanishedMembers()

    async def run(self) -> None:
        """Run until cancelled."""
        try:
            while True:
                if member_id := self._member_id():
                    await self._find(member_id)
                await asyncio.sleep(self._every_s)
        except SharedSessionError as error:
            log.warning("failure_detection_off", reason=str(error), action="dead workers time out")
            await asyncio.Event().wait()
        finally:
            await self._sessions.close()

    async def _find(self, member_id: str) -> None:
        try:
            seen = await self._sessions.find(member_id)
        except LedgerUnavailableError:
            return  # the worker's own requests report it
        for member in self._vanished.observe(member_id, seen):
            if await self._remove(member):
                self._vanished.forget(member)
