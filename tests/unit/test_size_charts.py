"""The sizes of segments as lines: where their marks are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from campaigns.records import ActivationRecord, SizeRecord
from console.web.size_charts import FRAME, SPARK, draw_sizes, draw_sparkline

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LEFT, TOP, WIDTH, HEIGHT = FRAME


def sizes(*members: int | None, step: timedelta = DAY) -> list[SizeRecord]:
    """Return sizes a step apart, None for none."""
    return [SizeRecord(BEGIN + n * step, each) for n, each in enumerate(members) if each is not None]


def activation(days: float, version: str) -> ActivationRecord:
    return ActivationRecord(version, "silent", BEGIN + days * DAY, "worker", "", None)


def test_a_line_goes_from_the_first_to_the_last_and_from_the_least_to_the_most() -> None:
    line = draw_sparkline(sizes(10, 30, 20), DAY)
    assert line is not None
    assert line.lines == ["2.0,26.0 60.0,2.0 118.0,14.0"]
    assert line.last == (118.0, 14.0)
    assert line.summary == (
        "Members from 2026-11-01 00:00 to 2026-11-03 00:00 (UTC): first 10, last 20, least 10, most 30."
    )


def test_a_size_that_does_not_change_is_a_line_in_the_middle() -> None:
    line = draw_sparkline(sizes(5, 5), DAY)
    assert line is not None
    assert line.lines == ["2.0,14.0 118.0,14.0"]


def test_one_size_is_no_line() -> None:
    assert draw_sparkline(sizes(5), DAY) is None
    assert draw_sizes(sizes(5), DAY, []) is None


def test_days_without_workers_are_a_gap_and_one_size_between_gaps_is_a_dot() -> None:
    line = draw_sparkline(sizes(0, 1, None, None, 2, None, None, 3, None, 4), DAY)
    assert line is not None
    assert [len(each.split()) for each in line.lines] == [2, 2, 2]
    dot, same = line.lines[1].split()
    assert dot == same


def test_the_scale_begins_at_zero_where_the_change_is_large() -> None:
    small, large = draw_sizes(sizes(980, 1_000), DAY, []), draw_sizes(sizes(400, 1_000), DAY, [])
    assert small is not None
    assert large is not None
    assert [each.label for each in small.y_ticks] == ["980", "985", "990", "995", "1,000"]
    assert [each.label for each in large.y_ticks] == ["0", "200", "400", "600", "800", "1,000"]


def test_labels_are_whole_numbers_and_no_two_are_the_same() -> None:
    chart = draw_sizes(sizes(0, 1), DAY, [])
    assert chart is not None
    assert [each.label for each in chart.y_ticks] == ["0", "1", "2", "3", "4", "5"]


def test_a_short_time_is_labelled_with_hours() -> None:
    short, long = draw_sizes(sizes(1, 2, step=2 * HOUR), HOUR, []), draw_sizes(sizes(1, *[2] * 8), DAY, [])
    assert short is not None
    assert long is not None
    assert short.x_ticks[1].label == "2026-11-01 00:30"
    assert [each.label for each in long.x_ticks] == [f"2026-11-0{day}" for day in (1, 3, 5, 7, 9)]


def test_each_new_version_within_the_time_is_marked_once() -> None:
    """The one before is out of the chart, and another mode of the same version is no new version."""
    activations = [activation(3, "b"), activation(2, "b"), activation(1, "c"), activation(-5, "a")]
    chart = draw_sizes(sizes(1, 2, 3, 4, 5), DAY, activations)
    assert chart is not None
    assert [(each.number, each.version, each.place) for each in chart.marks] == [
        (1, "c", LEFT + WIDTH / 4),
        (2, "b", LEFT + WIDTH / 2),
    ]


def test_a_version_of_the_hour_of_the_last_size_is_marked_at_the_end() -> None:
    chart = draw_sizes(sizes(1, 2), DAY, [activation(1.02, "b")])
    assert chart is not None
    assert [each.place for each in chart.marks] == [LEFT + WIDTH]


@given(st.lists(st.none() | st.integers(0, 2**31 - 1), min_size=2, max_size=60), st.sampled_from([HOUR, DAY]))
def test_every_point_is_within_the_drawing(members: list[int | None], step: timedelta) -> None:
    found = sizes(*members, step=step)
    line, chart = draw_sparkline(found, step), draw_sizes(found, step, [])
    assert (line is None) == (chart is None) == (len(found) < 2)
    if line is None or chart is None:
        return
    assert all(0 <= x <= SPARK[0] and 0 <= y <= SPARK[1] for x, y in points(line.lines))
    assert all(LEFT <= x <= LEFT + WIDTH and TOP <= y <= TOP + HEIGHT for x, y in points(chart.lines))
    assert set(points(line.lines)) >= {line.last}


def points(lines: object) -> list[tuple[float, float]]:
    assert isinstance(lines, list)
    return [(float(x), float(y)) for line in lines for x, y in (point.split(",") for point in line.split())]
