"""Members of the consumer group, by aiokafka's coordinator. For the thread that owns the coordinator."""

from __future__ import annotations

from typing import Any

import structlog
from aiokafka.errors import KafkaError
from aiokafka.protocol.group import LeaveGroupRequest

from streams.kafka.instance_guard import NONE, UNKNOWN_MEMBER_ID

log = structlog.get_logger()


async def remove_member(coordinator: Any, member_id: str) -> bool:
    """Let another member leave the group, and join again if it was in there.

    Args:
        coordinator: aiokafka's.
        member_id: of a worker that died.

    Returns:
        False where the broker did not answer, or did not know.
    """
    if coordinator.coordinator_id is None:
        return False
    request = LeaveGroupRequest(coordinator.group_id, member_id)
    try:
        # Not on the coordinator's connection: the broker answers in order, and a request to join may wait for this.
        answer = await coordinator._client.send(coordinator.coordinator_id, request)  # noqa: SLF001 - no public method
    except KafkaError:
        return False
    if answer.error_code == NONE:
        log.warning("dead_worker_removed", member=member_id, group=coordinator.group_id)
        coordinator.request_rejoin()
    return answer.error_code in {NONE, UNKNOWN_MEMBER_ID}
