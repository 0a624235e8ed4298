"""Takes up versions of definitions in the ledger while the worker runs, where HOLDFAST_DEFINITIONS is `ledger`.

A set is taken up as a whole, between batches, by the rules of a restart with edited files: its versions are recorded
as in force, and an edited segment's first evaluations are suppressed. Workers take it up each in its own time, as they
do in a rolling restart. A set that this worker cannot use is refused: the set before it stays in force, and health says
so.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from campaigns.errors import CampaignError, LedgerUnavailableError
from features.errors import FeaturesError
from segments.errors import SegmentsError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from campaigns.definition import DefinitionSet
    from campaigns.postgres_definitions import LedgerDefinitions

POLL_EVERY_S = 2.0
RETRY_POLLS = 15
"""A set that was refused is tried again after so many polls: the warehouse may have come back, or have the column."""

log = structlog.get_logger()


class DefinitionReloader:
    """Polls every few seconds for changed definitions, and puts them into force.

    Args:
        mark: of the set in force: see PostgresDefinitions.find_mark.
        silent_campaigns: what health says of its campaigns that contact no customer.
        find_mark: returns the mark of the latest set.
        read: returns the latest versions.
        use: puts a set into force, and returns what health says of its campaigns that contact no customer.
    """

    def __init__(
        self,
        mark: tuple[int, int],
        silent_campaigns: Sequence[str],
        *,
        find_mark: Callable[[], tuple[int, int]],
        read: Callable[[], LedgerDefinitions],
        use: Callable[[DefinitionSet], Awaitable[Sequence[str]]],
    ) -> None:
        self._mark = mark
        self._silent_campaigns = silent_campaigns
        self._find_mark = find_mark
        self._read = read
        self._use = use
        self._refused: tuple[int, int] | None = None
        self._reason = ""
        self._polls = 0

    def describe(self) -> list[str]:
        """Return what is degraded: the set that is refused, and campaigns that contact no customer."""
        refused = [f"definitions: {self._reason}; revision {self._mark[0]} stays in force"] if self._reason else []
        return [*refused, *self._silent_campaigns]

    async def run(self) -> None:
        """Poll until cancelled."""
        while True:
            await asyncio.sleep(POLL_EVERY_S)
            await self.poll()

    async def poll(self) -> None:
        """Put the latest set into force if it is not, or try again what was refused some polls ago."""
        self._polls += 1
        try:
            # Before the set is read: what changes in between is found by the next look.
            mark = await asyncio.to_thread(self._find_mark)
            if mark == self._mark or (mark == self._refused and self._polls % RETRY_POLLS):
                return
            found = await asyncio.to_thread(self._read)
            silent_campaigns = await self._use(found.build())
        except LedgerUnavailableError:
            return  # the worker's own requests report it
        except (SegmentsError, CampaignError, FeaturesError) as error:
            self._refuse(mark, f"revision {mark[0]} is refused: {error}")
            return
        log.info("definitions_reloaded", before=self._mark[0], after=mark[0])
        self._mark, self._silent_campaigns = mark, silent_campaigns
        self._refused, self._reason = None, ""

    def _refuse(self, mark: tuple[int, int], reason: str) -> None:
        if (mark, reason) != (self._refused, self._reason):
            log.error("definitions_refused", kept=self._mark[0], reason=reason)
        self._refused, self._reason = mark, reason
