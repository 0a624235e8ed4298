"""Figures about all customers: cohorts, RFM, churn risk, what campaigns brought, and the voice of the customer."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from console.performance_views import headline, money
from console.voice_views import TREND_HEADINGS, summary_tiles, trend_rows, trends_headline
from console.web.analytics_watch import PENDING
from console.web.authentication import CustomerViewer, Reader
from console.web.charts import BANDS, BAR, GAP, HEIGHT, draw_line, shade_cohorts, shade_counts, stack_weeks
from console.web.context import Context
from console.web.errors import ConflictError
from console.web.rendering import render
from intelligence.weeks import write_week

router = APIRouter(prefix="/analytics")
MONTHS = 12
MOST = 500
LINE = (120, 24)
"""Width and height of the line of a concern."""


@router.get("")
def show_analytics(request: Request, context: Context, _: Reader) -> Response:
    """Show what is known of all customers together."""
    parts = context.analytics.look()
    cohorts, rfm, history, voice = (parts[name].value for name in ("cohorts", "rfm", "history", "voice"))
    shown = {
        "parts": parts,
        "is_pending": any(each.problem == PENDING for each in parts.values()),
        "cohorts": shade_cohorts(cohorts.rows(MONTHS)) if cohorts else [],
        "rfm": shade_counts(rfm.cells) if rfm else {},
        "bars": stack_weeks(history) if history else ([], []),
        "bands": BANDS,
        "bar": {"width": BAR, "gap": GAP, "height": HEIGHT},
        "headline": headline,
        "money": money,
        "lines": {
            each.concern: draw_line([week.rate for week in each.weeks], *LINE)
            for each in (voice.trends.concerns if voice else ())
        },
        "line": LINE,
        "tiles": summary_tiles(voice.week, voice.before) if voice else [],
        "trends": list(zip(voice.trends.concerns, trend_rows(voice.trends), strict=True)) if voice else [],
        "trend_headings": TREND_HEADINGS,
        "trends_headline": trends_headline,
        "write_week": write_week,
    }
    return render(request, "analytics_parts.html" if "HX-Request" in request.headers else "analytics.html", shown)


@router.get("/cohort")
def show_cohort(
    request: Request,
    context: Context,
    principal: CustomerViewer,
    month: Annotated[str, Query(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")],
    age: Annotated[int, Query(ge=0, le=1_200)],
) -> Response:
    """Show the customers of a cell of the cohorts: their month, and how many months later they bought."""
    part = context.analytics.find("cohorts")
    if part.value is None:
        raise ConflictError(f"cohorts: {part.problem}; load the page again")
    year, number = map(int, month.split("-"))
    found = part.value.active(12 * year + number - 1, age, MOST)
    context.accounts.record(principal.name, "list customers of a cohort", f"{month}+{age}")
    return render(request, "cohort.html", {"month": month, "age": age, "found": found, "most": MOST})
