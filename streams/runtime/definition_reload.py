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
    """Polls every few seconds for a newer revision of the definitions, and puts it into force.

    Args:
        revision: of the set in force.
        silent_campaigns: what health says of its campaigns that contact no customer.
        find_revision: returns the revision of the latest version in the ledger.
        read: returns the latest versions.
        use: puts a set into force, and returns what health says of its campaigns that contact no customer.

    Attributes:
        revision: of the set in force.
    """

    def __init__(
        self,
        revision: int,
        silent_campaigns: Sequence[str],
        *,
        find_revision: Callable[[], int],
        read: Callable[[], LedgerDefinitions],
        use: Callable[[DefinitionSet], Awaitable[Sequence[str]]],
    ) -> None:
        self.revision = revision
        self._silent_campaigns = silent_campaigns
        self._find_revision = find_revision
        self._read = read
        self._use = use
        self._refused = 0
        self._reason = ""
        self._polls = 0

    def describe(self) -> list[str]:
        """Return what is degraded: the set that is refused, and campaigns that contact no customer."""
        if not self._reason:
            return [*self._silent_campaigns]
        kept = f"revision {self._refused} is refused and {self.revision} stays in force: {self._reason}"
        return [f"definitions: {kept}", *self._silent_campaigns]

    async def run(self) -> None:
        """Poll until cancelled."""
        while True:
            await asyncio.sleep(POLL_EVERY_S)
            await self.poll()

    async def poll(self) -> None:
        """Put the latest set into force if it is not, or try again what was refused some polls ago."""
        self._polls += 1
        try:
            latest = await asyncio.to_thread(self._find_revision)
            if latest == self.revision or (latest == self._refused and self._polls % RETRY_POLLS):
                return
            found = await asyncio.to_thread(self._read)
        except LedgerUnavailableError:
            return  # the worker's own requests report it
        try:
            silent_campaigns = await self._use(found.build())
        except (SegmentsError, CampaignError, FeaturesError) as error:
            self._refuse(found.revision, str(error))
            return
        log.info("definitions_reloaded", before=self.revision, after=found.revision)
        self.revision, self._silent_campaigns = found.revision, silent_campaigns
        self._refused, self._reason = 0, ""

    def _refuse(self, revision: int, reason: str) -> None:
        if (revision, reason) != (self._refused, self._reason):
            log.error("definitions_refused", revision=revision, kept=self.revision, reason=reason)
        self._refused, self._reason = revision, reason
