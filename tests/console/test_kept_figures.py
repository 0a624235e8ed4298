"""Figures that take long are computed once at a time, and the former one is shown meanwhile."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from console.errors import AccessError
from console.web.kept_figures import MOST, Kept, KeptFigures

if TYPE_CHECKING:
    from collections.abc import Callable

WAIT_S = 30.0


def wait_until(condition: Callable[[], bool]) -> None:
    """Return when the condition holds; fail after a timeout."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_figure_that_takes_no_time_is_the_latest_at_each_look() -> None:
    figures, values = KeptFigures(), iter((1, 2))
    found = [figures.find("reach", lambda: next(values)).value]
    wait_until(lambda: figures.find("reach", lambda: next(values)).value == 2)
    assert found == [1]


def test_the_former_figure_is_shown_until_the_next_one_is_there() -> None:
    figures, begun, may_end = KeptFigures(), threading.Event(), threading.Event()
    first = figures.find("reach", lambda: 1)

    def compute() -> int:
        begun.set()
        assert may_end.wait(WAIT_S)
        return 2

    wait_until(lambda: figures.find("reach", compute) == first and begun.is_set())
    may_end.set()
    wait_until(lambda: figures.find("reach", lambda: 2).value == 2)


def test_all_who_look_at_a_figure_wait_for_one_computation() -> None:
    figures, begun, may_end = KeptFigures(), [], threading.Event()

    def compute() -> int:
        begun.append(1)
        assert may_end.wait(WAIT_S)
        return 7

    found: list[Kept[int]] = []
    looks = [threading.Thread(target=lambda: found.append(figures.find("reach", compute))) for _ in range(3)]
    for each in looks:
        each.start()
    wait_until(lambda: bool(begun))
    may_end.set()
    for each in looks:
        each.join()
    assert (len(begun), {each.value for each in found}) == (1, {7})


def test_a_figure_that_cannot_be_computed_says_why_and_is_tried_again() -> None:
    figures = KeptFigures()

    def refuse() -> int:
        raise AccessError("the ledger is away")

    assert figures.find("reach", refuse).problem == "the ledger is away"
    wait_until(lambda: figures.find("reach", lambda: 3).value == 3)


def test_an_error_of_the_program_is_raised_and_the_figure_tried_again() -> None:
    figures = KeptFigures()

    def fail() -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        figures.find("reach", fail)
    wait_until(lambda: figures.find("reach", lambda: 3).value == 3)


def test_figures_that_nobody_looks_at_are_given_up() -> None:
    figures = KeptFigures()
    old = figures.find("old", lambda: 1)
    for number in range(MOST):
        figures.find(number, lambda: 0)
    assert old.value == 1
    assert figures.find("old", lambda: 2).value == 2
