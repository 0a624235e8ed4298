"""Uplift from outcomes to decisions: logged through real topics, trained from the ledger, promoted through its gates.

A simulated shop: who has spent much buys because of the contact, who has spent little stays away because of it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zlib
from contextlib import ExitStack
from datetime import datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.journey.test_worker import read_health
from tests.journey.workplace import (
    BEGIN,
    PARTITIONS,
    SCHEMA,
    campaign,
    lend_place,
    wait_until,
    write_definitions,
    write_json,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from console.demo.worker_process import WorkerProcess
    from console.embedded.services import Endpoints
    from tests.journey.workplace import Workplace

pytestmark = pytest.mark.skipif(find_spec("tensorflow") is None, reason="needs the extra `training`")

DAYS = 6
CHANCE = {"persuadable": {"treatment": 0.5, "control": 0.1}, "dog": {"treatment": 0.1, "control": 0.45}}
"""The probability to buy, by kind of customer and arm."""
PAST = {kind: [f"{kind}-{number}" for number in range(1200)] for kind in CHANCE}
LATE = {kind: [f"late-{kind}-{number}" for number in range(40)] for kind in CHANCE}
REVENUE = {"persuadable": 1500.0, "dog": 300.0}


@pytest.fixture(scope="module")
def shop(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workplace, WorkerProcess]]:
    """Half of 2,400 customers who lapsed in six days were held out, and all have bought or not."""
    folder = tmp_path_factory.mktemp("uplift")
    settings = {
        "HOLDFAST_DEFINITIONS_DIR": str(write_definitions(folder / "definitions")),
        "HOLDFAST_MODELS_DIR": str(folder / "models"),
        "ML_FEATURE_MAPPING": json.dumps({"revenue": "total_revenue"}),
        "HOLDFAST_DUE_CLOCK": "events",
    }
    held = campaign("win-back", "lapsing", "on_enter") | {"holdout_percent": 50, "valid_days": 60}
    write_json(folder / "definitions" / "campaigns" / "win-back.json", held)
    with lend_place(endpoints, folder, settings) as lent, ExitStack() as stack:
        with psycopg.connect(lent.environment["HOLDFAST_WAREHOUSE_URL"]) as connection:
            connection.execute(SCHEMA)
        lent.do("topics", "create", "--partitions", str(PARTITIONS))
        worker = lent.start_worker()
        stack.callback(worker.stop)
        lapse(lent, PAST)
        buy(lent)
        yield lent, worker


def lapse(place: Workplace, customers: dict[str, list[str]]) -> None:
    """Let customers enter the segment, each on one of six days."""
    names = [name for each in customers.values() for name in each]
    for days in (5, 90):
        for kind, each in customers.items():
            place.set_customers(each, days=days, revenue=REVENUE[kind])
        moments = [BEGIN - timedelta(days=20) + timedelta(days=2 * (n % DAYS), hours=days) for n in range(len(names))]
        place.publish(
            "customer-updates",
            *(place.event(name, occurred_at=at.isoformat()) for name, at in zip(names, moments, strict=True)),
        )
        place.settle()


def buy(place: Workplace) -> None:
    """Report the purchases of both arms, each an hour after the exposure."""
    sold = []
    for topic in ("campaign-triggers", "campaign-triggers.control"):
        for exposed in (each.body for each in place.see(topic)):
            kind = exposed["customer_id"].partition("-")[0]
            # A hash, so that the order of records makes no difference.
            drawn = zlib.crc32(f"9{exposed['trigger_id']}".encode()) / 2**32
            if drawn < CHANCE[kind][exposed["variant"]]:
                at = datetime.fromisoformat(exposed["as_of"]) + timedelta(hours=1)
                about = {"trigger_id": exposed["trigger_id"], "value": 20.0, "occurred_at": at.isoformat()}
                sold.append(place.event(exposed["customer_id"], "outcome.converted", **about))
    place.publish("outcomes", *sold)
    place.settle()


def train(place: Workplace, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "training", *arguments]
    environment = {**os.environ, **place.environment}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_whom_a_contact_drives_away_is_left_alone_once_a_model_has_learned_it(
    shop: tuple[Workplace, WorkerProcess],
) -> None:
    place, worker = shop
    done = train(place, "uplift", "--outcome-window", "2", "--net", "additive", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    made = json.loads(done.stdout.splitlines()[-1])["models"]["uplift"]
    (found,) = made["metrics"]["campaigns"]
    assert (found["campaign"], found["is_served"]) == ("win-back", True)
    assert found["qini_95"][0] > 0.2
    assert "Whom does contact help?" in (Path(made["folder"]) / "report.html").read_text()
    wait_until(lambda: read_health(worker)["models"].get("uplift") == made["version"])

    lapse(place, LATE)
    decisions = {each.body["customer_id"]: each.body for each in place.see("decisions")}
    dogs, persuadable = ([decisions[name] for name in LATE[kind]] for kind in ("dog", "persuadable"))
    assert {each["reason"] for each in persuadable} == {"entered_segment", "holdout"}
    left_alone = [each for each in dogs if each["reason"] == "negative_uplift"]
    assert len(left_alone) >= 30
    assert "the contact lowers the chance of a conversion" in left_alone[0]["detail"]
    assert left_alone[0]["versions"]["uplift"] == made["version"]
    explored = [each for each in dogs if each["reason"] != "negative_uplift"]
    assert explored
    assert all("although a loss is expected" in each["detail"] for each in explored)
    assert "win-back: withheld, the contact lowers" in place.do("explain", left_alone[0]["customer_id"])
    assert "drift" in place.holdfast("models", "monitor", "uplift").stdout
    assert "recomputed: the same" in place.do("explain", left_alone[0]["customer_id"], "--recompute")
