"""Figures as inline SVG: same numbers, same bytes. Drawn narrow, so that their text can be read on a phone.

Colours are those of Okabe and Ito (2008), which colour-blind readers can distinguish; lines also differ in dashes,
for print in black and white.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator, PercentFormatter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from training.evaluation.curves import Bins, Estimate

    Numbers = NDArray[Any]
    Paint = Callable[[Axes], None]

BLUE, VERMILION, GREEN, ORANGE, SKY, PURPLE = "#0072b2", "#d55e00", "#009e73", "#e69f00", "#56b4e9", "#cc79a7"
INK, SOFT, GRID, BARS = "#1b1f24", "#59636e", "#e3e7eb", "#c3cad1"
PALETTE = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, INK, SOFT)
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (2, 1.5)), (0, (6, 2, 1, 2)), (0, (1, 1)))
WIDTH = 360
HEIGHT = 270
ROW = 24
"""What each row of a chart with named rows adds to its height."""
STRIP = 0.14
SMALLEST_SPREAD = 0.02
LONG_LABEL = 26
LONG_TAIL = 50
"""From this ratio of a feature's values on its axis is logarithmic."""
STYLE: Any = {
    "svg.hashsalt": "holdfast",
    "svg.fonttype": "none",
    "font.family": ["DejaVu Sans"],
    "font.size": 10.5,
    "axes.labelsize": 10.5,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": False,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "lines.linewidth": 1.8,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}
SHARE = PercentFormatter(1, decimals=0)


@dataclass(frozen=True, slots=True)
class Curve:
    """A line with its name in the legend."""

    name: str
    x: Numbers
    y: Numbers


def draw(name: str, label: str, paint: Paint, *, width: int = WIDTH, height: int = HEIGHT) -> str:
    """Return a figure as an SVG element.

    Args:
        name: prefix of every id in it, so that several figures live in one page; letters, digits and hyphens.
        label: what a screen reader says.
        paint: draws on the axes.
        width: in units of the view box, of which 72 are an inch of text; the page scales it.
        height: in the same units.
    """
    with mpl.rc_context(STYLE):
        figure = Figure((width / 72, height / 72), layout="constrained")
        paint(figure.add_subplot())
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return _embed(written.getvalue(), name, label)


def lines(curves: Sequence[Curve], x_label: str, y_label: str, *, random: Curve) -> Paint:
    """Draw curves over shares from 0 to 1, the first the strongest, with a dotted line for a random ranking."""

    def paint(axes: Axes) -> None:
        axes.plot(random.x, random.y, color=SOFT, linewidth=1.2, linestyle=":", label=random.name)
        for step, curve in reversed(list(enumerate(curves))):
            style: dict[str, Any] = {"color": PALETTE[step % len(PALETTE)], "linestyle": DASHES[step % len(DASHES)]}
            axes.plot(curve.x, curve.y, label=curve.name, linewidth=2.4 if step == 0 else 1.4, **style)
        axes.set(xlabel=x_label, ylabel=y_label, xlim=(0, 1), ylim=(0, 1.02))
        axes.xaxis.set_major_formatter(SHARE)
        axes.yaxis.set_major_formatter(SHARE)
        _legend(axes, reverse=True)

    return paint


def forest(estimates: Mapping[str, Estimate], x_label: str, *, share: bool = False) -> Paint:
    """Draw one row per scorer: its figure and interval, the first (the model) marked across all rows."""

    def paint(axes: Axes) -> None:
        for row, each in enumerate(estimates.values()):
            line: dict[str, Any] = {"color": SOFT, "linewidth": 1.8} if row else {"color": BLUE, "linewidth": 3}
            axes.plot([each.low, each.high], [row, row], **line)
            axes.plot(each.value, row, "o" if row else "D", color=INK if row else BLUE, markersize=6.5)
        axes.axvline(next(iter(estimates.values())).value, color=BLUE, linewidth=1, linestyle=":")
        axes.set(xlabel=x_label)
        _name_rows(axes, list(estimates))
        if share:
            axes.xaxis.set_major_formatter(SHARE)
        axes.spines["left"].set_visible(False)
        axes.get_yticklabels()[0].set_fontweight("bold")

    return paint


def reliability(bins: Bins, scores: Numbers) -> Paint:
    """Draw observed against predicted rates with intervals, and the distribution of the scores below."""

    def paint(axes: Axes) -> None:
        top = min(1.0, max(float(bins.high.max()), float(bins.predicted.max())) * 1.08) or 1.0
        counts, edges = np.histogram(scores, np.linspace(0, top, 31))
        heights = counts / max(int(counts.max()), 1) * top * STRIP
        axes.bar(edges[:-1], heights, np.diff(edges) * 0.85, align="edge", color=BARS, label="distribution of scores")
        axes.plot([0, top], [0, top], color=SOFT, linewidth=1.2, linestyle=":", label="perfect")
        axes.vlines(bins.predicted, bins.low, bins.high, color=BLUE, linewidth=1.6)
        style: dict[str, Any] = {"color": BLUE, "linewidth": 1, "markersize": 5.5}
        axes.plot(bins.predicted, bins.actual, "o-", label="model, 95% interval", **style)
        axes.set(xlabel="predicted probability", ylabel="observed rate", xlim=(0, top), ylim=(0, top))
        axes.xaxis.set_major_formatter(SHARE)
        axes.yaxis.set_major_formatter(SHARE)
        _legend(axes)

    return paint


def tenths(values: Numbers, y_label: str, *, reference: float, reference_name: str) -> Paint:
    """Draw a bar for each tenth of the cases, best scores first, and a line for the average."""

    def paint(axes: Axes) -> None:
        places = np.arange(1, len(values) + 1)
        axes.bar(places, values, color=BLUE, width=0.78)
        axes.axhline(reference, color=VERMILION, linewidth=1.4, linestyle=DASHES[1], label=reference_name)
        above: dict[str, Any] = {"ha": "center", "fontsize": 9, "xytext": (0, 3), "textcoords": "offset points"}
        box = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"}
        for place, value in zip(places, values, strict=True):
            axes.annotate(f"{value:.1f}", (place, value), bbox=box, **above)
        axes.set(xlabel="tenth, highest scores first", ylabel=y_label, xticks=places)
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.yaxis.set_major_formatter(FuncFormatter(short))
        axes.margins(y=0.1)
        axes.grid(visible=False, axis="x")
        _legend(axes)

    return paint


def spend(bins: Bins) -> Paint:
    """Draw predicted next to actual spend of each tenth, lowest predictions first."""

    def paint(axes: Axes) -> None:
        places = np.arange(1, len(bins.actual) + 1)
        axes.bar(places, bins.actual, color=SKY, width=0.78, label="actual")
        axes.vlines(places, np.maximum(bins.low, 0), bins.high, color=SOFT, linewidth=1.2)
        axes.plot(places, bins.predicted, "D", color=INK, markersize=5.5, label="predicted")
        axes.set(xlabel="tenth, lowest predictions first", ylabel="mean spend", xticks=places)
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(FuncFormatter(short))
        axes.grid(visible=False, axis="x")
        _legend(axes)

    return paint


def histograms(groups: Mapping[str, Numbers], x_label: str, threshold: float | None) -> Paint:
    """Draw how the scores of each group lie, as shares of the group, with the operating threshold."""

    def paint(axes: Axes) -> None:
        edges = np.linspace(0, 1, 26).tolist()
        for step, (name, values) in enumerate(groups.items()):
            weights = np.full(len(values), 1 / max(len(values), 1))
            axes.hist(values, edges, weights=weights, color=PALETTE[step], alpha=0.35)
            line: dict[str, Any] = {"color": PALETTE[step], "linestyle": DASHES[step], "linewidth": 1.8}
            axes.hist(values, edges, weights=weights, histtype="step", label=name, **line)
        if threshold is not None:
            axes.axvline(threshold, color=INK, linewidth=1.4, linestyle=":", label="threshold")
        axes.set(xlabel=x_label, ylabel="share of the group", xlim=(0, 1))
        axes.xaxis.set_major_formatter(SHARE)
        axes.yaxis.set_major_formatter(SHARE)
        _legend(axes)

    return paint


def costs(thresholds: Numbers, totals: Numbers, chosen: tuple[float, float], y_label: str) -> Paint:
    """Draw the cost of acting at each threshold, and the threshold in use with its cost."""

    def paint(axes: Axes) -> None:
        axes.plot(thresholds, totals, color=BLUE)
        axes.axvline(chosen[0], color=INK, linewidth=1.1, linestyle=":")
        axes.plot(*chosen, "o", color=VERMILION, markersize=8, linestyle="none", label=f"in use: {chosen[0]:.0%}")
        axes.set(xlabel="threshold (predicted probability)", ylabel=y_label, xlim=(0, 1))
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(FuncFormatter(short))
        axes.xaxis.set_major_formatter(SHARE)
        _legend(axes)

    return paint


def bars(values: Mapping[str, float], x_label: str) -> Paint:
    """Draw a horizontal bar for each name, in order; those below zero in another colour."""

    def paint(axes: Axes) -> None:
        colours = [BLUE if each >= 0 else ORANGE for each in values.values()]
        axes.barh(np.arange(len(values)), list(values.values()), color=colours, height=0.66)
        axes.axvline(0, color=SOFT, linewidth=1)
        axes.set(xlabel=x_label)
        _name_rows(axes, list(values))

    return paint


def offer_shares(names: Sequence[str], model: Numbers, logged: Numbers) -> Paint:
    """Draw how often the model would show each offer as bars, and its share in the log as diamonds."""

    def paint(axes: Axes) -> None:
        places = np.arange(len(names))
        axes.barh(places, model, color=SKY, height=0.66, label="model")
        axes.plot(logged, places, "D", color=INK, markersize=5.5, label="logged policy")
        axes.set(xlabel="share of customers")
        axes.set_xlim(left=0)
        axes.xaxis.set_major_formatter(SHARE)
        _name_rows(axes, names)
        _legend(axes)

    return paint


def dots(rows: Mapping[str, tuple[float, ...]], x_label: str) -> Paint:
    """Draw for each name the predicted (diamond) and the observed rate (dot) with its interval.

    Args:
        rows: by name predicted, actual, low and high.
        x_label: what the figures are.
    """

    def paint(axes: Axes) -> None:
        places = np.arange(len(rows))
        table = np.array(list(rows.values()), dtype=np.float64)
        axes.hlines(places, table[:, 2], table[:, 3], color=SOFT, linewidth=1.8)
        axes.plot(table[:, 1], places, "o", color=SOFT, markersize=6, label="observed")
        axes.plot(table[:, 0], places, "D", color=BLUE, markersize=5.5, label="predicted")
        axes.set(xlabel=x_label)
        axes.set_xlim(left=0)
        axes.xaxis.set_major_formatter(SHARE)
        _name_rows(axes, list(rows))
        _legend(axes)

    return paint


def shape(values: Numbers, added: Numbers, deciles: Numbers, limits: tuple[float, float]) -> Paint:
    """Draw what a feature adds to the score over its values, ticks where each tenth of the customers ends.

    Args:
        values: shape [points].
        added: shape [points, outputs].
        deciles: the feature's own deciles.
        limits: of the vertical axis, the same for all features, so that they compare.
    """

    def paint(axes: Axes) -> None:
        axes.axhline(0, color=SOFT, linewidth=1)
        for output in range(added.shape[1]):
            style: dict[str, Any] = {"color": PALETTE[output % len(PALETTE)], "linestyle": DASHES[output % len(DASHES)]}
            axes.plot(values, added[:, output], linewidth=1.8 if added.shape[1] == 1 else 1.2, **style)
        axes.plot(deciles, np.full(len(deciles), limits[0]), "|", color=INK, markersize=9, clip_on=False)
        low, high = float(values[0]), float(values[-1])
        if low > 0 and high > LONG_TAIL * low:
            axes.set_xscale("log")
            axes.xaxis.set_minor_locator(NullLocator())
        else:
            axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.set(xlim=(low, high), ylim=limits)
        axes.xaxis.set_major_formatter(FuncFormatter(short))
        axes.yaxis.set_major_locator(MaxNLocator(5))

    return paint


def folds(values: Mapping[str, float], y_label: str) -> Paint:
    """Draw the figure reached on each cut-off, in order of time, and their mean."""

    def paint(axes: Axes) -> None:
        places, figures = np.arange(len(values)), np.array(list(values.values()))
        axes.axhline(float(figures.mean()), color=SOFT, linewidth=1.2, linestyle=":", label="mean")
        axes.plot(places, figures, "o-", color=BLUE, markersize=6)
        above: dict[str, Any] = {"ha": "center", "fontsize": 9, "xytext": (0, 7), "textcoords": "offset points"}
        for place, figure in zip(places, figures, strict=True):
            axes.annotate(f"{figure:.3f}", (place, figure), **above)
        room = max(float(np.ptp(figures)), SMALLEST_SPREAD)
        axes.set(ylabel=y_label, ylim=(figures.min() - room, figures.max() + room))
        axes.set_xticks(places, list(values), rotation=20, ha="right")
        axes.margins(x=0.12)
        axes.grid(visible=False, axis="x")
        _legend(axes)

    return paint


def survival(days: Numbers, predicted: Sequence[Numbers], observed: Sequence[Numbers]) -> Paint:
    """Draw the share of each group that is left over time: predicted as a line, observed as points."""

    def paint(axes: Axes) -> None:
        for step, (line, points) in enumerate(zip(predicted, observed, strict=True)):
            colour = PALETTE[step % len(PALETTE)]
            axes.plot([0, *days], [1, *line], color=colour, linestyle=DASHES[step % len(DASHES)], label=f"{step + 1}")
            axes.plot(days, points, "o", color=colour, markersize=4)
        axes.set(xlabel="days", ylabel="without a purchase", xlim=(0, days[-1]), ylim=(0, 1.02))
        axes.yaxis.set_major_formatter(SHARE)
        _legend(axes)

    return paint


def scatter(predicted: Numbers, actual: Numbers, floor: float) -> Paint:
    """Draw predicted against actual spend on logarithmic axes; values below `floor` lie on the edge."""

    def paint(axes: Axes) -> None:
        x, y = np.maximum(predicted, floor), np.maximum(actual, floor)
        top = float(max(x.max(), y.max())) * 1.5
        axes.plot([floor, top], [floor, top], color=SOFT, linewidth=1.2, linestyle=":", label="perfect")
        axes.scatter(x, y, s=9, color=BLUE, alpha=0.35, linewidths=0)
        axes.set(xscale="log", yscale="log", xlabel="predicted spend", ylabel="actual spend")
        axes.set(xlim=(floor * 0.8, top), ylim=(floor * 0.8, top))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(short))
            axis.set_minor_formatter(FuncFormatter(lambda *_: ""))
        _legend(axes)

    return paint


