"""Segments: how large they are, and whether their first evaluation may fire campaigns."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from campaigns.definition import load_definitions
from console.use_cases.ledger import ask_ledger
from segments.errors import SegmentsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segments.definition import Segment
    from streams.settings import Settings


@dataclass(frozen=True, slots=True)
class SegmentSize:
    """A segment and the number of its members now."""

    segment: Segment
    members: int


def measure_segments(settings: Settings) -> Sequence[SegmentSize]:
    """Return every segment with its size.

    Raises:
        LedgerUnavailableError: the ledger cannot be read.
    """
    defined = load_definitions(settings.definitions_dir).segments
    sizes = ask_ledger(settings, lambda ledger: ledger.segment_sizes())
    return [SegmentSize(each, sizes.get(each.key, 0)) for each in defined]


def set_first_evaluation(settings: Settings, key: str, mode: str) -> Segment:
    """Record whether the first evaluation under a segment's present rule is `silent` or may `emit`; return the segment.

    Raises:
        SegmentsError: there is no such segment.
        LedgerUnavailableError: the ledger cannot be written.
    """
    defined = load_definitions(settings.definitions_dir).segments
    found = {segment.key: segment for segment in defined}.get(key)
    if found is None:
        raise SegmentsError(f"no segment {key!r}; there are: {', '.join(segment.key for segment in defined)}")
    ask_ledger(settings, lambda ledger: ledger.set_mode(found, mode, at=datetime.now(UTC)))
    return found
