"""Records of every codec and size: each is decided or becomes one small dead letter, and the worker goes on."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import Producer

from tests.faults.kafka_options import TOPIC, set_options
from tests.journey import java_producer
from tests.journey.test_worker import workplace
from tests.journey.workplace import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from console.demo.worker_process import WorkerProcess
    from console.embedded.services import Endpoints
    from tests.journey.workplace import Seen, Workplace

WITHHELD = ("win-back", "withheld", "first_evaluation")
GROWTH_MB = 100.0


@pytest.fixture(scope="module")
def place(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    with workplace(endpoints, tmp_path_factory.mktemp("records")) as lent:
        yield lent


def send(place: Workplace, topic: str, *events: dict[str, Any], headers: Any = (), **producer: Any) -> None:
    """Send events in one batch for each partition, by a producer of the given properties."""
    client = Producer({"bootstrap.servers": place.broker, "partitioner": "murmur2_random", "linger.ms": 50, **producer})
    for event in events:
        value = json.dumps(event).encode()
        client.produce(place.prefix + topic, key=event["customer_id"].encode(), value=value, headers=list(headers))
    client.flush()


def find_letters(place: Workplace, customer: str) -> list[Seen]:
    """Return the dead letters with a customer's key."""
    return [letter for letter in place.see("dead-letters") if letter.key == customer.encode()]


def read_memory_mb(worker: WorkerProcess, name: str) -> float:
    """Return a figure of the process's memory: VmRSS is the present one, VmHWM the highest so far."""
    status = Path(f"/proc/{worker.pid}/status").read_text()
    (kilobytes,) = re.findall(rf"{name}:\s+(\d+) kB", status)
    return int(kilobytes) / 1024


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("by", ["producer", "topic"])
@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_a_batch_of_every_codec_is_decided(place: Workplace, codec: str, by: str) -> None:
    """Compressed by the producer, or by the broker for a topic."""
    customers = [f"{by}-{codec}-{number}" for number in range(20)]
    place.set_customers(customers, days=90)
    topic = f"{place.prefix}customer-updates"
    set_options(place.broker, TOPIC, topic, compression_type=codec if by == "topic" else None)
    compression = {"compression.type": codec} if by == "producer" else {}
    send(place, "customer-updates", *map(place.event, customers), **compression)
    place.settle()
    assert [place.decisions(customer) for customer in customers] == [[WITHHELD]] * 20


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_a_batch_of_kafkas_own_producer_is_decided(place: Workplace, codec: str) -> None:
    """The Java client frames compressed batches in its own way."""
    customers = [f"java-{codec}-{number}" for number in range(20)]
    place.set_customers(customers, days=90)
    java_producer.produce(place.broker, f"{place.prefix}customer-updates", map(place.event, customers), codec)
    place.settle()
    assert [place.decisions(customer) for customer in customers] == [[WITHHELD]] * 20


@pytest.mark.usefixtures("worker")
def test_a_record_of_every_format_is_decided(place: Workplace) -> None:
    """Keys and values as the tools of each format write them."""
    written: dict[str, tuple[dict[str, Any], Any]] = {
        "row": ({"customer_id": "row", "plan": "gold"}, "row"),
        "debezium": ({"op": "u", "after": {"customer_id": "debezium"}}, {"customer_id": "debezium"}),
        "event": ({"specversion": "1.0", "id": "1", "source": "/dwh", "type": "x", "subject": "event"}, "event"),
        "call": ({"type": "identify", "userId": "call", "messageId": "m"}, "call"),
    }
    place.set_customers([*written, "headers"], days=90)
    for content, key in written.values():
        place.publish_bytes("customer-updates", json.dumps(key).encode(), json.dumps(content).encode())
    headers = {"ce_specversion": b"1.0", "ce_id": b"1", "ce_source": b"/dwh", "ce_type": b"x"}
    place.publish_bytes("customer-updates", b"headers", b'{"customer_id": "headers"}', list(headers.items()))
    place.settle()
    customers = [*written, "headers"]
    assert [place.decisions(customer) for customer in customers] == [[WITHHELD]] * len(customers)


def test_records_of_any_size_cost_a_dead_letter_and_little_memory(place: Workplace, worker: WorkerProcess) -> None:
    """5 MB and 30 MB of text, 150 MB beyond the bound, and headers beyond any limit, between two sound records."""
    place.set_customers(["before", "after", "large", "huge", "bomb", "headers"], days=90)
    place.update("before")
    before_mb = read_memory_mb(worker, "VmRSS")
    gzip = {"compression.type": "gzip", "message.max.bytes": 200_000_000}
    sizes = {"large": 5_000_000, "huge": 30_000_000, "bomb": 150_000_000}
    digests = {}
    for customer, size in sizes.items():
        event = place.event(customer, "conversation.message", role="customer", text="x" * size)
        digests[customer] = hashlib.sha256(json.dumps(event).encode()).hexdigest()
        send(place, "conversations", event, **gzip)
    headers = [(f"header-{number}", b"v" * 50_000) for number in range(200)]
    send(place, "customer-updates", {**place.event("headers"), "occurred_at": "x"}, headers=headers, **gzip)
    place.update("after")

    growth_mb = read_memory_mb(worker, "VmHWM") - before_mb
    assert place.decisions("before") == place.decisions("after") == [WITHHELD]
    for customer in ("large", "huge"):
        (letter,) = find_letters(place, customer)
        assert (letter.header("holdfast_reason"), letter.header("holdfast_truncated")) == ("too_large", "value")
        assert letter.header("holdfast_sha256") == digests[customer]
        assert len(letter.value or b"") == 65_536
    (bomb,) = [each for each in place.see("dead-letters") if each.key is None]
    assert bomb.header("holdfast_truncated") == "value"
    (cut,) = find_letters(place, "headers")
    assert (cut.header("holdfast_reason"), cut.header("holdfast_truncated")) == ("invalid_event", "headers")
    wait_until(lambda: place.ask_ledger("SELECT count(*) FROM outbox WHERE sent_at IS NULL") == [(0,)])
    assert growth_mb < GROWTH_MB


@pytest.mark.usefixtures("worker")
def test_a_truncated_dead_letter_is_not_requeued(place: Workplace) -> None:
    """Its beginning alone would be another record."""
    send(
        place,
        "conversations",
        place.event("cut", "conversation.message", role="customer", text="x" * 300_000),
    )
    place.settle()
    (letter,) = find_letters(place, "cut")
    refused = place.holdfast("dead-letters", "requeue", letter.header("holdfast_dead_letter_id"))
    assert refused.returncode == 2
    assert "holds only the beginning of a record of" in refused.stderr
    assert "its producer must send it again" in refused.stderr
    assert len(find_letters(place, "cut")) == 1
