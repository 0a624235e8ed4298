"""A past period decided again, on real services: nothing live changes, and the comparison is right."""

from __future__ import annotations

import time
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from console.use_cases.replay import ReplayPlan, replaying
from streams.settings import load_settings
from tests.journey.test_worker import workplace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from console.embedded.services import Endpoints
    from console.use_cases.replay import Replayed
    from streams.settings import Settings
    from tests.journey.workplace import Workplace


@pytest.fixture(scope="module")
def place(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """A workplace whose worker has decided a first period and a second one."""
    with workplace(endpoints, tmp_path_factory.mktemp("replay")) as lent, ExitStack() as stack:
        worker = lent.start_worker()
        stack.callback(worker.stop)
        yield lent


def act(place: Workplace, customer: str, *, days: int, **row: Any) -> None:
    """Let a customer's row change, now, and wait until the worker has decided it."""
    place.set_customer(customer, days=days, **row)
    event = {**place.event(customer), "occurred_at": datetime.now(UTC).isoformat()}
    place.publish("customer-updates", event)
    place.settle()


def moment() -> datetime:
    """Return a time between the records before and those after."""
    time.sleep(0.01)
    at = datetime.now(UTC)
    time.sleep(0.01)
    return at


def replay(place: Workplace, begin: datetime, end: datetime, **more: Any) -> Replayed:
    """Return what came of a replay."""
    with replaying(settings_of(place), ReplayPlan(begin, end, **more), by="tester") as done:
        return done.summary


def settings_of(place: Workplace) -> Settings:
    """Return the settings of the workplace's worker."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in place.environment.items():
            patch.setenv(name, value)
        return load_settings()


def test_a_replay_with_the_same_definitions_sends_the_same(place: Workplace) -> None:
    """Rows have changed since: the facts of the decisions were recorded with them."""
    act(place, "c1", days=5)
    act(place, "c2", days=5)
    begin = moment()
    act(place, "c1", days=70)
    act(place, "c2", days=10)
    act(place, "c2", days=90)
    end = moment()
    act(place, "c1", days=1)
    done = replay(place, begin, end)
    assert done.counts["win-back"] == {"same": 2}
    assert done.is_same
