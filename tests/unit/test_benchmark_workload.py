"""The events and rules that the benchmark works with."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks import decisions
from benchmarks.workload import Size, draw_events, draw_rows, first_events, write_definitions

if TYPE_CHECKING:
    from pathlib import Path

SMALL = Size(events=2_000, customers=500)


def test_a_tenth_as_many_messages_come_as_updates() -> None:
    topics = Counter(topic for topic, _, _ in draw_events(SMALL))
    assert topics == {"customer-updates": 2_000, "conversations": 200}


def test_the_same_seed_draws_the_same_events() -> None:
    assert list(draw_events(SMALL)) == list(draw_events(SMALL))
    assert list(draw_events(SMALL)) != list(draw_events(Size(events=2_000, customers=500, seed=6)))


def test_the_most_frequent_customer_has_the_share_that_zipfs_law_gives() -> None:
    keys = Counter(key for _, key, _ in draw_events(SMALL))
    expected = 2_200 / sum(1 / rank**1.1 for rank in range(1, 501))
    assert abs(keys.most_common(1)[0][1] - expected) < 3 * np.sqrt(expected)


def test_every_customer_is_evaluated_first() -> None:
    first = [json.loads(value) for _, _, value in first_events(SMALL)]
    assert {each["customer_id"] for each in first} == set(draw_rows(SMALL))
    later = [json.loads(value)["occurred_at"] for _, _, value in draw_events(SMALL)]
    assert max(each["occurred_at"] for each in first) < min(later)


@pytest.mark.parametrize("campaigns", [20, 200])
def test_more_campaigns_make_as_many_triggers(tmp_path: Path, campaigns: int) -> None:
    folder = write_definitions(tmp_path / "definitions", Size(campaigns=campaigns))
    segments = {each.name: json.loads(each.read_text()) for each in (folder / "segments").iterdir()}
    waiting = {json.loads(each.read_text())["segment"] for each in (folder / "campaigns").glob("campaign-*")}
    bounds = [segments[f"{key}.json"]["rule"]["and"] for key in waiting]
    # Of the campaigns of a segment one makes a trigger.
    assert sum(below["<"][1] - above[">="][1] for above, below in bounds) == pytest.approx(Size().entering)


def test_the_benchmark_of_decisions_decides_for_every_customer_and_campaign() -> None:
    shown = CliRunner().invoke(decisions.main, ["--customers", "30", "--campaigns", "4", "--rounds", "1"])
    found = json.loads(shown.output)
    assert (found["customers"], found["campaigns"]) == (30, 4)
    assert 0 < found["contacts"] <= 30
