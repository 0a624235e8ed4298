"""Weekly trends and the report of a week, in words, as JSON and as a page."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest

from console.use_cases.voice import Trends, VoiceReport, WeekSummary
from console.voice_page import draw_chart, render_page
from console.voice_views import summary_tiles, trend_rows, trends_headline, trends_object
from intelligence.concern_trends import ConcernTrend, follow_concerns
from intelligence.conversations import Conversation
from intelligence.errors import WeekError
from intelligence.weeks import last_complete_week, read_week, write_week

MONDAY = date(2011, 6, 13)
AT = datetime(2011, 6, 14, 9, 30, tzinfo=UTC)
WEEK = timedelta(days=7)


def follow(counts: list[int], *, total: int = 200, name: str = "price", discovered: bool = False) -> list[ConcernTrend]:
    """Return the trend of one concern, the last count in the week of MONDAY."""
    weeks = [MONDAY - WEEK * ago for ago in range(len(counts))][::-1]
    named = {name: dict(zip(weeks, counts, strict=True))}
    return follow_concerns(named, dict.fromkeys(weeks, total), MONDAY, 12, {name} if discovered else ())


def report(trends: list[ConcernTrend]) -> VoiceReport:
    """Return a report on these concerns."""
    summary = WeekSummary(
        MONDAY, 200, {"positive": 50, "neutral": 30, "negative": 120}, 4.2, 7, 9, {"en": 190, "de": 10}
    )
    worst = Conversation("<b>ann</b>", AT, AT, 3, 2, -0.8, 1.0, ("price", "refund"), "high", True, "en")
    return VoiceReport(
        Trends(MONDAY, 200, AT, trends, 0.05),
        summary,
        replace(summary, week=MONDAY - WEEK, conversations=180),
        {"voucher_code": ("voucher", "code")},
        frozenset({"voucher_code"}),
        [worst],
    )


def test_a_week_is_named_as_iso_names_it() -> None:
    assert (read_week("2011-W24"), write_week(MONDAY)) == (MONDAY, "2011-W24")
    assert write_week(date(2010, 12, 27)) == "2010-W52"
    assert read_week("2009-W53") == date(2009, 12, 28)


@pytest.mark.parametrize("text", ["2011-24", "2011-W00", "2010-W53", "0000-W01", "", "W24", "2011-W24-1"])
def test_what_is_no_week_is_refused(text: str) -> None:
    with pytest.raises(WeekError, match="is no ISO week; write it like 2011-W24"):
        read_week(text)


def test_a_week_is_complete_when_it_has_ended_in_utc() -> None:
    assert last_complete_week(datetime(2011, 6, 19, 23, 59, tzinfo=UTC)) == MONDAY - WEEK
    assert last_complete_week(datetime(2011, 6, 20, tzinfo=UTC)) == MONDAY


def test_a_doubled_rate_is_an_alert_and_the_week_before_was_not() -> None:
    (trend,) = follow([20, 22, 18, 21, 19, 20, 20, 23, 17, 60])
    assert (trend.latest.direction, trend.is_alert) == ("above", True)
    assert {each.direction for each in trend.weeks[-4:-1]} == {"within"}


def test_a_rate_that_falls_is_an_alert_too() -> None:
    (trend,) = follow([60, 62, 58, 61, 59, 60, 60, 63, 57, 10])
    assert trend.latest.direction == "below"


def test_a_spike_does_not_widen_later_bands_and_a_change_for_good_is_learned() -> None:
    usual = [20, 22, 18, 21, 19, 20, 20, 23, 17, 20]
    (spiked,) = follow([*usual, 80, *usual])
    (calm,) = follow([*usual, 20, *usual])
    (changed,) = follow([*usual, 80, 82, 78, 80, 81, 79, 80, 80])
    assert spiked.latest.band is not None
    assert calm.latest.band is not None
    assert spiked.latest.band.high < calm.latest.band.high + 0.02
    assert [each.is_alert for each in (spiked, calm, changed)] == [False, False, False]


def test_few_weeks_have_no_band_and_that_is_said() -> None:
    trends = follow([20, 22, 90])
    assert not trends[0].is_alert
    said = trends_headline(Trends(MONDAY, 200, AT, trends, 0.05))
    assert said == "2011-W24: no band yet. It needs 6 earlier weeks with conversations."


def test_one_week_alone_is_shown() -> None:
    (trend,) = follow([20])
    assert draw_chart(trend).x_ticks[0][1:] == ("2011-W24", "middle")


def test_a_week_without_conversations_is_no_alert() -> None:
    weeks = {MONDAY - WEEK * ago: 100 for ago in range(1, 10)}
    (trend,) = follow_concerns({"price": dict.fromkeys(weeks, 10)}, weeks, MONDAY, 12)
    assert (trend.latest.rate, trend.latest.direction) == (None, "unknown")
    said = trends_headline(Trends(MONDAY, 0, AT, [trend], 0.05))
    assert said.startswith("No conversation began in 2011-W24: the newest message is of 2011-06-14 09:30 UTC.")


def test_the_error_is_divided_among_the_concerns() -> None:
    counts = {MONDAY - WEEK * ago: 20 for ago in range(10)}
    totals = dict.fromkeys(counts, 200)
    one = follow_concerns({"a": counts}, totals, MONDAY, 1)
    many = follow_concerns({f"c{number}": counts for number in range(20)}, totals, MONDAY, 1)
    assert one[0].latest.band is not None
    assert many[0].latest.band is not None
    assert many[0].latest.band.high > one[0].latest.band.high


def test_rows_and_json_state_the_band() -> None:
    trends = Trends(MONDAY, 200, AT, follow([20] * 9 + [60], discovered=True), 0.05)
    ((name, counted, rate, expected, band, before, state),) = trend_rows(trends)
    assert (name, counted, rate, before, state) == (
        "price (discovered)",
        "60 of 200",
        "30.0 %",
        "10.0 %",
        "above its band",
    )
    found = msgspec.json.decode(msgspec.json.encode(trends_object(trends)))
    last = found["concerns"][0]["weeks"][-1]
    assert (found["week"], found["alerts"], last["state"]) == ("2011-W24", ["price"], "above")
    assert band == f"{last['low'] * 100:.1f} % to {last['high'] * 100:.1f} %"
    assert expected == f"{last['expected'] * 100:.1f} %"


def test_tiles_compare_with_the_week_before() -> None:
    found = report([])
    assert summary_tiles(found.week, found.before)[0] == ("Conversations", "200", "180 in the week before")


def test_the_page_is_self_contained_and_escapes_what_it_shows() -> None:
    trends = [*follow([20] * 9 + [60]), *follow([0] * 8 + [3, 40], name="voucher_code", discovered=True)]
    page = render_page(report(trends))
    assert "&lt;b&gt;ann" in page
    assert "voucher, code" in page
    assert "prefers-color-scheme: dark" in page
    assert page == render_page(report(trends))
    assert not [each for each in ("<b>ann", "<script", "http://", "https://", "src=") if each in page]


def test_a_gap_of_weeks_interrupts_line_and_band() -> None:
    weeks = [MONDAY - WEEK * ago for ago in range(14)][::-1]
    totals = {week: 0 if place == 11 else 100 for place, week in enumerate(weeks)}
    (trend,) = follow_concerns({"price": dict.fromkeys(weeks, 10) | {weeks[11]: 0}}, totals, MONDAY, 12)
    chart = draw_chart(trend)
    assert (len(chart.lines), len(chart.bands)) == (2, 2)


def test_a_page_of_an_empty_store_says_so() -> None:
    nothing = WeekSummary(MONDAY, 0, {"positive": 0, "neutral": 0, "negative": 0}, None, 0, 0, {})
    page = render_page(VoiceReport(Trends(MONDAY, 0, None, [], 0.05), nothing, nothing, {}, frozenset(), []))
    assert "the store is empty" in page
