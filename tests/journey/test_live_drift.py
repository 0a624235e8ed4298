"""A worker notices that its customers differ from those that the model was trained on."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import TYPE_CHECKING
from urllib.request import urlopen

from models.live_drift import EVERY
from tests.journey.test_experiments import add_columns
from tests.journey.test_worker import read_health, workplace
from tests.model_versions import SHIPPED

if TYPE_CHECKING:
    from pathlib import Path

    from console.embedded.services import Endpoints

CUSTOMERS = [f"customer-{number}" for number in range(600)]


def test_drift_is_measured_reported_and_logged_once(endpoints: Endpoints, tmp_path: Path) -> None:
    """All customers are alike: nothing that the model was trained on is."""
    with workplace(endpoints, tmp_path) as place, ExitStack() as stack:
        place.environment |= {
            "HOLDFAST_MODELS_DIR": str(SHIPPED),
            "ML_MOCK_MODE": "false",
            "HOLDFAST_BATCH_EVENTS": "50",
        }
        add_columns(place)
        worker = place.start_worker()
        stack.callback(worker.stop)
        place.set_customers(CUSTOMERS)
        for _ in range(2 * EVERY):
            place.update(*CUSTOMERS)
        with urlopen(f"http://127.0.0.1:{worker.port}/metrics", timeout=30) as answer:
            metrics = answer.read().decode()
        assert read_health(worker)["status"] == "ok"
    assert 'holdfast_live_drift{column="items",model="churn",version="churn-' in metrics
    assert 'holdfast_live_psi{column="score",model="churn",version="churn-' in metrics
    logged = (tmp_path / "worker-0.log").read_text().splitlines()
    (said,) = (json.loads(line) for line in logged if '"live_drift"' in line)
    assert (said["model"], said["next"]) == ("churn", "holdfast models monitor churn")
    assert {"items", "score"} <= said["psi"].keys()
