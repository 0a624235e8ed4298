"""Segments as people look at them: how large, in force since when, for whom not evaluated yet, and used by whom."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from campaigns.postgres_overview import open_overview
from console.use_cases.ledger import ask_ledger
from console.use_cases.segment_choice import find_segment
from console.use_cases.segment_sizes import read_recent_sizes, read_sizes_a_week_ago
from streams.definitions import read_definitions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from campaigns.definition import Campaign
    from campaigns.records import ActivationRecord, MemberRecord, SizeRecord
    from segments.definition import Segment
    from segments.engine import Mode
    from streams.settings import Settings


@dataclass(frozen=True, slots=True)
class SegmentState:
    """A segment, and where its present version stands.

    Attributes:
        segment: its definition.
        members: in the ledger now.
        week_ago: how many there were seven days ago; None where that was not recorded.
        sizes: of the last days, one for each day that has any.
        since: when the present version was first put into force; None where no worker has started with it.
        mode: what first evaluations under it may fire; None likewise.
        waiting: the known customers whose last evaluation was not under it.
        known: the customers whom a worker has evaluated under any version.
        campaigns: those that contact its customers.
    """

    segment: Segment
    members: int
    week_ago: int | None
    sizes: Sequence[SizeRecord]
    since: datetime | None
    mode: Mode | None
    waiting: int
    known: int
    campaigns: Sequence[Campaign]


@dataclass(frozen=True, slots=True)
class SegmentDetail:
    """A segment, where it stands, and what was in force of it, the latest first."""

    state: SegmentState
    activations: Sequence[ActivationRecord]


def list_segment_states(settings: Settings) -> Sequence[SegmentState]:
    """Return every segment and where it stands, in the order of the definitions.

    Raises:
        LedgerUnavailableError: the ledger cannot be read.
    """
    definitions = read_definitions(settings)
    keys = [each.key for each in definitions.segments]
    histories = ask_ledger(settings, lambda ledger: ledger.segment_histories(keys))
    return _describe(settings, definitions.segments, definitions.campaigns, histories)


def read_segment(settings: Settings, key: str) -> SegmentDetail:
    """Return a segment, where it stands, and its history.

    Raises:
        UnknownSegmentError: there is no such segment.
        LedgerUnavailableError: the ledger cannot be read.
    """
    definitions = read_definitions(settings)
    segment = find_segment(definitions.segments, key)
    history = ask_ledger(settings, lambda ledger: ledger.segment_history(key))
    (state,) = _describe(settings, [segment], definitions.campaigns, {key: history})
    return SegmentDetail(state, history)


def list_members_after(settings: Settings, key: str, *, after: str, limit: int) -> Sequence[MemberRecord]:
    """Return members of a segment beyond a customer id, in the order of their ids.

    Raises:
        UnknownSegmentError: there is no such segment.
        LedgerUnavailableError: the ledger cannot be read.
    """
    find_segment(read_definitions(settings).segments, key)
    with open_overview(settings.ledger_url) as ledger:
        return ledger.list_members(key, after=after, limit=limit)


def _describe(
    settings: Settings,
    segments: Sequence[Segment],
    campaigns: Sequence[Campaign],
    histories: Mapping[str, Sequence[ActivationRecord]],
) -> list[SegmentState]:
    keys, now = [each.key for each in segments], datetime.now(UTC)
    with open_overview(settings.ledger_url) as ledger:
        sizes = ledger.segment_sizes()
        before, recent = read_sizes_a_week_ago(ledger, keys, now), read_recent_sizes(ledger, keys, now)
        evaluated, known = ledger.count_evaluated()
    states = []
    for each in segments:
        present = [noted for noted in histories[each.key] if noted.version == each.version]
        states.append(
            SegmentState(
                each,
                sizes.get(each.key, 0),
                before.get(each.key),
                recent.get(each.key, ()),
                present[-1].activated_at if present else None,
                present[0].mode if present else None,
                known - evaluated.get((each.key, each.version), 0),
                known,
                [campaign for campaign in campaigns if campaign.segment == each.key],
            )
        )
    return states
