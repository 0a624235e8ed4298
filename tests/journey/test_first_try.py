"""A new user's extract decides: init, warehouse check, a worker, an update, explain, as docs/first-try.md says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.journey.workplace import Workplace, lend_place

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
    extract = tmp_path / "telco.csv"
    extract.write_text(CUSTOMERS)
    settings = {
        "HOLDFAST_WAREHOUSE_URL": f"csv:{extract}",
        "DWH_CUSTOMER_ID_COLUMN": "customerID",
        "HOLDFAST_DEFINITIONS_DIR": str(tmp_path / "start" / "definitions"),
    }
    with lend_place(endpoints, tmp_path, settings, is_migrated=False) as lent:
        yield lent


def test_an_extract_decides_within_a_few_commands(place: Workplace, tmp_path: Path) -> None:
    channels = tmp_path / "start" / "definitions" / "campaigns" / "channels.json"
    started = place.do("init", str(tmp_path / "start"))
    assert f"name one in {channels} (consent_column" in started
    email = {"key": "email", "message_format": "html", "consent_column": "PaperlessBilling"}
    channels.write_text(json.dumps([email | {"consent_values": {"given": ["Yes"], "denied": ["No"]}}]))
    assert "a worker can start" in place.do("warehouse", "check")
    for command in (("topics", "create", "--partitions", "2"), ("ledger", "migrate")):
        place.do(*command)
    place.do("segments", "activate", "first-segment", "--mode", "emit")
    worker = place.start_worker()
    try:
        assert place.do("updates", "publish", "7590-VHVEG", "8779-QRDMV", "3841-NFECX") == "published 3 updates\n"
        place.settle()
    finally:
        worker.stop()
    assert place.decisions("8779-QRDMV")[0][:2] in [("first-campaign", "fired"), ("first-campaign", "control")]
    assert place.decisions("3841-NFECX") == [("first-campaign", "withheld", "no_consented_channel")]
    assert place.decisions("7590-VHVEG") == []
    assert "SeniorCitizen 1 is > 0" in place.do("explain", "8779-QRDMV")
