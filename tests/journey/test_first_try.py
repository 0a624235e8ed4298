"""A new user's extract decides: init, warehouse check, a worker, an update, explain, as docs/first-try.md says."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING

import pytest

from tests.journey.workplace import Workplace, lend_database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from console.embedded.services import Endpoints

CUSTOMERS = """\
customerID,SeniorCitizen,tenure,PaperlessBilling,TotalCharges
7590-VHVEG,0,1,Yes,29.85
8779-QRDMV,1,1,Yes,
3841-NFECX,1,71,No,6669.45
"""


@pytest.fixture
def place(endpoints: Endpoints, tmp_path: Path) -> Iterator[Workplace]:
    name = secrets.token_hex(4)
    extract = tmp_path / "telco.csv"
    extract.write_text(CUSTOMERS)
    with lend_database(endpoints.ledger_url, f"ledger_{name}") as ledger:
        environment = {
            **endpoints.as_environment(),
            "HOLDFAST_LEDGER_URL": ledger,
            "HOLDFAST_WAREHOUSE_URL": f"csv:{extract}",
            "DWH_CUSTOMER_ID_COLUMN": "customerID",
            "HOLDFAST_DEFINITIONS_DIR": str(tmp_path / "start" / "definitions"),
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


def test_an_extract_decides_within_a_few_commands(place: Workplace, tmp_path: Path) -> None:
    channels = tmp_path / "start" / "definitions" / "campaigns" / "channels.json"
    started = do(place, "init", str(tmp_path / "start"))
    assert f"name one in {channels} (consent_column" in started
    email = {"key": "email", "message_format": "html", "consent_column": "PaperlessBilling"}
    channels.write_text(json.dumps([email | {"consent_values": {"given": ["Yes"], "denied": ["No"]}}]))
    assert "a worker can start" in do(place, "warehouse", "check")
    for command in (("topics", "create", "--partitions", "2"), ("ledger", "migrate")):
        do(place, *command)
    do(place, "segments", "activate", "first-segment", "--mode", "emit")
    worker = place.start_worker()
    try:
        assert do(place, "updates", "publish", "7590-VHVEG", "8779-QRDMV", "3841-NFECX") == "published 3 updates\n"
        place.settle()
    finally:
        worker.stop()
    assert place.decisions("8779-QRDMV")[0][:2] in [("first-campaign", "fired"), ("first-campaign", "control")]
    assert place.decisions("3841-NFECX") == [("first-campaign", "withheld", "no_consented_channel")]
    assert place.decisions("7590-VHVEG") == []
    assert "SeniorCitizen 1 is > 0" in do(place, "explain", "8779-QRDMV")
