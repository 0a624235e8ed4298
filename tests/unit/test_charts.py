"""Charts that the server draws: where their marks are."""

from __future__ import annotations

from datetime import date

from campaigns.postgres_risk import RiskHistory
from console.web.charts import DARKEST, draw_line, shade_cohorts, shade_counts, stack_weeks
from intelligence.cohorts import CohortRow

WEEK = date(2026, 11, 23)


def test_the_strongest_later_month_is_the_darkest_cell() -> None:
    ((_, cells),) = shade_cohorts([CohortRow(12 * 2026, 10, [10, 5, 1])])
    assert [each.share for each in cells] == [1.0, 0.5, 0.1]
    assert [each.opacity for each in cells] == [DARKEST, DARKEST, 0.11]


def test_a_count_is_as_dark_as_its_share_of_the_largest() -> None:
    assert shade_counts({(5, 5): 10, (1, 1): 5})[1, 1].opacity == DARKEST / 2


def test_bars_stack_from_low_risk_to_high() -> None:
    parts, weeks = stack_weeks(RiskHistory([(WEEK, "high", 1), (WEEK, "low", 3)], {}))
    assert weeks == [WEEK]
    assert [(each.band, each.y, each.height) for each in parts] == [("low", 35.0, 105.0), ("high", 0.0, 35.0)]


def test_a_line_leaves_out_what_is_unknown() -> None:
    assert draw_line([0.0, None, 2.0], 10, 4) == "0.0,4.0 10.0,0.0"
