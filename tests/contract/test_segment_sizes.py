"""The sizes of segments over time, on PostgreSQL: one count an hour, and what is read of many hours."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from campaigns.errors import LedgerUnavailableError, SizesNotRecordedError
from campaigns.ports import BatchChanges
from campaigns.postgres_overview import open_overview
from campaigns.postgres_segment_sizes import PostgresSegmentSizes
from campaigns.records import SizeRecord
from tests.builders import AS_OF, segment, transition
from tests.contract.test_roles import as_role, grant, role  # noqa: F401 - a fixture

if TYPE_CHECKING:
    from campaigns.postgres_ledger import PostgresLedger

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MIDNIGHT = datetime(2026, 11, 1, tzinfo=UTC)


async def enter(ledger: PostgresLedger, *customers: str) -> None:
    """Let customers become members of at-risk."""
    await ledger.activate([segment()], [], at=AS_OF)
    entries = [transition(customer_id=each) for each in customers]
    await ledger.commit(
        BatchChanges(entries, transitions_at=dict.fromkeys(customers, AS_OF), evaluated=customers), owners={3: 1}
    )


def recorded(ledger_url: str) -> dict[str, int]:
    """Return the sizes of this hour."""
    with psycopg.connect(ledger_url) as connection:
        rows = connection.execute(
            "SELECT segment, members FROM segment_size WHERE at = date_trunc('hour', now(), 'UTC')"
        ).fetchall()
    return dict(rows)


def add(ledger_url: str, *sizes: tuple[str, datetime, int]) -> None:
    """Store sizes as if they had been recorded."""
    with psycopg.connect(ledger_url) as connection:
        connection.cursor().executemany("INSERT INTO segment_size VALUES (%s, %s, %s)", sizes)


async def test_each_segment_in_force_has_a_size_an_hour_also_without_members(
    ledger: PostgresLedger, ledger_url: str
) -> None:
    await enter(ledger, "ann", "bob")
    sizes = PostgresSegmentSizes(ledger_url)
    assert await sizes.record(["at-risk", "empty"]) == 2
    await enter(ledger, "cy")
    assert await sizes.record(["at-risk", "empty"]) == 0
    assert recorded(ledger_url) == {"at-risk": 2, "empty": 0}


async def test_a_segment_that_comes_into_force_within_the_hour_is_counted_alone(
    ledger: PostgresLedger, ledger_url: str
) -> None:
    sizes = PostgresSegmentSizes(ledger_url)
    assert await sizes.record(["empty"]) == 1
    await enter(ledger, "ann")
    assert await sizes.record(["empty", "at-risk"]) == 1
    assert recorded(ledger_url) == {"at-risk": 1, "empty": 0}


async def test_of_workers_that_look_at_once_each_size_is_written_by_one(ledger_url: str) -> None:
    workers = [PostgresSegmentSizes(ledger_url) for _ in range(5)]
    written = await asyncio.gather(*(each.record(["at-risk"]) for each in workers))
    assert sum(written) == 1


async def test_a_worker_does_not_count_while_another_one_does(ledger_url: str) -> None:
    with psycopg.connect(ledger_url) as other:
        other.execute("SELECT pg_advisory_xact_lock(481627)")
        assert await PostgresSegmentSizes(ledger_url).record(["at-risk"]) == 0
    assert recorded(ledger_url) == {}


async def test_a_count_that_takes_too_long_is_given_up(ledger_url: str) -> None:
    with psycopg.connect(ledger_url) as other:
        other.execute("LOCK TABLE membership IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(SizesNotRecordedError, match=r"longer than 0\.05 s"):
            await PostgresSegmentSizes(ledger_url, count_s=0.05).record(["at-risk"])
    assert recorded(ledger_url) == {}


async def test_a_ledger_that_is_away_is_unavailable() -> None:
    with pytest.raises(LedgerUnavailableError):
        await PostgresSegmentSizes("postgresql://127.0.0.1:1/nowhere").record(["at-risk"])


async def test_a_workers_role_may_record_and_one_without_the_right_says_what_to_run(
    ledger_url: str,
    role: str,  # noqa: F811 - a fixture
) -> None:
    sizes = PostgresSegmentSizes(as_role(ledger_url, role))
    with pytest.raises(SizesNotRecordedError, match=r"campaigns/roles\.sql"):
        await sizes.record(["at-risk"])
    grant(ledger_url, role)
    assert await sizes.record(["at-risk"]) == 1


def test_of_each_step_the_last_size_counts_and_steps_without_one_are_missing(ledger_url: str) -> None:
    add(
        ledger_url,
        ("at-risk", MIDNIGHT - HOUR, 1),
        ("at-risk", MIDNIGHT, 2),
        ("at-risk", MIDNIGHT + 23 * HOUR, 3),
        ("at-risk", MIDNIGHT + 2 * DAY, 0),
        ("at-risk", MIDNIGHT + 3 * DAY, 5),
        ("vips", MIDNIGHT, 6),
        ("others", MIDNIGHT, 7),
    )
    with open_overview(ledger_url) as ledger:
        found = ledger.sizes_over_time(["at-risk", "vips", "new"], since=MIDNIGHT, step=DAY, steps=3)
        hourly = ledger.sizes_over_time(["at-risk"], since=MIDNIGHT, step=HOUR, steps=2)
    assert found == {
        "at-risk": [SizeRecord(MIDNIGHT + 23 * HOUR, 3), SizeRecord(MIDNIGHT + 2 * DAY, 0)],
        "vips": [SizeRecord(MIDNIGHT, 6)],
    }
    assert hourly == {"at-risk": [SizeRecord(MIDNIGHT, 2)]}
