"""The voice of the customer of a week, for pages and the API."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from console.use_cases.voice import TREND_WEEKS, report_week
from intelligence.errors import MessageStoreError
from intelligence.weeks import last_complete_week, read_week, write_week

if TYPE_CHECKING:
    from console.use_cases.voice import VoiceReport
    from streams.settings import Settings

FALSE_ALERTS = 0.05


class VoiceUnavailableError(MessageStoreError):
    """The trends cannot be computed here."""


def read_voice(settings: Settings, week: str | None) -> VoiceReport:
    """Return the report of a week, the last complete one where none is named; without single conversations.

    Raises:
        MessageStoreError: the store cannot be used.
        VoiceUnavailableError: the package that trends need is not installed.
        WeekError: the week is none, or has not ended.
    """
    try:
        wanted = read_week(week) if week else None
        return report_week(settings, wanted, datetime.now(UTC), shown=TREND_WEEKS, false_alerts=FALSE_ALERTS, worst=0)
    except ModuleNotFoundError as error:
        raise VoiceUnavailableError(
            f"trends need the package {error.name}; install Holdfast with the extra `training`"
        ) from error


def read_voice_part(settings: Settings) -> VoiceReport:
    """Return the report of the last week in which messages can be expected: that of the newest message, or the last.

    Raises:
        MessageStoreError: the store cannot be used, or has no conversation.
    """
    found = read_voice(settings, None)
    newest = found.trends.newest
    if newest is None:
        raise MessageStoreError("no message is known; copy them with: holdfast messages sync")
    last = last_complete_week(newest)
    return found if last >= found.trends.week else read_voice(settings, write_week(last))
