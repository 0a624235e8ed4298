"""`holdfast campaigns performance`: a campaign's figures and its effect, in words and characters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from console.performance_page import render_page
from console.performance_views import (
    CONTACT_HEADINGS,
    EFFECT_HEADINGS,
    VARIANT_HEADINGS,
    VERSION_HEADINGS,
    as_object,
    comparison_headings,
    comparison_rows,
    contact_rows,
    describe_measured,
    effect_rows,
    headline,
    interval,
    points,
    sentences,
    variant_rows,
    version_rows,
)
from console.printable import printable
from console.tables import print_table
from console.use_cases.performance import measure_campaign, measure_group
from streams.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from console.use_cases.performance import CampaignPerformance, DayEffect

PLOT_LINES = 14
PLOT_COLUMNS = 49


@click.command("performance")
@click.argument("key", required=False)
@click.option("--group", help="Measure the campaigns with this holdout_group together, in place of one.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Also write a page to this file.")
def performance(key: str | None, group: str | None, as_json: bool, html: Path | None) -> None:
    """Show what a campaign has achieved, and its effect against the customers it held out.

    The intervals hold however often one looks.
    """
    if key is not None and group is None:
        found = measure_campaign(load_settings(), key)
    elif group is not None and key is None:
        found = measure_group(load_settings(), group)
    else:
        raise click.UsageError("name one campaign, or a holdout group with --group")
    if html is not None:
        _write(html, render_page(found))
    if as_json:
        click.echo(json.dumps(as_object(found)))
        return
    _show(found)
    if html is not None:
        click.echo(f"wrote {html}")


def _write(path: Path, page: str) -> None:
    try:
        path.write_text(page, encoding="utf-8", newline="\n")
    except OSError as error:
        raise click.BadParameter(f"{path} cannot be written: {error.strerror}", param_hint="--html") from error


def _show(found: CampaignPerformance) -> None:
    click.echo(printable(describe_measured(found)))
    click.echo(printable(headline(found)))
    if not found.customers:
        return
    print_table(CONTACT_HEADINGS, contact_rows(found))
    if found.effect is not None:
        click.echo()
        print_table(EFFECT_HEADINGS, effect_rows(found.effect))
    if len(found.versions) > 1:
        click.echo()
        print_table(VERSION_HEADINGS, [tuple(map(printable, row)) for row in version_rows(found)])
    if found.variants:
        click.echo()
        print_table(VARIANT_HEADINGS, variant_rows(found))
    if rows := comparison_rows(found):
        click.echo()
        print_table(comparison_headings(found), rows)
    if lines := draw(found.days):
        click.echo("\nDifference of the conversion rates in percentage points, as of the end of each day (UTC):")
        click.echo("\n".join(lines))
    if said := sentences(found):
        click.echo()
        click.echo("\n".join(f"- {printable(each)}" for each in said))


def draw(days: Sequence[DayEffect]) -> list[str]:
    """Return a line for some of the days, the last among them: its interval between brackets, `|` at 0.

    Days without an interval are left out. The first quarter of the days does not set the scale, because its intervals
    are wide: `<` and `>` say that one goes on beyond the edge.
    """
    known = [each for each in days if each.conversion.low is not None]
    if not known:
        return []
    places = np.unique(np.linspace(0, len(known) - 1, min(len(known), PLOT_LINES)).round().astype(int))
    shown = [known[place] for place in places]
    bounds = [_bounds(each) for each in shown[len(shown) // 4 :]]
    left, right = min(0.0, *(low for low, _ in bounds)), max(0.0, *(high for _, high in bounds))
    return [f"  {each.day}  {_draw_line(each, left, right)}  {_describe(each)}" for each in shown]


def _bounds(day: DayEffect) -> tuple[float, float]:
    low, high = day.conversion.low, day.conversion.high
    return (0.0 if low is None else low), (0.0 if high is None else high)


def _draw_line(day: DayEffect, left: float, right: float) -> str:
    def column(value: float) -> int:
        place = round((value - left) / ((right - left) or 1) * (PLOT_COLUMNS - 1))
        return min(max(place, 0), PLOT_COLUMNS - 1)

    low, high = _bounds(day)
    cells = [" "] * PLOT_COLUMNS
    cells[column(low) : column(high) + 1] = "-" * (column(high) + 1 - column(low))
    cells[column(low)] = "[" if low >= left else "<"
    cells[column(high)] = "]" if high <= right else ">"
    cells[column(0)] = "|"
    cells[column(day.conversion.difference)] = "o"
    return "".join(cells)


def _describe(day: DayEffect) -> str:
    return f"{points(day.conversion.difference)} ({interval(day.conversion)})"