def spread(groups: Sequence[Numbers], y_label: str) -> Paint:
    """Draw for each tenth the median, the middle half and the middle nine tenths of a figure."""

    def paint(axes: Axes) -> None:
        places = np.arange(1, len(groups) + 1)
        cuts = np.array([np.quantile(group, (0.05, 0.25, 0.5, 0.75, 0.95)) for group in groups])
        axes.axhline(0, color=SOFT, linewidth=1)
        axes.vlines(places, cuts[:, 0], cuts[:, 4], color=SKY, linewidth=2, label="nine tenths")
        axes.vlines(places, cuts[:, 1], cuts[:, 3], color=BLUE, linewidth=6, label="half")
        axes.plot(places, cuts[:, 2], "_", color=INK, markersize=11, markeredgewidth=2, label="median")
        axes.set(xlabel="tenth, lowest predictions first", ylabel=y_label, xticks=places)
        axes.yaxis.set_major_formatter(FuncFormatter(short))
        axes.grid(visible=False, axis="x")
        _legend(axes)

    return paint


def coverage(bins: Bins, average: float) -> Paint:
    """Draw the share of each tenth that lay within its interval, and the share of all."""

    def paint(axes: Axes) -> None:
        places = np.arange(1, len(bins.actual) + 1)
        axes.bar(places, bins.actual, color=SKY, width=0.78)
        axes.vlines(places, bins.low, bins.high, color=SOFT, linewidth=1.2)
        axes.axhline(average, color=VERMILION, linewidth=1.4, linestyle=DASHES[1], label=f"all: {average:.0%}")
        axes.set(xlabel="tenth, lowest predictions first", ylabel="within the interval", xticks=places)
        axes.set_ylim(0, 1.02)
        axes.yaxis.set_major_formatter(SHARE)
        axes.grid(visible=False, axis="x")
        _legend(axes)

    return paint


