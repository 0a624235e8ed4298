"""Quiet hours: the hours of a day, in the customer's time zone, in which a channel delivers nothing. Pure.

A contact that is decided in quiet hours is deferred to their end. Every period has one begin and one end: a local time
that a change of the clocks skips is as much after the change as it lies in the gap, and of a time that occurs twice the
first one counts, as in RFC 5545, section 3.3.5. A holiday is quiet from its first midnight to the next, and until the
quiet hours end that go on from there.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property, lru_cache
from typing import Any, NamedTuple, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from campaigns.holiday_calendars import Holidays

DAY = timedelta(days=1)
MIDNIGHT = "00:00"


class QuietHours(BaseModel):
    """The quiet hours of a channel."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    begin: str = Field(
        alias="from", pattern=r"^([01]\d|2[0-3]):[0-5]\d$", description="Local time at which they begin, as 21:00."
    )
    end: str = Field(
        alias="to",
        pattern=r"^([01]\d|2[0-3]):[0-5]\d$",
        description="Local time at which they end, of the next day where it is not later than `from`.",
    )
    zone: str = Field(description="IANA name of the time zone of customers without one of their own.")
    zone_column: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="The view's column with the name of the customer's zone.",
    )
    holidays: tuple[str, ...] = Field(
        default=(),
        max_length=1000,
        description="Days on which nothing is delivered: dates as 2026-12-24, and the public holidays of countries "
        "and regions as DE and DE-BY.",
    )

    @field_validator("zone")
    @classmethod
    def _zone_exists(cls, zone: str) -> str:
        if find_zone(zone) is None:
            raise ValueError("no such time zone; write an IANA name such as Europe/Berlin")
        return zone

    @field_validator("holidays", mode="before")
    @classmethod
    def _one_is_a_list(cls, holidays: object) -> object:
        return [holidays] if isinstance(holidays, str) else holidays

    @field_validator("holidays")
    @classmethod
    def _holidays_exist(cls, holidays: tuple[str, ...]) -> tuple[str, ...]:
        Holidays(holidays)
        return holidays

    @model_validator(mode="after")
    def _leaves_hours(self) -> Self:
        if self.begin == self.end:
            raise ValueError("from and to are the same; leave quiet_hours out to deliver at any time")
        return self

    @cached_property
    def _calendar(self) -> Holidays:
        return Holidays(self.holidays)

    def choose_zone(self, stated: object) -> ZoneInfo:
        """Return a customer's time zone: the one that their row states where it exists, else the channel's."""
        return (find_zone(stated) if isinstance(stated, str) else None) or ZoneInfo(self.zone)

    def find_end(self, at: datetime, zone: ZoneInfo) -> datetime | None:
        """Return when the quiet hours and holidays around a time end, in UTC; None if the time is not in any."""
        if not self.holidays:
            return self._find_period_end(at, zone)
        end = at
        # Each step ends later than the one before, and there are only so many holidays in a row.
        while later := self._find_period_end(end, zone) or self._find_holiday_end(end, zone):
            end = later
        return None if end == at else end

    def find_holidays(self, begin: datetime, end: datetime, zone: ZoneInfo) -> list[date]:
        """Return the holidays from one time to another, both days included."""
        if not self.holidays:
            return []
        first, last = begin.astimezone(zone).date(), end.astimezone(zone).date()
        days = (first + n * DAY for n in range((last - first).days + 1))
        return [day for day in days if day in self._calendar]

    def _find_period_end(self, at: datetime, zone: ZoneInfo) -> datetime | None:
        today = at.astimezone(zone).date()
        # Two days back: a period may begin yesterday, and a zone may skip a day.
        for day in (today - 2 * DAY, today - DAY, today, today + DAY):
            period = find_period(self.begin, self.end, day, zone)
            if period.begin <= at < period.end:
                return period.end
        return None

    def _find_holiday_end(self, at: datetime, zone: ZoneInfo) -> datetime | None:
        today = at.astimezone(zone).date()
        for day in (today - 2 * DAY, today - DAY, today, today + DAY):
            period = find_period(MIDNIGHT, MIDNIGHT, day, zone)
            if period.begin <= at < period.end and day in self._calendar:
                return period.end
        return None

    def describe(self) -> dict[str, Any]:
        """Return its definition."""
        return self.model_dump(by_alias=True, exclude_none=True, exclude=None if self.holidays else {"holidays"})


class Period(NamedTuple):
    """From `begin` to before `end`, in UTC."""

    begin: datetime
    end: datetime


def find_period(begin: str, end: str, day: date, zone: ZoneInfo) -> Period:
    """Return the quiet hours that begin on a local day."""
    last = day if end > begin else day + DAY
    return Period(_resolve(day, begin, zone), _resolve(last, end, zone))


def _resolve(day: date, local: str, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time.fromisoformat(local), zone).astimezone(UTC)


@lru_cache(maxsize=1024)
def find_zone(name: str) -> ZoneInfo | None:
    """Return the time zone of a name, None if there is none."""
    try:
        return ZoneInfo(name.strip())
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
