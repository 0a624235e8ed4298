"""One rule for the times of the warehouse, on every host."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from features.table import FeatureTable
from features.times import clear_unreadable_times, parse_time

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(params=["UTC", "Pacific/Auckland", "America/Los_Angeles"])
def host_zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The zone of the host, for this process."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", request.param)
        time.tzset()
        yield request.param
    time.tzset()


@pytest.mark.usefixtures("host_zone")
@pytest.mark.parametrize(
    "text", ["2011-12-09", "2011-12-09 00:00:00", "2011-12-09T00:00Z", "2011-12-09T13:00+13:00", " 2011-12-09\n"]
)
def test_a_time_without_a_zone_is_utc_whatever_the_zone_of_the_host(text: str) -> None:
    assert parse_time(text) == datetime(2011, 12, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    "cell", [None, "", "yesterday", "infinity", "12:50", "0001-01-01T00:00+01:00", "2011-02-30", 2011.0, True, ["x"]]
)
def test_what_is_no_time_is_null(cell: object) -> None:
    assert parse_time(cell) is None


def test_unreadable_times_become_null_and_are_counted() -> None:
    """Null is no unreadable value; other columns stay."""
    rows = [["2011-12-09", 1.0, "a"], ["soon", 2.0, "b"], [None, None, "c"]]
    table = FeatureTable.from_rows(["ann", "bob", "cy"], ["since", "year", "name"], rows)
    cleared, unreadable = clear_unreadable_times(table, ["since", "year"])
    assert [cleared.row(place) for place in range(3)] == [
        {"since": "2011-12-09", "year": None, "name": "a"},
        {"since": None, "year": None, "name": "b"},
        {"since": None, "year": None, "name": "c"},
    ]
    assert unreadable == {"since": 1, "year": 2}
