"""Sessions of workers in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from campaigns.ports import WorkerSessionsSeen

if TYPE_CHECKING:
    from campaigns.errors import LedgerError


@dataclass
class Sessions:
    """What the workers of a ledger share. With an `error` all but the first one get it for an answer."""

    names: dict[int, str] = field(default_factory=dict)
    opened: int = 0
    error: LedgerError | None = None


class InMemoryWorkerSessions:
    """Implements `campaigns.ports.WorkerSessions` over shared sessions."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._number: int | None = None

    async def find(self, name: str) -> WorkerSessionsSeen:
        """See the port."""
        if self._number is None:
            self._sessions.opened += 1
            self._number = self._sessions.opened
        self._sessions.names[self._number] = name
        if self._sessions.error is not None and self._number > 1:
            raise self._sessions.error
        return WorkerSessionsSeen(frozenset(self._sessions.names.values()), self._number)

    async def close(self) -> None:
        """See the port."""
        if self._number is not None:
            del self._sessions.names[self._number]
        self._number = None
