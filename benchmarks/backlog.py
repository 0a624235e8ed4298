"""Measures a worker's memory while a backlog waits and while it drains: `python -m benchmarks.backlog`.

Starts its own services. A million events wait, every ledger response is delayed by a tenth of a second, and the
worker's resident memory is sampled; then the delay ends until everything is decided. The last line is a JSON object.
BACKLOG_EVENTS (number of events) and BACKLOG_SLOW_S (seconds with the delay) change the size.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psycopg
from confluent_kafka import Producer

from console.demo.worker_process import WorkerProcess
from console.embedded.services import EmbeddedServices
from streams.kafka.topics import create_missing_topics
from streams.settings import load_settings
from tests.faults.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

EVENTS = int(os.environ.get("BACKLOG_EVENTS", "1000000"))
SLOW_S = float(os.environ.get("BACKLOG_SLOW_S", "120"))
SAMPLE_S = 2.0
CUSTOMERS = 2_000
PARTITIONS = 4
PADDING = "x" * 300
PRODUCER_QUEUE = 50_000
DELAY_S = 0.05
"""Delay added to the ledger connection in each direction."""
VIEW = """
CREATE TABLE customer_features_view AS
SELECT 'c' || n AS customer_id, 5 AS days_since_last_transaction, 100.0::float8 AS total_revenue,
       4 AS transaction_count, true AS email_consent, 'email' AS preferred_channel
  FROM generate_series(0, %(customers)s - 1) AS n
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample: seconds since sampling began, resident memory of the worker, events decided since it started."""

    at: float
    memory_mb: float
    events: int


def main() -> None:
    """Run the measurement and print the report."""
    with tempfile.TemporaryDirectory(prefix="holdfast-") as folder, EmbeddedServices(Path(folder)) as services:
        environment = {**services.start().as_environment(), "ML_MOCK_MODE": "true"}
        prepare(environment)
        with Proxy(urlsplit(environment["HOLDFAST_LEDGER_URL"]).port or 0) as proxy:
            led = {"HOLDFAST_LEDGER_URL": proxy.lead(environment["HOLDFAST_LEDGER_URL"])}
            worker = WorkerProcess(environment | led, Path(folder) / "worker.log")
            try:
                report = measure(worker, proxy, environment["HOLDFAST_BROKER"])
            finally:
                worker.stop()
    sys.stdout.write(json.dumps(report) + "\n")


def prepare(environment: Mapping[str, str]) -> None:
    """Create the topics and the warehouse view."""
    settings = load_settings(broker=environment["HOLDFAST_BROKER"])
    create_missing_topics(settings, partitions=PARTITIONS, replication=1)
    with psycopg.connect(environment["HOLDFAST_WAREHOUSE_URL"]) as warehouse:
        psycopg.ClientCursor(warehouse).execute(VIEW, {"customers": CUSTOMERS})


def measure(worker: WorkerProcess, proxy: Proxy, broker: str) -> dict[str, Any]:
    """Measure with a slow ledger, then without the delay until the backlog is drained; return the report."""
    worker.wait_until_ready()
    proxy.delay(DELAY_S)
    produce(broker, "customer-updates", EVENTS)
    slow = list(sample(worker, lambda each: each.at >= SLOW_S))
    proxy.heal()
    fast = list(sample(worker, lambda each: each.events >= EVENTS))
    steady = slow[len(slow) // 4 :]
    return {
        "events": EVENTS,
        "decided_while_slow": slow[-1].events,
        "seconds_slow": slow[-1].at,
        "seconds_to_work_off": fast[-1].at,
        "memory_mb_early": steady[0].memory_mb,
        "memory_mb_late": steady[-1].memory_mb,
        "memory_mb_most": max(each.memory_mb for each in (*slow, *fast)),
        "slow": [asdict(each) for each in slow[:: max(1, len(slow) // 12)]],
        "fast": [asdict(each) for each in fast[:: max(1, len(fast) // 12)]],
    }


def produce(broker: str, topic: str, events: int) -> None:
    """Write this many small events, cycling through the customers."""
    producer = Producer({"bootstrap.servers": broker, "linger.ms": 20, "partitioner": "murmur2_random"})
    for number in range(events):
        producer.poll(0)
        customer = f"c{number % CUSTOMERS}"
        event = {
            "id": f"b{number}",
            "type": "customer.updated",
            "customer_id": customer,
            "occurred_at": "2011-06-01T00:00:00Z",
            "attributes": {"padding": PADDING},
        }
        while len(producer) > PRODUCER_QUEUE:
            producer.poll(0.05)
        producer.produce(topic, json.dumps(event).encode(), customer)
    producer.flush()


def sample(worker: WorkerProcess, until: Callable[[Sample], bool]) -> Iterator[Sample]:
    """Yield a sample every two seconds, up to the first one for which `until` is true."""
    began = time.monotonic()
    while True:
        worker.check_alive()
        figures = worker.read_figures()
        taken = Sample(round(time.monotonic() - began, 1), round(figures.memory_mb, 1), figures.events)
        yield taken
        if until(taken):
            return
        time.sleep(SAMPLE_S)


if __name__ == "__main__":
    main()
