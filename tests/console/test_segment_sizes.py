"""The sizes of a segment over time, by HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest

from tests.console.conftest import bearer

if TYPE_CHECKING:
    from collections.abc import Mapping

SEGMENT = "high-churn-risk"
"""Of the shipped definitions, which this deployment has."""


@pytest.fixture(scope="module")
def recorded(environment: Mapping[str, str]) -> None:
    """Sizes of each hour of the first half of 2020, which count the hours."""
    with psycopg.connect(environment["HOLDFAST_LEDGER_URL"]) as ledger:
        ledger.execute(
            """INSERT INTO segment_size SELECT %s, '2020-01-01T00:00Z'::timestamptz + n * interval '1 hour', n
               FROM generate_series(0, 24 * 180) n""",
            [SEGMENT],
        )


def ask(console: str, keys: Mapping[str, str], **times: str) -> httpx.Response:
    address = f"{console}/api/v1/segments/{SEGMENT}/sizes"
    return httpx.get(address, params=times, headers=bearer(keys["viewer"]), timeout=60)


@pytest.mark.usefixtures("recorded")
def test_of_some_days_there_is_a_size_an_hour_and_of_months_the_last_of_each_day(
    console: str, keys: Mapping[str, str]
) -> None:
    """From the first time on, and before the second; a time without a zone is UTC."""
    hourly = found(ask(console, keys, **{"from": "2020-01-02T00:30:00", "to": "2020-01-02T04:00:00"}))
    daily = found(ask(console, keys, **{"from": "2020-01-01T00:00:00Z", "to": "2020-03-01T00:00:00Z"}))
    assert (hourly["step"], [each["members"] for each in hourly["items"]]) == ("hour", [25, 26, 27])
    assert hourly["items"][0]["at"] == "2020-01-02T01:00:00Z"
    assert (daily["step"], [each["members"] for each in daily["items"]]) == ("day", [24 * n + 23 for n in range(60)])


def test_without_times_the_last_days_are_meant(console: str, keys: Mapping[str, str]) -> None:
    assert found(ask(console, keys)) == {"step": "hour", "items": []}


@pytest.mark.parametrize("year", ["0001", "1900", "9999"])
def test_times_far_away_have_no_sizes(console: str, keys: Mapping[str, str], year: str) -> None:
    answer = ask(console, keys, **{"from": f"{year}-01-01T00:00:00+14:00", "to": f"{year}-12-31T23:59:59-14:00"})
    assert found(answer)["items"] == []


def test_times_in_the_wrong_order_are_refused(console: str, keys: Mapping[str, str]) -> None:
    answer = ask(console, keys, **{"from": "2020-01-02T00:00:00Z", "to": "2020-01-01T00:00:00Z"})
    assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert "is not before to 2020-01-01T00:00:00+00:00" in answer.json()["detail"]


def found(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == httpx.codes.OK, answer.text
    return dict(answer.json())