def qini(curves: Sequence[Curve]) -> Paint:
    """Draw the gain by share of customers contacted, for several rankings and at random."""

    def paint(axes: Axes) -> None:
        axes.plot([0, 1], [0, curves[0].y[-1]], color=SOFT, linewidth=1.2, linestyle=":", label="at random")
        for step, curve in enumerate(curves):
            axes.plot(curve.x, curve.y, color=PALETTE[step], linestyle=DASHES[step], label=curve.name)
        axes.set(xlabel="contacted", ylabel="additional customers that stay, per contact", xlim=(0, 1))
        axes.xaxis.set_major_formatter(SHARE)
        _legend(axes)

    return paint


def short(value: float, _position: int = 0) -> str:
    """Return a figure in few characters: 12k, 1.5M, 300, 0.25.

    Args:
        value: the figure.
        _position: which tick it labels; matplotlib passes it.
    """
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def _name_rows(axes: Axes, names: Sequence[str]) -> None:
    axes.set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.4, -0.6))
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)


def _legend(axes: Axes, *, reverse: bool = False) -> None:
    """Put the legend above the axes, in two columns where the names are short enough for the figure's width."""
    handles, labels = axes.get_legend_handles_labels()
    step = -1 if reverse else 1
    columns = 1 if max(map(len, labels)) > LONG_LABEL else 2
    spacing: dict[str, Any] = {"borderpad": 0, "columnspacing": 1.2, "handlelength": 2.4}
    figure = axes.get_figure(root=True)
    if figure is not None:
        figure.legend(handles[::step], labels[::step], loc="outside upper left", ncols=columns, **spacing)


def _embed(written: str, name: str, label: str) -> str:
    """Strip what an HTML page does not need from an SVG file and make its ids its own."""
    body = written[written.index("<svg") :]
    inner = body[body.index(">") + 1 : body.rindex("</svg>")]
    inner = re.sub(r"<style[^>]*>.*?</style>", "", inner, flags=re.DOTALL)
    inner = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', inner)
    inner = re.sub(r'xlink:href="#([^"]+)"', rf'href="#{name}-\1"', inner)
    inner = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", inner)
    inner = re.sub(r"\s*\n\s*", "\n", inner)
    found = re.search(r'viewBox="([^"]+)"', body)
    box = found.group(1) if found else f"0 0 {WIDTH} {HEIGHT}"
    return f'<svg viewBox="{box}" role="img" aria-label="{escape(label)}">{inner}</svg>'
