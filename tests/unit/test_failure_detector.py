"""Which workers count as dead, and what becomes of them."""

from __future__ import annotations

import asyncio

from structlog.testing import capture_logs

from campaigns.errors import LedgerUnavailableError, SharedSessionError
from campaigns.ports import WorkerSessionsSeen
from streams.runtime.failure_detector import CONFIRMATIONS, FailureDetector, VanishedMembers
from tests.fakes.worker_sessions import InMemoryWorkerSessions, Sessions

ME, OTHER = "holdfast-me", "holdfast-other"


def seen(*names: str, session: int = 1) -> WorkerSessionsSeen:
    return WorkerSessionsSeen(frozenset({ME, *names}), session)


def observe(vanished: VanishedMembers, *looks: WorkerSessionsSeen, own: str = ME) -> list[list[str]]:
    return [vanished.observe(own, each) for each in looks]


def test_a_member_is_returned_once_its_session_is_missed_several_times() -> None:
    found = observe(VanishedMembers(), seen(OTHER), *[seen()] * CONFIRMATIONS)
    assert found == [[]] * CONFIRMATIONS + [[OTHER]]


def test_a_member_that_is_back_in_time_is_not_returned() -> None:
    """PostgreSQL ended its session, or a network did."""
    looks = [seen(OTHER), *[seen()] * (CONFIRMATIONS - 1), seen(OTHER), *[seen()] * (CONFIRMATIONS - 1)]
    assert not any(observe(VanishedMembers(), *looks))


def test_a_member_that_was_never_seen_is_not_returned() -> None:
    """It may be of a version that has no session, or a static member."""
    assert not any(observe(VanishedMembers(), *[seen()] * 10))


def test_a_worker_whose_own_session_is_new_knows_of_none() -> None:
    """After a restart of PostgreSQL it may be the first that is back."""
    assert not any(observe(VanishedMembers(), seen(OTHER), *[seen(session=2)] * 10))


def test_a_worker_that_joined_again_does_not_return_its_former_self() -> None:
    vanished = VanishedMembers()
    observe(vanished, seen(OTHER))
    looks = [WorkerSessionsSeen(frozenset({"holdfast-again", OTHER}), 1)] * 10
    assert not any(observe(vanished, *looks, own="holdfast-again"))


def test_a_member_is_returned_until_it_is_forgotten() -> None:
    vanished = VanishedMembers()
    observe(vanished, seen(OTHER), *[seen()] * CONFIRMATIONS)
    assert vanished.observe(ME, seen()) == [OTHER]
    vanished.forget(OTHER)
    assert vanished.observe(ME, seen()) == []


class Ledger:
    """A ledger whose other worker dies after this one's first look, and a broker that answers the second request."""

    def __init__(self) -> None:
        self.sessions = Sessions()
        self.other = InMemoryWorkerSessions(self.sessions)
        self.looks = 0
        self.asked: list[str] = []

    async def run(self, own: str = ME) -> None:
        """Run a detector for some looks."""
        await self.other.find(OTHER)
        mine = InMemoryWorkerSessions(self.sessions)
        detector = FailureDetector(mine, lambda: own, self.remove, every_s=0)
        task = asyncio.create_task(detector.run())
        for look in range(30):
            await asyncio.sleep(0)
            if look == 1:
                await self.other.close()
        task.cancel()
        await asyncio.wait([task])

    async def remove(self, member: str) -> bool:
        """Remove a member at the second request."""
        self.asked.append(member)
        return len(self.asked) > 1


async def test_a_dead_member_is_removed_until_the_broker_answers() -> None:
    ledger = Ledger()
    await ledger.run()
    assert ledger.asked == [OTHER, OTHER]
    assert not ledger.sessions.names, "the detector's own session ended with it"


async def test_a_ledger_that_is_away_costs_no_member() -> None:
    ledger = Ledger()
    ledger.sessions.error = LedgerUnavailableError("away")
    await ledger.run()
    assert not ledger.asked


async def test_a_worker_outside_the_group_opens_no_session() -> None:
    ledger = Ledger()
    await ledger.run(own="")
    assert ledger.sessions.opened == 1, "that of the other one"


async def test_behind_a_pooler_the_detector_is_off_and_the_worker_goes_on() -> None:
    ledger = Ledger()
    ledger.sessions.error = SharedSessionError("shared by others")
    with capture_logs() as logs:
        await ledger.run()
    assert [(each["event"], each["reason"]) for each in logs] == [("failure_detection_off", "shared by others")]
