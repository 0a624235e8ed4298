"""How large segments were: as workers recorded it once an hour, see streams/runtime/size_recorder.py."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from campaigns.postgres_overview import open_overview
from console.use_cases.segment_choice import find_segment
from streams.definitions import read_definitions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from campaigns.postgres_overview import PostgresOverview
    from campaigns.records import SizeRecord
    from streams.settings import Settings

HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)
MOST_HOURLY = timedelta(days=31)
"""Of a longer time there is one size a day."""
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""No ledger is older."""
RECENT_DAYS = 30


@dataclass(frozen=True, slots=True)
class SizeHistory:
    """The sizes of a segment over time.

    Attributes:
        step: of the time: an hour, or a day, whose last size counts.
        sizes: in order; hours and days without one are missing.
    """

    step: timedelta
    sizes: Sequence[SizeRecord]


def read_sizes(settings: Settings, key: str, *, since: datetime, until: datetime) -> SizeHistory:
    """Return the sizes of a segment from one time until before another: hourly up to `MOST_HOURLY`, daily beyond.

    Raises:
        UnknownSegmentError: there is no such segment.
        LedgerUnavailableError: the ledger cannot be read.
    """
    find_segment(read_definitions(settings).segments, key)
    # Nothing was recorded before and after; besides, datetime ends in the year 9999.
    since, until = max(since, EARLIEST), min(until, datetime.now(UTC))
    step = HOUR if until - since <= MOST_HOURLY else DAY
    if since >= until:
        return SizeHistory(step, [])
    begin = _floor(since, step)
    with open_overview(settings.ledger_url) as ledger:
        found = ledger.sizes_over_time([key], since=begin, step=step, steps=-((begin - until) // step))
    return SizeHistory(step, [each for each in found.get(key, ()) if since <= each.at < until])


def read_recent_sizes(
    ledger: PostgresOverview, keys: Sequence[str], now: datetime
) -> Mapping[str, Sequence[SizeRecord]]:
    """Return the sizes of segments in the last days, one for each day that has any, by segment."""
    return ledger.sizes_over_time(keys, since=now - RECENT_DAYS * DAY, step=DAY, steps=RECENT_DAYS)


def read_sizes_a_week_ago(ledger: PostgresOverview, keys: Sequence[str], now: datetime) -> Mapping[str, int]:
    """Return the last size of each segment that is a week old, and not older than a day more."""
    found = ledger.sizes_over_time(keys, since=now - WEEK - DAY, step=DAY, steps=1)
    return {key: sizes[-1].members for key, sizes in found.items()}


def _floor(at: datetime, step: timedelta) -> datetime:
    return EARLIEST + (at.astimezone(UTC) - EARLIEST) // step * step
