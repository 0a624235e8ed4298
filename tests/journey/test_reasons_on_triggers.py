"""A campaign that asks for reasons, on real services: they are on its triggers and in `holdfast explain`."""

from __future__ import annotations

import json
import shutil
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from console.use_cases.replay import ReplayPlan, replaying
from tests.journey.test_replay import moment, settings_of
from tests.journey.test_worker import workplace
from tests.journey.workplace import campaign, write_json
from tests.model_versions import SHIPPED, promote_explained, promote_unexplained

if TYPE_CHECKING:
    from collections.abc import Iterator

    from console.embedded.services import Endpoints
    from tests.journey.workplace import Workplace

COLUMNS = "transactions_90d, items_total, cancellations"
PRIVATE = "private@example.org"


@pytest.fixture(scope="module")
def place(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """A worker with a model that has a background; win-back asks for three reasons and chooses among offers."""
    folder = tmp_path_factory.mktemp("reasons")
    models = Path(shutil.copytree(SHIPPED, folder / "models"))
    promote_explained(models / "churn", "churn-explained")
    promote_unexplained(models / "nbo", "nbo-old")
    with workplace(endpoints, folder) as lent, ExitStack() as stack:
        asking = campaign("win-back", "lapsing", "on_enter") | {"reasons": 3, "offers": [2, 3, 5]}
        write_json(Path(lent.environment["HOLDFAST_DEFINITIONS_DIR"]) / "campaigns" / "win-back.json", asking)
        with psycopg.connect(lent.environment["HOLDFAST_WAREHOUSE_URL"]) as warehouse:
            for name in COLUMNS.split(", "):
                warehouse.execute(f"ALTER TABLE customer_features_view ADD {name} integer NOT NULL DEFAULT 2".encode())
        settings = {"HOLDFAST_MODELS_DIR": str(models), "ML_MOCK_MODE": "false"}
        settings["HOLDFAST_PRIVATE_COLUMNS"] = "email,birth_date"
        place = replace(lent, environment={**lent.environment, **settings})
        stack.callback(place.start_worker().stop)
        yield place


def lapse(place: Workplace, customer: str) -> dict[str, Any]:
    """Let a customer enter the segment of win-back now, and return the trigger."""
    for days in (5, 69):
        place.set_customer(customer, days=days)
        place.publish("customer-updates", {**place.event(customer), "occurred_at": datetime.now(UTC).isoformat()})
        place.settle()
    (trigger,) = place.triggers(customer)
    return trigger


def test_a_trigger_says_why_and_so_does_explain(place: Workplace) -> None:
    """By the model; the version of offers was trained without a background, and has no reasons to show."""
    trigger = lapse(place, "ann")
    assert trigger["decision_basis"] == "model"
    (strongest, *_) = factors = trigger["reasons"]["churn"]
    assert list(trigger["reasons"]) == ["churn"]
    assert len(factors) == 3
    assert any(each["text"].startswith("no purchase for 69 days; ") for each in factors)
    assert PRIVATE not in json.dumps(trigger)
    shown = place.do("explain", "ann")
    assert f"    churn probability {strongest['contribution']:+.4g}: {strongest['text']}\n" in shown
    log = (place.folder / "worker-0.log").read_text()
    assert "was trained without a background, so it has no reasons; train it again" in log


def test_a_redelivered_event_and_a_replay_give_the_same_reasons(place: Workplace) -> None:
    """The replay reads the facts that were recorded: the row has changed since."""
    begin = moment()
    trigger = lapse(place, "bob")
    place.publish(
        "customer-updates", {**place.event("bob"), "id": trigger["caused_by"], "occurred_at": trigger["as_of"]}
    )
    place.settle()
    end = moment()
    place.set_customer("bob", days=1, revenue=9.0)
    assert place.triggers("bob") == [trigger]
    with replaying(settings_of(place), ReplayPlan(begin, end), by="tester") as done:
        assert done.summary.is_same
    (shadow,) = [each.body for each in place.see("campaign-triggers.shadow") if each.key == b"bob"]
    assert shadow == trigger
    assert shadow["reasons"]["churn"]
