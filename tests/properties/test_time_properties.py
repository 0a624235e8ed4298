"""The times of the warehouse, for any text and any time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from features.times import parse_time

ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1)), ZONES)  # noqa: DTZ001 - naive on purpose
def test_a_time_is_read_in_its_zone_and_without_one_in_utc(moment: datetime, zone: timezone) -> None:
    assert parse_time(moment.isoformat()) == moment.replace(tzinfo=UTC)
    assert parse_time(moment.replace(tzinfo=zone).isoformat()) == moment.replace(tzinfo=zone)


@given(st.text(max_size=40) | st.from_regex(r"[0-9T:.+Zz -]{1,40}", fullmatch=True))
def test_any_text_is_a_time_in_utc_or_null(text: str) -> None:
    moment = parse_time(text)
    assert moment is None or moment.tzinfo is UTC
