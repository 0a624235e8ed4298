"""What becomes of topics and offsets while a worker lives: they expire, hang or are keyed in two ways."""

from __future__ import annotations

import json
import urllib.request
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from streams.kafka.key_partitions import choose_partition
from tests.journey.test_worker import workplace
from tests.journey.workplace import PARTITIONS, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from console.demo.worker_process import WorkerProcess
    from console.embedded.services import Endpoints
    from tests.journey.workplace import Workplace

ANGRY = "This is awful. I hate it, a terrible, horrible service!"


@pytest.fixture(scope="module")
def place(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    with workplace(endpoints, tmp_path_factory.mktemp("topics")) as lent:
        # Without an instance id a worker leaves its group when it ends; only offsets of empty groups are deleted.
        lent.environment = {key: each for key, each in lent.environment.items() if key != "HOLDFAST_INSTANCE_ID"}
        yield lent


def delete_offsets(place: Workplace) -> None:
    """Delete the offsets of the group and of its outbox, as the broker does when they expire."""
    client = AdminClient({"bootstrap.servers": place.broker})
    group = place.environment["HOLDFAST_GROUP"]
    names = [each.group_id for each in client.list_consumer_groups().result(10).valid]
    for done in client.delete_consumer_groups([name for name in names if name.startswith(group)]).values():
        done.result(10)


def read(worker: WorkerProcess, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{worker.port}/{path}", timeout=30) as answer:
        return str(answer.read().decode())


def find_degraded(worker: WorkerProcess, words: str) -> list[str]:
    """Return the sentences of /health with these words."""
    health: dict[str, Any] = json.loads(read(worker, "health"))
    return [sentence for sentence in health["degraded"] if words in sentence]


def test_health_names_what_is_wrong_with_the_topics(place: Workplace, worker: WorkerProcess) -> None:
    """A record keyed by another partitioner, and a transaction that stays open: the worker decides and is live."""
    place.set_customer("c1", days=90)
    hanging = Producer({"bootstrap.servers": place.broker, "transactional.id": place.prefix})
    hanging.init_transactions(10)
    hanging.begin_transaction()
    hanging.produce(f"{place.prefix}outcomes", b"hanging", partition=1)
    hanging.flush()
    value = json.dumps(place.event("c1")).encode()
    key = next(f"k{n}".encode() for n in range(99) if choose_partition("murmur2", b"k%d" % n, PARTITIONS) == 1)
    place.publish_bytes("customer-updates", key, value)
    wait_until(lambda: find_degraded(worker, "customer-updates: the record at partition 0, offset 0") != [])
    place_of = f'holdfast_open_transaction_seconds{{partition="1",topic="{place.prefix}outcomes"}}'
    wait_until(lambda: place_of in read(worker, "metrics"))
    assert f'holdfast_misplaced_records_total{{topic="{place.prefix}customer-updates"}} 1.0' in read(worker, "metrics")
    assert json.loads(read(worker, "health/live"))["alive"]
    hanging.abort_transaction(10)


def test_no_trigger_is_sent_again_after_the_offsets_have_expired(place: Workplace, worker: WorkerProcess) -> None:
    """Also after sent outbox rows and old decisions were deleted: contacts and memberships are kept."""
    place.set_customer("c2", revenue=2000)
    place.update("c2")
    place.publish("conversations", place.event("c2", "conversation.message", role="customer", text=ANGRY))
    place.settle()
    assert place.holdfast("campaigns", "launch", "thank-you").returncode == 0
    place.settle()
    worker.stop()
    sent = [trigger["trigger_id"] for trigger in place.triggers("c2")]
    assert len(sent) == 2
    delete_offsets(place)
    with psycopg.connect(place.environment["HOLDFAST_LEDGER_URL"]) as ledger:
        ledger.execute("DELETE FROM outbox WHERE sent_at IS NOT NULL")
        ledger.execute("DELETE FROM decision")
    with ExitStack() as stack:
        stack.callback(place.start_worker().stop)
        place.settle()
    assert [trigger["trigger_id"] for trigger in place.triggers("c2")] == sent
