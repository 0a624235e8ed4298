from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaError

from streams.kafka.instance_guard import InstanceGuard

OK, UNKNOWN, ILLEGAL_GENERATION, REBALANCING, FENCED = 0, 25, 22, 27, 82
SESSION_S = 10.0


class Group:
    """A coordinator whose broker answers with the codes given, at the times given."""

    def __init__(self) -> None:
        self.member_id = ""
        self.now = 100.0
        self.code = OK
        self.sent = 0
        self.takes_s = 0.0
        self.reported: list[Exception] = []
        self.guard = InstanceGuard(
            self, instance_id="worker-1", session_s=SESSION_S, report=self.reported.append, clock=lambda: self.now
        )
        self.guard.install()

    async def _send_req(self, request: Any) -> Any:
        self.sent += 1
        self.now += self.takes_s
        if request == "commit":
            return SimpleNamespace(topics=[("updates", [(0, OK), (1, self.code)])])
        if request == "offsets":
            return SimpleNamespace(topics=[], error_code=OK)
        if request == "join":
            return SimpleNamespace(error_code=self.code, member_id="member-1")
        return SimpleNamespace(error_code=self.code)

    async def ask(self, request: str, code: int = OK) -> None:
        """Send a request that is answered with a code."""
        self.code = code
        await self._send_req(request)


@pytest.fixture
async def group() -> Group:
    """A coordinator that has joined."""
    group = Group()
    await group.ask("join")
    group.member_id = "member-1"
    return group


@pytest.mark.parametrize("request_", ["heartbeat", "commit", "join"])
@pytest.mark.parametrize("code", [UNKNOWN, FENCED])
async def test_a_member_that_is_unknown_within_its_session_has_lost_its_name(
    group: Group, request_: str, code: int
) -> None:
    """Nothing is sent after that, so that the name is not taken back; the error is reported once."""
    group.now += SESSION_S - 0.1
    await group.ask(request_, code)
    sent = group.sent
    with pytest.raises(KafkaError):
        await group.ask("join")
    assert group.sent == sent
    (error,) = group.reported
    assert str(error).startswith("HOLDFAST_INSTANCE_ID: another worker has joined the group as 'worker-1'")


@pytest.mark.parametrize("code", [UNKNOWN, FENCED])
async def test_a_member_that_was_silent_for_a_session_joins_again(group: Group, code: int) -> None:
    """A frozen worker is unknown for that reason alone."""
    group.now += SESSION_S
    await group.ask("heartbeat", code)
    await group.ask("join")
    assert group.reported == []


@pytest.mark.parametrize("code", [UNKNOWN, FENCED])
async def test_a_member_whose_broker_stood_still_joins_again(group: Group, code: int) -> None:
    """The broker answers the requests that waited, the last of them sent a moment before, and then ends the session."""
    group.takes_s = SESSION_S - 1
    await group.ask("heartbeat")
    group.takes_s = 0.0
    await group.ask("commit")
    await group.ask("heartbeat", code)
    assert group.reported == []
    group.now += SESSION_S
    await group.ask("heartbeat")
    await group.ask("heartbeat", code)
    assert len(group.reported) == 1


@pytest.mark.parametrize("code", [OK, REBALANCING])
async def test_an_accepted_heartbeat_prolongs_the_session(group: Group, code: int) -> None:
    group.now += SESSION_S - 1
    await group.ask("heartbeat", code)
    group.now += SESSION_S - 1
    await group.ask("heartbeat", UNKNOWN)
    assert len(group.reported) == 1


async def test_offsets_told_to_a_member_prolong_no_session(group: Group) -> None:
    """The broker tells them to anybody."""
    group.now += SESSION_S - 1
    await group.ask("offsets")
    group.now += 1
    await group.ask("heartbeat", UNKNOWN)
    assert group.reported == []


async def test_another_generation_or_another_member_is_no_loss(group: Group) -> None:
    """After an illegal generation, and for a member id that was never accepted, the coordinator joins again."""
    await group.ask("heartbeat", ILLEGAL_GENERATION)
    group.member_id = ""
    await group.ask("join", UNKNOWN)
    group.member_id = "member-2"
    await group.ask("heartbeat", UNKNOWN)
    assert group.reported == []
