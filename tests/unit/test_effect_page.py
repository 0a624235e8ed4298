"""docs/effect.md states what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from campaigns.confidence_sequence import radius
from console.performance_views import as_object
from tests.unit.test_performance import EFFECTIVE

PAGE = (Path(__file__).parents[2] / "docs" / "effect.md").read_text(encoding="utf-8")
HOLDOUTS = (0.1, 0.2, 0.5)
ROWS = re.findall(r"^\| (\d+) %, \+(\d+) % \| (.+) \|$", PAGE, re.MULTILINE)


def customers_needed(rate: float, lift: float, holdout: float) -> float:
    """Return with how many customers half the width of the interval is the difference."""
    customers = np.geomspace(100, 1e7, 50_000)
    treated = rate * (1 + lift)
    variance = rate * (1 - rate) / holdout + treated * (1 - treated) / (1 - holdout)
    found = radius(np.sqrt(variance / customers), customers) < rate * lift
    return float(customers[found.argmax()])


def test_the_page_lists_some_rates() -> None:
    assert len(ROWS) == 5


@pytest.mark.parametrize(("rate", "lift", "stated"), ROWS)
def test_so_many_customers_are_needed_as_the_page_says(rate: str, lift: str, stated: str) -> None:
    figures = [float(each.replace(",", "")) for each in stated.split(" | ")]
    needed = [customers_needed(int(rate) / 100, int(lift) / 100, holdout) for holdout in HOLDOUTS]
    assert figures == pytest.approx(needed, rel=0.02)


def test_every_field_of_the_json_is_on_the_page() -> None:
    found = as_object(EFFECTIVE)
    effect = found["effect"]
    parts = (found, effect, effect["treated"], effect["conversion_rate"], found["sample_ratio"], found["days"][0])
    names = {name for part in parts for name in part} | {name for each in found["versions"] for name in each}
    assert {name for name in names if f"`{name}`" not in PAGE} == set()
    assert {name for name in found["contacts"]["total"] if name not in PAGE} == set()
