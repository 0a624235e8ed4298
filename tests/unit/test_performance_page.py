"""The pages that show what was measured, and the figures they show."""

from __future__ import annotations

import pytest

from benchmarks.errors import ResultsError
from benchmarks.page import PAGES, PLOT, measured_part, read_results, replace_measured
from benchmarks.peers import ROOT

DOCS = ROOT / "docs"
PAGE = "before\n<!-- measured: begin -->\nold\n<!-- measured: end -->\nafter\n"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_shows_the_results_that_are_kept(name: str) -> None:
    shown = measured_part((DOCS / name).read_text())
    assert shown == PAGES[name](read_results()), "run `python -m benchmarks.page`"


def test_the_plot_shows_the_results_that_are_kept() -> None:
    results = read_results()
    assert (DOCS / PLOT).exists() == (results is not None)
    if results is not None:
        assert results["taken_at"] in (DOCS / PLOT).read_text()


def test_only_what_is_between_the_markers_is_replaced() -> None:
    assert replace_measured(PAGE, "new") == PAGE.replace("old", "new")
    assert measured_part(replace_measured(PAGE, "new\nlines")) == "new\nlines"


@pytest.mark.parametrize("page", [PAGE.replace("begin", ""), PAGE.replace("end", ""), PAGE * 2])
def test_a_page_without_its_markers_is_refused(page: str) -> None:
    with pytest.raises(ResultsError, match="needs one line"):
        replace_measured(page, "new")
