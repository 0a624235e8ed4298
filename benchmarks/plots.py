"""Plots the results: rates of the contenders, latency by load, cost by growth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from benchmarks.tables import TITLES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from matplotlib.axes import Axes

HOLDFAST_COLOUR, OTHER_COLOUR = "#1b6e53", "#9aa5a1"
# Text is kept as text and ids are fixed: the file is small, and the same results give the same bytes.
STYLE = {"svg.fonttype": "none", "svg.hashsalt": "holdfast", "font.size": 8}


def draw(results: Mapping[str, Any], target: Path) -> None:
    """Write the plot as SVG; its metadata has the time of the results."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 7), layout="constrained")
        rates, latencies, growth, workers = figure.subplots(2, 2).flat
        _draw_rates(rates, results)
        _draw_latencies(latencies, results)
        _draw_growth(growth, results)
        _draw_workers(workers, results)
        figure.savefig(target, format="svg", metadata={"Date": None, "Description": results["taken_at"]})


def _draw_rates(axes: Axes, results: Mapping[str, Any]) -> None:
    rates = results.get("events_per_s", {})
    names = [name for name in reversed(TITLES) if name in rates]
    colours = [HOLDFAST_COLOUR if name in {"whole", "own_code", "holdfast"} else OTHER_COLOUR for name in names]
    bars = axes.barh([TITLES[name] for name in names], [rates[name]["median"] for name in names], color=colours)
    axes.bar_label(bars, fmt="{:,.0f}", padding=2)
    axes.set_xscale("log")
    axes.set_xlim(right=3e7)
    axes.set_title("events/s, median (logarithmic)")


def _draw_latencies(axes: Axes, results: Mapping[str, Any]) -> None:
    loads = sorted(results.get("latency_ms", {}).values(), key=lambda each: each["events_per_s"])
    for quantile, style in (("p50", "o-"), ("p99", "s-"), ("p99_9", "^-")):
        rates = [each["events_per_s"] for each in loads]
        axes.plot(rates, [each[quantile] for each in loads], style, label=quantile.replace("_", "."))
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.set_xlabel("events/s")
    axes.set_title("event due to trigger read, ms")
    if loads:
        axes.legend()


def _draw_growth(axes: Axes, results: Mapping[str, Any]) -> None:
    for name, points in results.get("growth", {}).items():
        costs = {int(factor): each["cpu_us_per_event"] for factor, each in points.items() if "failed" not in each}
        axes.plot(list(costs), [each["worker"] for each in costs.values()], "o-", label=name.replace("_", " "))
    axes.set_xscale("log")
    factors = sorted({int(factor) for points in results.get("growth", {}).values() for factor in points})
    axes.set_xticks(factors, [f"{factor} x" for factor in factors])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.set_xlabel("normal size")
    axes.set_title("worker's CPU, us/event, by what is multiplied")
    if axes.lines:
        axes.legend()


def _draw_workers(axes: Axes, results: Mapping[str, Any]) -> None:
    points = {count: each for count, each in results.get("workers", {}).items() if "failed" not in each}
    costs = [each["cpu_us_per_event"]["worker"] for each in points.values()]
    axes.bar_label(axes.bar(list(points), costs, color=HOLDFAST_COLOUR), fmt="{:.1f}")
    axes.margins(y=0.1)
    axes.set_xlabel("workers, each bound to a core")
    axes.set_title("workers' CPU, us/event")
