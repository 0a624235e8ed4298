"""The worked campaign of docs/definitions.md, from its file to its lift."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from console.warehouse import load_example
from tests.journey.workplace import Workplace, lend_place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from console.embedded.services import Endpoints

EXAMPLES = Path(__file__).parents[2] / "examples"
CAMPAIGN = EXAMPLES / "worked_campaign"


@pytest.fixture
def place(endpoints: Endpoints, tmp_path: Path) -> Iterator[Workplace]:
    settings = {
        "HOLDFAST_DEFINITIONS_DIR": str(CAMPAIGN / "definitions"),
        "HOLDFAST_MODELS_DIR": str(EXAMPLES / "online_retail" / "models"),
    }
    with lend_place(endpoints, tmp_path, settings, is_migrated=False) as lent:
        load_example(lent.environment["HOLDFAST_WAREHOUSE_URL"], date(2011, 6, 1), EXAMPLES / "online_retail")
        yield lent


def report_outcomes(place: Workplace) -> None:
    """Run the example's campaign system until it has reported every outcome."""
    command = [sys.executable, str(CAMPAIGN / "simulate_campaign_system.py")]
    subprocess.run(command, env={**os.environ, **place.environment}, check=True, timeout=90)


def test_the_worked_campaign_comes_from_its_file_to_its_lift(place: Workplace) -> None:
    for command in (("topics", "create", "--partitions", "2"), ("ledger", "migrate"), ("segments", "check")):
        place.do(*command)
    assert "holds for 1,673 of 2,767 customers" in place.do("segments", "preview", "away-a-month")
    worker = place.start_worker()
    try:
        assert "2,767 were evaluated" in place.do("segments", "reevaluate")
        assert "1,673 members of away-a-month" in place.do("campaigns", "launch", "come-back")
        report_outcomes(place)
        place.settle()
    finally:
        worker.stop()
    found = json.loads(place.do("campaigns", "performance", "come-back", "--json"))
    assert found["customers"] == 1_523
    assert not found["sample_ratio"]["alarm"]
    effect = found["effect"]
    assert effect["control"]["converted"] > 0
    assert effect["conversion_rate"]["difference"] > 0
