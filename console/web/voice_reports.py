"""The voice of the customer of a week, for pages and the API."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from console.use_cases.voice import TREND_WEEKS, report_week
from console.web.errors import InvalidRequestError, NotFoundError
from intelligence.errors import WeekError
from intelligence.weeks import read_week

if TYPE_CHECKING:
    from console.use_cases.voice import VoiceReport
    from streams.settings import Settings

FALSE_ALERTS = 0.05


def read_voice(settings: Settings, week: str | None) -> VoiceReport:
    """Return the report of a week, the last complete one where none is named; without single conversations.

    Raises:
        MessageStoreError: the store cannot be used.
        NotFoundError: the package that trends need is not installed.
        InvalidRequestError: the week is none, or has not ended.
    """
    try:
        wanted = read_week(week) if week else None
        return report_week(settings, wanted, datetime.now(UTC), shown=TREND_WEEKS, false_alerts=FALSE_ALERTS, worst=0)
    except ModuleNotFoundError as error:
        raise NotFoundError(
            f"trends need the package {error.name}; install Holdfast with the extra `training`"
        ) from error
    except WeekError as error:
        raise InvalidRequestError(str(error)) from error
