"""Segments: how large they are, who is in them, which versions were in force, and what first evaluations may fire."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from campaigns.postgres_overview import open_overview
from console.use_cases.ledger import ask_ledger
from console.use_cases.segment_choice import find_segment
from console.use_cases.segment_sizes import read_sizes_a_week_ago
from streams.definitions import read_definitions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from campaigns.postgres_ledger import PostgresLedger
    from campaigns.records import ActivationRecord, MemberRecord
    from segments.definition import Segment
    from segments.engine import Mode
    from streams.settings import Settings


@dataclass(frozen=True, slots=True)
class SegmentSize:
    """A segment and the number of its members.

    Attributes:
        segment: its definition.
        members: now.
        week_ago: seven days ago; None where that was not recorded.
    """

    segment: Segment
    members: int
    week_ago: int | None


def measure_segments(settings: Settings) -> Sequence[SegmentSize]:
    """Return every segment with its size.

    Raises:
        LedgerUnavailableError: the ledger cannot be read.
    """
    defined = read_definitions(settings).segments
    with open_overview(settings.ledger_url) as ledger:
        sizes = ledger.segment_sizes()
        before = read_sizes_a_week_ago(ledger, [each.key for each in defined], datetime.now(UTC))
    return [SegmentSize(each, sizes.get(each.key, 0), before.get(each.key)) for each in defined]


@dataclass(frozen=True, slots=True)
class SegmentMembers:
    """Members of a segment.

    Attributes:
        segment: the segment.
        count: all members.
        members: some of them, in the order of their ids.
    """

    segment: Segment
    count: int
    members: Sequence[MemberRecord]


def list_members(settings: Settings, key: str, *, limit: int, after: str = "") -> SegmentMembers:
    """Return the members of a segment in the ledger whose ids come after one, and since when each is one.

    Raises:
        SegmentsError: there is no such segment.
        LedgerUnavailableError: the ledger cannot be read.
    """
    segment = find_segment(read_definitions(settings).segments, key)

    async def ask(ledger: PostgresLedger) -> SegmentMembers:
        members = await ledger.list_members(key, limit=limit, after=after)
        # Members may come and go between the two queries.
        count = max(len(members), await ledger.count_members(key))
        return SegmentMembers(segment, count, members)

    return ask_ledger(settings, ask)


def activate_segment(settings: Settings, key: str, mode: Mode, *, by: str, why: str) -> Segment:
    """Record what the first evaluations under a segment's present rules may fire, who says so and why.

    Returns:
        the segment.

    Raises:
        SegmentsError: there is no such segment.
        LedgerUnavailableError: the ledger cannot be written.
    """
    found = find_segment(read_definitions(settings).segments, key)
    ask_ledger(settings, lambda ledger: ledger.set_mode(found, mode, at=datetime.now(UTC), by=by, why=why))
    return found


@dataclass(frozen=True, slots=True)
class SegmentHistory:
    """What has been in force of a segment.

    Attributes:
        segment: the segment as it is defined now.
        activations: each time that a version was put into force or its mode was set, the latest first.
        evaluated: the customers whom a worker evaluated last under the present version.
        known: the customers whom a worker has evaluated under any version.
    """

    segment: Segment
    activations: Sequence[ActivationRecord]
    evaluated: int
    known: int


def read_history(settings: Settings, key: str) -> SegmentHistory:
    """Return which versions of a segment were in force, and how many customers are evaluated under the present one.

    Raises:
        SegmentsError: there is no such segment.
        LedgerUnavailableError: the ledger cannot be read.
    """
    segment = find_segment(read_definitions(settings).segments, key)

    async def ask(ledger: PostgresLedger) -> SegmentHistory:
        evaluated, known = await ledger.count_evaluated(segment)
        return SegmentHistory(segment, await ledger.segment_history(key), evaluated, known)

    return ask_ledger(settings, ask)
