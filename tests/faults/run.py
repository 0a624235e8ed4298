"""One run of an input: its own topics and ledger, worker processes, and the outcome."""

from __future__ import annotations

import json
import os
import secrets
import signal
import time
import urllib.request
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.error import HTTPError

import psycopg
from confluent_kafka import ConsumerGroupState, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from streams.kafka.topics import create_missing_topics
from streams.settings import load_settings
from tests.faults.oracle import Progress, collect
from tests.faults.scenario import PARTITIONS
from tests.faults.worker_with_faults import run_with_faults
from tests.forked_process import ForkedProcess
from tests.journey.workplace import lend_database, lend_ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import TracebackType

    from confluent_kafka import TopicPartition

    from console.embedded.services import Endpoints
    from tests.faults.oracle import Outcome
    from tests.faults.scenario import InputRecord

SILENT = "SELECT count(*) FROM membership WHERE segment = 'silent' AND is_member"
TIMEOUT_S = 180.0
BATCH_EVENTS = 40
SESSION_S = 6
"""The minimum that the broker's defaults allow."""


@dataclass(slots=True)
class WorkerProcess:
    """A worker process and its log."""

    process: ForkedProcess
    log: Path

    def signal(self, number: int) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def wait(self) -> int:
        """Wait until it ends, and return its exit code."""
        return self.process.wait(TIMEOUT_S)

    def end(self) -> None:
        """Kill the process if it still runs."""
        self.process.kill()
        self.process.wait()

    def is_running(self) -> bool:
        """Return whether the process has not ended."""
        return self.process.poll() is None

    def is_frozen(self) -> bool:
        """Return whether a signal has stopped the process."""
        try:
            state = Path(f"/proc/{self.process.pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):  # it has just ended
            return False
        return state.rpartition(")")[2].split()[0] == "T"

    def said(self, event: str) -> list[dict[str, Any]]:
        """Return the log entries of this event."""
        lines = (line for line in self.log.read_text().splitlines() if f'"{event}"' in line and line.endswith("}"))
        return [said for said in map(json.loads, lines) if said["event"] == event]

    def ask(self, path: str) -> str:
        """Return the response of a path on the health port, whatever the status; empty while it does not listen."""
        starts = self.said("worker_starting")
        if not starts:
            return ""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{starts[0]['health_port']}{path}", timeout=20) as answer:
                return str(answer.read().decode())
        except HTTPError as answer:
            with answer:
                return str(answer.read().decode())

    def is_live(self, *, seconds: float = 2.0) -> bool:
        """Return whether the liveness probe succeeds in time; a worker that does not listen yet counts as starting."""
        starts = self.said("worker_starting")
        if not starts:
            return True
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{starts[0]['health_port']}/health/live", timeout=seconds):
                return True
        except OSError:
            return False

    def faults(self) -> list[str]:
        """Return the faults that have happened in the process."""
        return [line.split()[1] for line in self.log.read_text().splitlines() if line.startswith("FAULT ")]

    def tail(self) -> str:
        """Return the end of the log, for error messages."""
        return self.log.read_text()[-3000:]


@dataclass(slots=True)
class World:
    """Environment shared by runs: services, warehouse and definitions."""

    endpoints: Endpoints
    warehouse_url: str
    definitions: Path
    logs: Path
    _started: int = 0

    def start_worker(self, environment: Mapping[str, str]) -> WorkerProcess:
        """Start a worker with faults."""
        self._started += 1
        log = self.logs / f"worker-{self._started}.log"
        return WorkerProcess(ForkedProcess(run_with_faults, (), {**os.environ, **environment}, log), log)


@dataclass(slots=True)
class Run:
    """Dedicated topics, consumer group and ledger, as a context manager that ends its workers."""

    world: World
    records: Sequence[InputRecord]
    prefix: str = field(default_factory=lambda: f"f{secrets.token_hex(4)}.")
    workers: list[WorkerProcess] = field(default_factory=list)
    ledger_url: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    """Settings of its workers that differ from the defaults."""
    is_migrated: bool = True
    """Whether the ledger has its tables before a worker starts."""
    _stack: ExitStack = field(default_factory=ExitStack)
    progress: Progress = field(init=False)
    _admin: AdminClient = field(init=False)

    def __enter__(self) -> Self:
        endpoints = self.world.endpoints
        settings = load_settings(broker=endpoints.broker, topic_prefix=self.prefix)
        create_missing_topics(settings, partitions=PARTITIONS, replication=1)
        empty = lend_database(endpoints.ledger_url, f"ledger_{self.prefix.rstrip('.')}")
        lent = lend_ledger(endpoints.ledger_url) if self.is_migrated else empty
        self.ledger_url = self._stack.enter_context(lent)
        self.progress = Progress(endpoints.broker, self.prefix, self.group)
        self._stack.callback(self.progress.close)
        self._admin = AdminClient({"bootstrap.servers": endpoints.broker, "log_level": 0})
        self._stack.callback(self._end_workers)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def group(self) -> str:
        """The workers' consumer group."""
        return f"{self.prefix}group"

    def start(self, fault: str = "", *, instance: str | None = "worker", **settings: str) -> WorkerProcess:
        """Start a worker; with the same instance id it replaces a killed worker without a rebalance."""
        worker = self.world.start_worker(
            {**self.settings(), "HOLDFAST_FAULT": fault, **self._name(instance), **settings}
        )
        self.workers.append(worker)
        return worker

    def _name(self, instance: str | None) -> dict[str, str]:
        return {"HOLDFAST_INSTANCE_ID": f"{self.prefix}{instance}"} if instance else {}

    def settings(self) -> dict[str, str]:
        """Return the settings of its workers as environment variables."""
        return {
            **self.world.endpoints.as_environment(),
            "HOLDFAST_LEDGER_URL": self.ledger_url,
            "HOLDFAST_WAREHOUSE_URL": self.world.warehouse_url,
            "HOLDFAST_DEFINITIONS_DIR": str(self.world.definitions),
            "HOLDFAST_GROUP": self.group,
            "HOLDFAST_TOPIC_PREFIX": self.prefix,
            "HOLDFAST_SESSION_TIMEOUT_S": str(SESSION_S),
            "HOLDFAST_BATCH_EVENTS": str(BATCH_EVENTS),
            "HOLDFAST_HEALTH_PORT": "0",
            "HOLDFAST_WITHHOLD_EXPIRED": "false",
            # By the clock all customers would be due at once: the events are of 2011.
            "HOLDFAST_DUE_CLOCK": "events",
            "HOLDFAST_PUBLISH_TRANSITIONS": "true",
            "ML_MOCK_MODE": "true",
            **self.environment,
        }

    def send(self) -> None:
        """Send the input."""
        send(self.world.endpoints.broker, self.prefix, self.records)

    def send_lots(self, number: int) -> Iterator[int]:
        """Send the input in this many lots, one per iteration; yield the number of records sent so far."""
        bounds = [len(self.records) * lot // number for lot in range(number + 1)]
        for begin, end in pairwise(bounds):
            send(self.world.endpoints.broker, self.prefix, self.records[begin:end])
            yield end

    def committed(self) -> int:
        """Return the number of records that the group has committed."""
        return self.progress.committed()

    def left(self) -> int:
        """Return the number of records that the group has not committed, requests of its own workers included."""
        ends = sum(place.offset for place in self.progress.ends())
        return ends - self.committed()

    def silent_found(self) -> int:
        """Return the number of customers who were found because they fell silent."""
        with psycopg.connect(self.ledger_url) as ledger, suppress(psycopg.errors.UndefinedTable):
            return int((ledger.execute(SILENT).fetchone() or (0,))[0])
        return 0

    def assignments(self) -> list[list[TopicPartition]]:
        """Return the assignment of each worker of the group; empty while the group is not stable."""
        described = self._admin.describe_consumer_groups([self.group])[self.group].result()
        members = described.members if described.state is ConsumerGroupState.STABLE else []
        return [member.assignment.topic_partitions for member in members]

    def wait_for_members(self, number: int) -> None:
        """Wait until the group has this many workers and is stable."""
        self.wait_until(lambda: len(self.assignments()) == number)

    def wait_for(self, records: int) -> None:
        """Wait until the group has committed this many records."""
        self.wait_until(lambda: self.committed() >= records)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds; fail after a timeout, or when no worker runs any more."""
        deadline = time.monotonic() + TIMEOUT_S
        while not _holds(condition):
            assert time.monotonic() < deadline, f"{self.committed()} records committed\n" + self.workers[-1].tail()
            assert any(worker.is_running() for worker in self.workers), self.workers[-1].tail()
            time.sleep(0.05)

    def finish(self) -> Outcome:
        """Wait until everything is committed, stop the running workers, and return the outcome."""
        self.wait_for(len(self.records))
        running = [worker for worker in self.workers if worker.is_running()]
        for worker in running:
            worker.signal(signal.SIGTERM)
        for worker in running:
            assert worker.wait() in (0, -signal.SIGTERM), worker.tail()
        return collect(self.world.endpoints.broker, self.prefix, self.ledger_url)

    def _end_workers(self) -> None:
        for worker in self.workers:
            worker.end()


def _holds(condition: Callable[[], bool]) -> bool:
    try:
        return condition()
    except KafkaException:  # the broker may be down
        return False


def send(broker: str, prefix: str, records: Sequence[InputRecord]) -> None:
    """Send records in order, each once."""
    producer = Producer(
        {
            "bootstrap.servers": broker,
            "enable.idempotence": True,
            "linger.ms": 5,
            "log_level": 0,
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    for record in records:
        producer.produce(prefix + record.topic, record.value, record.key, partition=record.partition)
    producer.flush()
