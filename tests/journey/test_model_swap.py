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
    """A workplace with its own models."""
    models = shutil.copytree(SHIPPED, tmp_path / "models")
    with workplace(endpoints, tmp_path) as lent:
        environment = {**lent.environment, "HOLDFAST_MODELS_DIR": str(models), "ML_MOCK_MODE": "false"}
        yield replace(lent, environment=environment)


def test_a_worker_that_starts_with_a_refused_version_serves_the_one_before(place: Workplace) -> None:
    home = place.folder / "models" / "churn"
    promote_copy(home, "churn-2")
    promote_copy(home, "churn-3", b"no model")
    promoted = promote_copy(home, "churn-4").folder
    (promoted / "manifest.json").write_text('{"version": "churn-4"}')
    with ExitStack() as stack:
        worker = place.start_worker()
        stack.callback(worker.stop)
        place.set_customer("ann", days=90)
        place.update("ann")
        wait_until(lambda: len(place.see("decisions")) == 1)
        health = read_health(worker)
    assert (health["status"], health["models"]["churn"]) == ("degraded", "churn-2")
    (refused, by_rule) = (each for each in health["degraded"] if each.startswith("churn: "))
    assert refused.startswith("churn: churn-4 is refused (")
    assert refused.endswith("; churn-2 serves")
    assert by_rule.startswith("churn: churn-2 serves, but a rule scored 1 of the last 1 customers (missing_column 1)")
    (decision,) = place.see("decisions")
    assert decision.body["versions"]["churn"] == "churn-2"


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
