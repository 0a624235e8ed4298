"""A minute of random faults from a fixed seed; `make soak` runs ten."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.faults import scenario
from tests.faults.soak import as_json, soak

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 60
SEED = 4


@pytest.mark.journey
def test_random_faults_lose_and_double_nothing(data_folder: Path) -> None:
    """With dedicated services; the number of effective faults depends on the machine, the result does not."""
    report = soak(data_folder, seconds=SECONDS, seed=SEED)
    assert report.complaints == [], f"to repeat: make soak SECONDS={SECONDS} SEED={SEED}"
    assert (report.lost, report.doubled, report.differing) == (0, 0, 0)
    assert report.fault_count >= 8
    assert len(report.faults) >= 5
    assert report.triggers > 500
    assert report.silent > scenario.SILENT / 2
    assert report.operators["prune"] > 0
    assert report.operators["replay"] > 0
    assert json.loads(as_json(report))["events"] == report.events > SECONDS
