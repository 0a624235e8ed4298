"""A topic is deleted and created again under the same name: nothing of the new one is skipped."""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka.admin import AdminClient

from streams.kafka.topics import create_topics
from tests.journey.test_worker import workplace
from tests.journey.workplace import PARTITIONS, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from console.embedded.services import Endpoints
    from tests.journey.workplace import Workplace

FROZEN_S = 3.0


@pytest.fixture
def place(endpoints: Endpoints, tmp_path: Path) -> Iterator[Workplace]:
    with workplace(endpoints, tmp_path) as lent:
        lent.set_customers([f"c{number}" for number in range(10)])
        yield lent


def say(place: Workplace, count: int) -> list[dict[str, Any]]:
    """Publish so many messages of ten customers, and return them."""
    said = [
        place.event(f"c{number % 10}", "conversation.message", role="customer", text="hello") for number in range(count)
    ]
    place.publish("conversations", *said)
    return said


def recreate(place: Workplace) -> None:
    """Delete the topic and create it again."""
    topic = f"{place.prefix}conversations"
    client = AdminClient({"bootstrap.servers": place.broker})
    client.delete_topics([topic])[topic].result(10)
    wait_until(lambda: topic not in client.list_topics(timeout=10).topics)
    wait_until(lambda: create_topics(place.broker, [topic], PARTITIONS) == (topic,))


def count_folded(place: Workplace, said: list[dict[str, Any]]) -> int:
    """Return how many of the messages the ledger has seen."""
    folded = {event_id for (event_id,) in place.ask_ledger("SELECT event_id FROM seen_event")}
    return len(folded & {event["id"] for event in said})


@pytest.mark.parametrize(("before", "after"), [(20, 200), (200, 20)], ids=["longer", "shorter"])
@pytest.mark.parametrize("stopped_by", [signal.SIGSTOP, signal.SIGKILL], ids=["frozen", "killed"])
def test_every_event_of_a_recreated_topic_is_folded(
    place: Workplace, before: int, after: int, stopped_by: signal.Signals
) -> None:
    """The worker is frozen, or down, while the topic is recreated and filled."""
    with ExitStack() as stack:
        worker = place.start_worker()
        stack.callback(worker.stop)
        said = say(place, before)
        place.settle()
        os.kill(worker.pid, stopped_by)
        frozen_at = time.monotonic()
        recreate(place)
        said_since = say(place, after)
        if stopped_by == signal.SIGSTOP:
            time.sleep(max(0.0, FROZEN_S - (time.monotonic() - frozen_at)))
            os.kill(worker.pid, signal.SIGCONT)
        else:
            stack.callback(place.start_worker().stop)
        wait_until(lambda: count_folded(place, said_since) == after)
        place.settle()
        assert count_folded(place, said) == before
