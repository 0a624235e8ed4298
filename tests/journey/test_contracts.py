"""What a worker publishes keeps to the published contracts, on real services."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from streams.contracts.messages import all_messages
from tests.journey.test_worker import workplace
from tests.journey.workplace import campaign, wait_until, write_json
from tests.unit.test_leads import update

if TYPE_CHECKING:
    from pathlib import Path

    from console.embedded.services import Endpoints

WRITTEN = [each for each in all_messages() if each.direction == "write"]


@pytest.mark.journey
def test_everything_that_a_worker_publishes_keeps_to_its_contract(endpoints: Endpoints, tmp_path: Path) -> None:
    """Entries and exits, contacts and withheld ones, hot leads, and records that cannot be decided."""
    with workplace(endpoints, tmp_path) as lent:
        asked = {"HOLDFAST_PUBLISH_TRANSITIONS": "true", "HOLDFAST_LEADS": "true"}
        place = replace(lent, environment={**lent.environment, **asked})
        campaigns = tmp_path / "definitions" / "campaigns"
        half = {**campaign("win-back", "lapsing", "on_enter"), "holdout_percent": 50}
        write_json(campaigns / "win-back.json", half)
        customers = [f"c{number}" for number in range(20)]
        place.do("topics", "create")
        worker = place.start_worker()
        place.set_customers(customers)
        place.update(*customers)
        place.set_customers(customers[:10], days=90)
        place.set_customers(customers[10:], days=90, consent=False)
        place.update(*customers)
        place.set_customers(customers)
        place.publish_bytes("customer-updates", b"c1", b'{"id": ', [("theirs", b"\xff")])
        place.publish_bytes("customer-updates", None, None)
        place.publish(
            "outcomes", place.event("c1", "outcome.opened", trigger_id="5f0c1d3e-0000-4000-8000-000000000000")
        )
        place.publish_bytes("leads", b"l1", json.dumps(update()).encode())
        place.update(*customers, "unknown")
        wait_until(lambda: bool(place.see("lead-alerts")))
        worker.stop()
        replayed = place.holdfast("replay", "--from", "2011-01-01", "--to", f"{datetime.now(UTC).isoformat()}")
        assert replayed.returncode == 0, replayed.stderr
        for contract in WRITTEN:
            seen = place.see(contract.topic)
            assert seen, contract.topic
            for record in seen:
                ours = contract.headers["properties"]
                headers = {name: (value or b"").decode() for name, value in record.headers if name in ours}
                found = [*_errors(contract.headers, headers)]
                if contract.payload:
                    found += _errors(contract.payload, record.body)
                assert found == [], record


def _errors(schema: dict[str, object], value: object) -> list[str]:
    validator = Draft202012Validator(schema, format_checker=FormatChecker())
    return [error.message for error in validator.iter_errors(value)]
