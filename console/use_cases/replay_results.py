"""What came of a replay that was kept."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from console.use_cases.replay import ReplayPlan, find_replays, replaying
from streams.errors import ReplayError

if TYPE_CHECKING:
    from console.use_cases.replay import Replayed
    from streams.settings import Settings

_OF_ITS_OWN = datetime.fromtimestamp(0, UTC)
"""A replay that is resumed has its own period."""


def read_replay(settings: Settings, replay_id: str) -> Replayed | None:
    """Return a kept replay, compared with the live ledger as that is now; None where there is none.

    Raises:
        ReplayError: it is not complete, or another process works on it.
        LedgerUnavailableError: the ledger cannot be reached.
    """
    found = find_replays(settings)
    if replay_id not in found:
        return None
    record = found[replay_id]
    if record is None or record.decided_at is None:
        raise ReplayError(
            f"replay {replay_id} is not complete; go on with: holdfast replay --resume {replay_id} --keep"
        )
    plan = ReplayPlan(_OF_ITS_OWN, _OF_ITS_OWN)
    with replaying(settings, plan, by=record.actor, resume=replay_id, keep=True) as done:
        return done.summary
