"""A model promoted, broken and rolled back while a worker runs."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from models.versions import current_version
from tests.journey.test_worker import read_health, workplace
from tests.journey.workplace import wait_until
from tests.model_versions import SHIPPED, promote_copy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from console.embedded.services import Endpoints
    from tests.journey.workplace import Workplace


@pytest.fixture
def place(endpoints: Endpoints, tmp_path: Path) -> Iterator[Workplace]:
    """A workplace with models of its own."""
    models = shutil.copytree(SHIPPED, tmp_path / "models")
    with workplace(endpoints, tmp_path) as lent:
        environment = {**lent.environment, "HOLDFAST_MODELS_DIR": str(models), "ML_MOCK_MODE": "false"}
        yield replace(lent, environment=environment)


def test_a_running_worker_takes_up_a_promotion_refuses_a_broken_one_and_goes_back(place: Workplace) -> None:
    home = place.folder / "models" / "churn"
    first = current_version(home)
    with ExitStack() as stack:
        worker = place.start_worker()
        stack.callback(worker.stop)
        promote_copy(home, "churn-2")
        wait_until(lambda: read_health(worker)["models"]["churn"] == "churn-2")
        promote_copy(home, "churn-3", b"no model")
        wait_until(lambda: any("churn-3 cannot be run" in each for each in read_health(worker)["degraded"]))
        place.set_customer("ann", days=90)
        place.update("ann")
        done = place.holdfast("models", "rollback", "churn", "--to", str(first), "--why", "test")
        assert done.returncode == 0, done.stderr
        wait_until(lambda: read_health(worker)["models"]["churn"] == first)
        place.set_customer("bob", days=90)
        place.update("bob")
    named = {each.key: each.body["versions"]["churn"] for each in place.see("decisions")}
    assert named == {b"ann": "churn-2", b"bob": first}
