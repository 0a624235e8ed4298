"""Detects another worker with this worker's instance id (static group membership).

Kafka gives the name to the worker that joined last and answers the other with "unknown member" or "fenced instance".
aiokafka then joins again and takes the name back: two such workers would take the partitions from each other without
end. Here the worker that lost the name stops instead. A member that was silent for a session may be unknown for that
reason alone: it joins again. So may one whose broker stood still: it answers what waited, and then forgets the member.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from aiokafka.errors import GroupCoordinatorNotAvailableError

from streams.errors import DuplicateInstanceError

if TYPE_CHECKING:
    from collections.abc import Callable

NONE, UNKNOWN_MEMBER_ID, REBALANCE_IN_PROGRESS, FENCED_INSTANCE_ID = 0, 25, 27, 82
LOST = {UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID}
ACCEPTED = {NONE, REBALANCE_IN_PROGRESS}


class InstanceGuard:
    """Intercepts the requests of aiokafka's group coordinator. For the thread that owns the coordinator.

    Args:
        coordinator: aiokafka's.
        instance_id: this worker's HOLDFAST_INSTANCE_ID.
        session_s: the broker forgets a member that is silent for so long.
        report: receives the error, once.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        coordinator: Any,
        *,
        instance_id: str,
        session_s: float,
        report: Callable[[DuplicateInstanceError], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._coordinator = coordinator
        self._send = coordinator._send_req  # noqa: SLF001 - all requests to the group's coordinator pass here
        self._instance_id = instance_id
        self._session_s = session_s
        self._report = report
        self._clock = clock
        self._accepted: tuple[str, float] = ("", 0.0)
        self._stood_still_at = -math.inf
        self._is_lost = False

    def install(self) -> None:
        """Make the coordinator send through this object."""
        self._coordinator._send_req = self.send  # noqa: SLF001

    async def send(self, request: Any) -> Any:
        """Send a request and check the answer.

        Raises:
            KafkaError: as the coordinator's own; and of every request after the instance id was lost.
        """
        if self._is_lost:
            raise GroupCoordinatorNotAvailableError
        member_id, asked_at = self._coordinator.member_id, self._clock()
        answer = await self._send(request)
        if self._clock() - asked_at > self._session_s / 2:
            self._stood_still_at = self._clock()
        codes = read_codes(answer)
        if LOST & codes and self._was_accepted(member_id):
            self._is_lost = True
            self._report(
                DuplicateInstanceError(
                    f"HOLDFAST_INSTANCE_ID: another worker has joined the group as {self._instance_id!r} and has this "
                    "worker's partitions now; give each worker an instance id of its own"
                )
            )
        elif codes <= ACCEPTED and not hasattr(answer, "topics"):  # the broker answers offset requests of any client
            self._accepted = (member_id or getattr(answer, "member_id", ""), asked_at)
        return answer

    def _was_accepted(self, member_id: str) -> bool:
        """Return whether the broker accepted this member so recently that its session cannot have expired."""
        (accepted, at), now = self._accepted, self._clock()
        stood_still = now - self._stood_still_at < self._session_s
        return bool(member_id) and accepted == member_id and now - at < self._session_s and not stood_still


def read_codes(answer: Any) -> set[int]:
    """Return the error codes of an answer of a group's coordinator; an answer to other requests has none."""
    if hasattr(answer, "error_code"):
        return {answer.error_code}
    return {code for _, partitions in getattr(answer, "topics", ()) for *_, code in partitions}
