"""Lets the ledger know how large each segment is, once an hour.

A worker does it because it always runs where memberships change; a console may be down for a week. Every worker looks
now and then, and the first one in an hour counts, see campaigns/postgres_segment_sizes.py.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

import structlog

from campaigns.errors import LedgerUnavailableError, SizesNotRecordedError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

LOOK_EVERY_S = 300.0
"""Sizes of an hour are counted so long after its begin at the latest."""
REST_S = 3_600.0
"""After a count that failed for a reason that will not pass soon."""

log = structlog.get_logger()


class SegmentSizes(Protocol):
    """The sizes of segments over time."""

    async def record(self, segments: Collection[str]) -> int:
        """Count the segments whose size in this hour is not known yet, and return how many these are.

        Raises:
            LedgerUnavailableError: the ledger cannot be reached now.
            SizesNotRecordedError: the count failed, and would fail again.
        """


class SizeRecorder:
    """Records the sizes of the segments in force.

    Args:
        sizes: where to.
        segments: returns the keys of the segments in force.
        every_s: the pause between two looks.
        rest_s: the pause after a count that would fail again.
    """

    def __init__(
        self,
        sizes: SegmentSizes,
        segments: Callable[[], Collection[str]],
        *,
        every_s: float = LOOK_EVERY_S,
        rest_s: float = REST_S,
    ) -> None:
        self._sizes = sizes
        self._segments = segments
        self._every_s = every_s
        self._rest_s = rest_s

    async def run(self) -> None:
        """Record until cancelled."""
        while True:
            pause = await self._record()
            await asyncio.sleep(pause)

    async def _record(self) -> float:
        """Record the sizes that are missing, and return the pause until the next look."""
        try:
            recorded = await self._sizes.record(self._segments())
        except LedgerUnavailableError:
            return self._every_s  # the worker's own requests report it
        except SizesNotRecordedError as error:
            log.warning("segment_sizes_not_recorded", reason=str(error))
            return self._rest_s
        if recorded:
            log.info("segment_sizes_recorded", segments=recorded)
        return self._every_s
