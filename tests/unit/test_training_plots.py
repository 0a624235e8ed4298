"""Figures as inline SVG."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import matplotlib as mpl
import pytest

from training.report.plots import bars, draw, folds, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def test_a_figure_is_one_element_with_a_label_and_ids_of_its_own() -> None:
    drawn = draw("one", 'says "<b>"', bars({"a": 1.0, "b": -0.5}, "loss"))
    element = ET.fromstring(drawn)  # noqa: S314 - our own
    assert element.get("aria-label") == 'says "<b>"'
    ids = [each.get("id") for each in element.iter() if each.get("id")]
    assert all(each.startswith("one-") for each in ids if each)


def test_the_same_figure_is_the_same_bytes_and_has_no_date() -> None:
    first, second = (draw("f", "folds", folds({"2011-05-31": 0.7, "2011-06-10": 0.72}, "AUC")) for _ in range(2))
    assert first == second
    assert "metadata" not in first


def test_text_stays_text() -> None:
    assert ">days since last<" in draw("f", "bars", bars({"days since last": 1.0}, "loss"))


def test_drawing_leaves_the_style_of_others_alone() -> None:
    before = dict(mpl.rcParams)

    def paint(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1])

    draw("f", "a line", paint)
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.25, "0.25"), (300, "300"), (12_000, "12k"), (-1500, "-1.5k"), (2.5e6, "2.5M"), (3e9, "3G")],
)
def test_long_figures_are_told_in_few_characters(value: float, text: str) -> None:
    assert short(value) == text
