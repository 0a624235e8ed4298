"""The worked campaign of docs/definitions.md, from its file to its lift."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from console.warehouse import load_example
from tests.journey.workplace import Workplace, lend_database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from console.embedded.services import Endpoints

EXAMPLES = Path(__file__).parents[2] / "examples"
CAMPAIGN = EXAMPLES / "worked_campaign"


@pytest.fixture
def place(endpoints: Endpoints, tmp_path: Path) -> Iterator[Workplace]:
    name = secrets.token_hex(4)
    with (
        lend_database(endpoints.ledger_url, f"ledger_{name}") as ledger,
        lend_database(endpoints.warehouse_url, f"warehouse_{name}") as warehouse,
    ):
        load_example(warehouse, date(2011, 6, 1), EXAMPLES / "online_retail")
        environment = {
            **endpoints.as_environment(),
            "HOLDFAST_LEDGER_URL": ledger,
            "HOLDFAST_WAREHOUSE_URL": warehouse,
            "HOLDFAST_DEFINITIONS_DIR": str(CAMPAIGN / "definitions"),
            "HOLDFAST_MODELS_DIR": str(EXAMPLES / "online_retail" / "models"),
            "HOLDFAST_GROUP": f"{name}.group",
            "HOLDFAST_INSTANCE_ID": f"{name}.worker",
            "HOLDFAST_TOPIC_PREFIX": f"{name}.",
            "HOLDFAST_HEALTH_PORT": "0",
        }
        yield Workplace(environment, tmp_path, f"{name}.")


def do(place: Workplace, *arguments: str) -> str:
    """Run a command that must succeed, and return what it prints."""
    done = place.holdfast(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def report_outcomes(place: Workplace) -> None:
    """Run the example's campaign system until it has reported every outcome."""
    command = [sys.executable, str(CAMPAIGN / "simulate_campaign_system.py")]
    subprocess.run(command, env={**os.environ, **place.environment}, check=True, timeout=90)


def test_the_worked_campaign_comes_from_its_file_to_its_lift(place: Workplace) -> None:
    for command in (("topics", "create", "--partitions", "2"), ("ledger", "migrate"), ("segments", "check")):
        do(place, *command)
    assert "holds for 1,673 of 2,767 customers" in do(place, "segments", "preview", "away-a-month")
    worker = place.start_worker()
    try:
        assert "2,767 were evaluated" in do(place, "segments", "reevaluate")
        assert "1,673 members of away-a-month" in do(place, "campaigns", "launch", "come-back")
        report_outcomes(place)
        place.settle()
    finally:
        worker.stop()
    found = json.loads(do(place, "campaigns", "performance", "come-back", "--json"))
    assert found["customers"] == 1_523
    assert not found["sample_ratio"]["alarm"]
    effect = found["effect"]
    assert effect["control"]["converted"] > 0
    assert effect["conversion_rate"]["difference"] > 0
