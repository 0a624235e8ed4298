"""The whole job on a backlog: one worker, Kafka, Redis and PostgreSQL on the same cores.

    python -m benchmarks.whole_job [--events N] [--customers N] [--rules N] [--campaigns N]

The worker starts on full topics; a tenth of the events warm it up before the clock starts.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import psycopg
from confluent_kafka import Consumer, KafkaException, TopicPartition
from psycopg import sql

from benchmarks.processes import cpu_seconds, resident_mib
from benchmarks.workload import PARTITIONS, Size, fill_warehouse, produce, write_definitions
from console.embedded.services import EmbeddedServices
from streams.settings import INPUT_TOPICS, OUTPUT_TOPICS
from streams.topics import create_topics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from console.embedded.services import Endpoints

ROOT = Path(__file__).parents[1]
MODELS = ROOT / "examples" / "online_retail" / "models"
COUNTS = """
    SELECT (SELECT count(*) FROM outbox WHERE destination = 'campaign_triggers'), (SELECT count(*) FROM decision),
           (SELECT count(*) FROM membership), (SELECT count(*) FROM outbox WHERE sent_at IS NULL)
"""
WARM_UP = 0.1
POLL_S = 0.05


@dataclass(slots=True)
class Place:
    """Databases, topics and definitions of one measurement, on services that are warm."""

    services: EmbeddedServices
    endpoints: Endpoints
    size: Size
    folder: Path
    warehouse_url: str
    name: str = field(default_factory=lambda: f"b{secrets.token_hex(3)}")
    events: int = 0

    @property
    def prefix(self) -> str:
        """What the topics' names begin with."""
        return f"{self.name}."

    def fill(self) -> None:
        """Create topics and write all events."""
        topics = [self.prefix + topic for topic in (*INPUT_TOPICS, *OUTPUT_TOPICS.values())]
        create_topics(self.endpoints.broker, topics, PARTITIONS)
        self.events = produce(self.endpoints.broker, self.prefix, self.size)

    def environment(self, ledger_url: str) -> dict[str, str]:
        """Return a worker's settings."""
        return {
            **self.endpoints.as_environment(),
            "HOLDFAST_LEDGER_URL": ledger_url,
            "HOLDFAST_WAREHOUSE_URL": self.warehouse_url,
            "HOLDFAST_DEFINITIONS_DIR": str(self.folder / "definitions"),
            "HOLDFAST_MODELS_DIR": str(MODELS),
            "HOLDFAST_GROUP": f"{self.prefix}group",
            "HOLDFAST_TOPIC_PREFIX": self.prefix,
            "HOLDFAST_HEALTH_PORT": "0",
        }


@contextmanager
def open_place(services: EmbeddedServices, size: Size) -> Iterator[Place]:
    """Yield a place with a filled warehouse and definitions."""
    endpoints = services.start()
    with tempfile.TemporaryDirectory() as folder, lend_database(endpoints.warehouse_url) as warehouse:
        fill_warehouse(warehouse, size)
        write_definitions(Path(folder) / "definitions", size)
        yield Place(services, endpoints, size, Path(folder), warehouse)


@contextmanager
def lend_database(url: str) -> Iterator[str]:
    """Create a database beside the one at `url`, and drop it afterwards."""
    server, _, _ = url.rpartition("/")
    name = f"b{secrets.token_hex(4)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield f"{server}/{name}"
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def measure(place: Place, *, command: tuple[str, ...] = ("-m", "streams")) -> dict[str, Any]:
    """Let one worker empty the topics and return what it took."""
    committed = Committed(place)
    with lend_database(place.endpoints.ledger_url) as ledger_url:
        log = place.folder / f"{place.name}.log"
        with log.open("wb") as output:
            environment = os.environ | place.environment(ledger_url)
            worker = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, *command], cwd=ROOT, env=environment, stdout=output, stderr=output
            )
        try:
            return _watch(place, worker, committed, ledger_url)
        finally:
            worker.kill()
            worker.wait()
            committed.close()


def _watch(place: Place, worker: subprocess.Popen[bytes], committed: Committed, ledger_url: str) -> dict[str, Any]:
    pids = {"worker": worker.pid, **place.services.find_pids()}
    first = committed.wait_for(int(place.events * WARM_UP), worker)
    began, cpu = time.perf_counter(), cpu_seconds(pids)
    last = committed.wait_for(place.events, worker)
    seconds = time.perf_counter() - began
    spent = {name: each - cpu[name] for name, each in cpu_seconds(pids).items()}
    memory = resident_mib(worker.pid)
    worker.send_signal(signal.SIGTERM)
    worker.wait(30)
    events = last - first
    with psycopg.connect(ledger_url) as ledger:
        counts = ledger.execute(COUNTS).fetchone()
    return {
        "events": events,
        "seconds": round(seconds, 2),
        "events_per_s": round(events / seconds),
        "cpu_us_per_event": {name: round(each / events * 1e6, 2) for name, each in spent.items()},
        "rss_mib": round(memory),
        **dict(zip(("triggers", "decisions", "memberships", "unsent"), counts or (), strict=True)),
    }


class Committed:
    """How much of the input the worker's group has committed."""

    def __init__(self, place: Place) -> None:
        group = f"{place.prefix}group"
        self._client = Consumer({"bootstrap.servers": place.endpoints.broker, "group.id": group, "log_level": 0})
        topics = [place.prefix + topic for topic in INPUT_TOPICS]
        self._places = [TopicPartition(topic, number) for topic in topics for number in range(PARTITIONS)]

    def count(self) -> int:
        """Return the number of records committed; 0 while the broker has not yet found who keeps the group."""
        try:
            return sum(max(place.offset, 0) for place in self._client.committed(self._places, timeout=20))
        except KafkaException:
            return 0

    def wait_for(self, count: int, worker: subprocess.Popen[bytes]) -> int:
        """Wait until so many are committed, and return how many are then."""
        while (found := self.count()) < count:
            if worker.poll() is not None:
                sys.exit(f"the worker ended with exit code {worker.returncode}; see its log")
            time.sleep(POLL_S)
        return found

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


@click.command()
@click.option("--events", default=400_000, show_default=True)
@click.option("--customers", default=100_000, show_default=True)
@click.option("--rules", default=100, show_default=True)
@click.option("--campaigns", default=20, show_default=True)
@click.option("--rounds", default=1, show_default=True)
def main(events: int, customers: int, rules: int, campaigns: int, rounds: int) -> None:
    """Measure and print one JSON object a round."""
    size = Size(events, customers, rules, campaigns)
    with tempfile.TemporaryDirectory(prefix="holdfast-") as data, EmbeddedServices(Path(data)) as services:
        for _ in range(rounds):
            with open_place(services, size) as place:
                place.fill()
                click.echo(json.dumps(measure(place)))


if __name__ == "__main__":
    main()
