"""The contract of the sessions of workers, run on the in-memory fake and on PostgreSQL."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from campaigns.errors import LedgerUnavailableError, SharedSessionError
from campaigns.postgres_worker_sessions import LONGEST_NAME, PREFIX, PostgresWorkerSessions
from tests.fakes.worker_sessions import InMemoryWorkerSessions, Sessions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from campaigns.ports import WorkerSessions

ONE, TWO = "holdfast-1", "holdfast-2"
WITHIN_S, PAUSE_S = 10.0, 0.01
"""PostgreSQL removes a session a moment after its connection closes."""


@pytest.fixture(params=["memory", "postgres"])
async def pair(request: pytest.FixtureRequest) -> AsyncIterator[tuple[WorkerSessions, WorkerSessions]]:
    """The sessions as two workers of one ledger find them."""
    one: WorkerSessions
    two: WorkerSessions
    if request.param == "memory":
        sessions = Sessions()
        one, two = InMemoryWorkerSessions(sessions), InMemoryWorkerSessions(sessions)
    else:
        url = request.getfixturevalue("ledger_url")
        one, two = PostgresWorkerSessions(url), PostgresWorkerSessions(url)
    yield one, two
    await one.close()
    await two.close()


async def find_until(sessions: WorkerSessions, name: str, expected: set[str]) -> None:
    found: frozenset[str] = frozenset()
    for _ in range(int(WITHIN_S / PAUSE_S)):
        found = (await sessions.find(name)).names
        if found == expected:
            return
        await asyncio.sleep(PAUSE_S)
    assert found == expected


async def test_each_worker_finds_both_until_one_ends(pair: tuple[WorkerSessions, WorkerSessions]) -> None:
    one, two = pair
    await one.find(ONE)
    await two.find(TWO)
    await find_until(one, ONE, {ONE, TWO})
    await two.close()
    await find_until(one, ONE, {ONE})


async def test_a_new_name_replaces_the_former_one(pair: tuple[WorkerSessions, WorkerSessions]) -> None:
    """As after a worker has joined its group again."""
    one, two = pair
    before = await one.find(ONE)
    again = await one.find("holdfast-3")
    assert again.session == before.session
    await find_until(two, TWO, {TWO, "holdfast-3"})


async def test_a_session_that_was_opened_again_is_another_one(pair: tuple[WorkerSessions, WorkerSessions]) -> None:
    one, two = pair
    await two.find(TWO)
    before = await one.find(ONE)
    await one.close()
    assert (await one.find(ONE)).session != before.session


async def test_a_session_that_postgresql_ends_is_opened_again(ledger_url: str) -> None:
    sessions = PostgresWorkerSessions(ledger_url)
    before = await sessions.find(ONE)
    with psycopg.connect(ledger_url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [before.session])
    with pytest.raises(LedgerUnavailableError):
        await sessions.find(ONE)
    assert (await sessions.find(ONE)).session != before.session
    await sessions.close()


async def test_a_session_that_another_client_names_is_shared(ledger_url: str) -> None:
    """A pooler of transactions gives one session to several clients."""
    sessions = PostgresWorkerSessions(ledger_url)
    await sessions.find(ONE)
    shared: Any = sessions._connection
    await shared.execute("SELECT set_config('application_name', %s, false)", [PREFIX + TWO])
    with pytest.raises(
        SharedSessionError, match="has the name 'holdfast worker holdfast-2', which another client gave"
    ):
        await sessions.find(ONE)
    await sessions.close()


async def test_a_member_id_fits(ledger_url: str) -> None:
    sessions = PostgresWorkerSessions(ledger_url)
    longest = "h" * LONGEST_NAME
    assert longest in (await sessions.find(longest)).names
    assert len("holdfast-00000000-0000-0000-0000-000000000000") <= LONGEST_NAME
    await sessions.close()
