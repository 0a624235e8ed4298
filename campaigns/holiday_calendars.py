"""Holidays: dates, and the calendars of countries and their regions. Pure.

The calendars are those of the package `holidays` (Holdfast's extra `holidays`), which is loaded where a definition
names one and nowhere else: it takes 0.1 s and 20 MB.
"""

from __future__ import annotations

import importlib.util
import re
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

_CODE = re.compile(r"([A-Z]{2})(?:-([A-Z0-9]{1,3}))?")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


class Holidays:
    """The holidays that a definition names.

    Args:
        named: dates such as `2026-12-24`, and countries and regions such as `DE` and `DE-BY`.

    Raises:
        ValueError: something else is named; the message says what.
    """

    def __init__(self, named: Iterable[str]) -> None:
        self._dates: set[date] = set()
        self._calendars: list[Container[date]] = []
        for each in named:
            if _CODE.fullmatch(each):
                self._calendars.append(find_calendar(each))
            else:
                self._dates.add(_read_date(each))

    def __contains__(self, day: date) -> bool:
        return day in self._dates or any(day in each for each in self._calendars)


@lru_cache(maxsize=256)
def find_calendar(code: str) -> Container[date]:
    """Return the public holidays of a country, `DE`, or of one of its regions, `DE-BY`, of any year.

    Raises:
        ValueError: there is no calendar of that code, or the package is not installed.
    """
    if importlib.util.find_spec("holidays") is None:
        needed = "needs the package holidays; install Holdfast's extra `holidays`, or list the dates"
        raise ValueError(f"the calendar of {code!r} {needed}")
    from holidays import country_holidays  # noqa: PLC0415 - loaded only where a definition names a country

    country, _, region = code.partition("-")
    try:
        return country_holidays(country, subdiv=region or None)
    except NotImplementedError as error:
        raise ValueError(f"there is no calendar of {code!r}; list the dates") from error


def _read_date(text: str) -> date:
    problem = f"{text!r} is neither a date such as 2026-12-24 nor a country such as DE or DE-BY"
    if not _DATE.fullmatch(text):
        raise ValueError(problem)
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ValueError(problem) from error
