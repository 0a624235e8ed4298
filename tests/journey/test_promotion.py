"""A first model in place of the rule moves most customers at once: it contacts none of them for that."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from models.versions import current_version
from tests.journey.test_worker import read_health, workplace
from tests.journey.workplace import wait_until, write_json
from tests.model_versions import SHIPPED, add_copy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from console.demo.worker_process import WorkerProcess
    from console.embedded.services import Endpoints
    from tests.journey.workplace import Workplace

MOVED = [f"c{number:02}" for number in range(60)]
COLUMNS = """ALTER TABLE customer_features_view ADD transactions_90d integer NOT NULL DEFAULT 0,
             ADD items_total integer NOT NULL DEFAULT 10, ADD cancellations integer NOT NULL DEFAULT 0"""
FIRST = current_version(SHIPPED / "churn") or ""


@pytest.fixture
def place(endpoints: Endpoints, tmp_path: Path) -> Iterator[Workplace]:
    """A workplace whose campaign contacts who enters by churn_probability, with a model that serves not yet."""
    home = Path(shutil.copytree(SHIPPED, tmp_path / "models")) / "churn"
    add_copy(home, "churn-1")
    for name in ("current", "history.jsonl"):
        (home / name).unlink()
    with workplace(endpoints, tmp_path) as lent:
        environment = {**lent.environment, "HOLDFAST_MODELS_DIR": str(home.parent), "ML_MOCK_MODE": "false"}
        with psycopg.connect(environment["HOLDFAST_WAREHOUSE_URL"]) as warehouse:
            warehouse.execute(COLUMNS)
        rule = {">=": [{"var": "churn_probability"}, 0.35]}
        file = Path(environment["HOLDFAST_DEFINITIONS_DIR"]) / "segments" / "lapsing.json"
        write_json(file, {"key": "lapsing", "name": "lapsing", "rule": rule})
        yield replace(lent, environment=environment)


@contextmanager
def working(place: Workplace) -> Iterator[WorkerProcess]:
    """Run a worker for the block."""
    worker = place.start_worker()
    try:
        yield worker
    finally:
        worker.stop()


def set_buyer(place: Workplace, customer: str, *, buys: bool) -> None:
    """Let a customer buy much, so that the model expects no churn, or not."""
    with psycopg.connect(place.environment["HOLDFAST_WAREHOUSE_URL"]) as warehouse:
        warehouse.execute(
            "UPDATE customer_features_view SET transactions_90d = %s, items_total = %s WHERE customer_id = %s",
            [4 if buys else 0, 100 if buys else 10, customer],
        )


def members(place: Workplace) -> set[str]:
    """Return the members in the ledger."""
    rows = place.ask_ledger("SELECT customer_id FROM membership WHERE segment = 'lapsing' AND is_member")
    return {customer for (customer,) in rows}


def contacted(place: Workplace) -> list[str]:
    """Return who got a trigger, once for each."""
    return sorted(each.body["customer_id"] for each in place.see("campaign-triggers"))


def test_a_promotion_that_moves_most_customers_contacts_those_who_changed_themselves(place: Workplace) -> None:
    """It is refused, then accepted; in a running worker, by a re-evaluation, after a restart and after a rollback."""
    place.set_customers([*MOVED, "ann"], days=20)
    with working(place) as worker:
        place.update(*MOVED, "ann")
        assert members(place) == set()
        refused = place.holdfast("models", "promote", "churn", "churn-1")
        assert (refused.returncode, "61 of 61 customers (100.0%) would move" in refused.stderr) == (2, True)
        done = place.do("models", "promote", "churn", "churn-1", "--yes", "--by", "olga")
        assert "only what the rule would have fired, too" in done
        wait_until(lambda: read_health(worker)["models"]["churn"] == "churn-1")
        place.set_customer("ann", days=100)
        place.update(*MOVED[:30], "ann")
        assert members(place) == {*MOVED[:30], "ann"}
        assert contacted(place) == ["ann"]
        again = place.do("segments", "reevaluate")
        assert "30 were evaluated; 31 had been evaluated under these rules before" in again
        assert members(place) == {*MOVED, "ann"}
        assert place.do("segments", "history", "lapsing").splitlines()[-1].startswith("61 of 61 known customers")
    with working(place) as worker:
        place.update(*MOVED)
        set_buyer(place, MOVED[0], buys=True)
        place.update(MOVED[0])
        set_buyer(place, MOVED[0], buys=False)
        place.update(MOVED[0])
        assert contacted(place) == ["ann", MOVED[0]]
        add_copy(place.folder / "models" / "churn", "churn-2", features=reversed_features(place))
        place.do("models", "promote", "churn", "churn-2", "--yes", "--mode", "silent")
        wait_until(lambda: read_health(worker)["models"]["churn"] == "churn-2")
        place.update(*MOVED[:40])
        assert "continues from the last evaluation under churn-1" in place.do("models", "rollback", "churn")
        wait_until(lambda: read_health(worker)["models"]["churn"] == "churn-1")
        place.update(*MOVED, "ann")
        assert members(place) == {*MOVED, "ann"}
    assert contacted(place) == ["ann", MOVED[0]]
    assert place.see("dead-letters") == []
    modes = [
        json.loads(line)["mode"] for line in (place.folder / "models/churn/history.jsonl").read_text().splitlines()
    ]
    assert modes == ["new", "silent", "restored"]


def reversed_features(place: Workplace) -> list[str]:
    """Return the features of the first version in another order: such a version scores customers otherwise."""
    manifest = json.loads((place.folder / "models/churn/versions/churn-1/manifest.json").read_text())
    return list(manifest["features"])[::-1]
