"""An environment for a worker: its own topics, ledger, small warehouse and definitions."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import psycopg
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType  # type: ignore[attr-defined]  # exported unsaid
from psycopg import sql

from campaigns.migrations import migrate
from console.demo.worker_process import WorkerProcess
from tests.forked_process import ForkedProcess, run_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from console.embedded.services import Endpoints

TIMEOUT_S = 45.0
PARTITIONS = 2
# The time of the first event: triggers of old events would have expired.
BEGIN = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
INPUTS = ("customer-updates", "conversations", "outcomes", "evaluations")
SCHEMA = """
CREATE TABLE IF NOT EXISTS customer_features_view (
    customer_id text PRIMARY KEY, days_since_last_transaction integer NOT NULL, total_revenue double precision NOT NULL,
    transaction_count integer NOT NULL, avg_transaction_value double precision NOT NULL,
    lifetime_value double precision NOT NULL, email_consent boolean NOT NULL, preferred_channel text,
    email text DEFAULT 'private@example.org', birth_date date DEFAULT '1971-02-03')
"""
SEGMENTS: dict[str, Any] = {
    "lapsing": {">": [{"var": "days_since_last_transaction"}, 60]},
    "angry": {"and": [{"!=": [{"var": "sentiment_score"}, None]}, {"<": [{"var": "sentiment_score"}, -0.3]}]},
    "big-spenders": {">=": [{"var": "total_revenue"}, 1000]},
}
CAMPAIGNS: dict[str, tuple[str, str]] = {
    "win-back": ("lapsing", "on_enter"),
    "make-good": ("angry", "on_enter"),
    "thank-you": ("big-spenders", "by_operator"),
}


def fork_worker(environment: Mapping[str, str], log: Path) -> ForkedProcess:
    """Start a worker."""
    return ForkedProcess(run_command, ["worker"], environment, log)


@dataclass(frozen=True, slots=True)
class Seen:
    """A record that a read_committed consumer saw."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]

    @property
    def body(self) -> dict[str, Any]:
        """The value as JSON."""
        return dict(json.loads(self.value or b"{}"))

    def header(self, name: str) -> str:
        """The last header of that name, as text."""
        return (dict(self.headers)[name] or b"").decode()


@dataclass(slots=True)
class Workplace:
    """The inputs of one worker, and its visible results."""

    environment: Mapping[str, str]
    folder: Path
    prefix: str
    sent: int = 0
    _workers: list[WorkerProcess] = field(default_factory=list)
    _producer: Producer = field(init=False)

    def __post_init__(self) -> None:
        self._producer = Producer(
            {"bootstrap.servers": self.broker, "partitioner": "murmur2_random", "message.max.bytes": 2_000_000}
        )

    @property
    def broker(self) -> str:
        """Address of Kafka."""
        return self.environment["HOLDFAST_BROKER"]

    def holdfast(
        self, *arguments: str, timeout_s: float = TIMEOUT_S, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the command to its end."""
        name = f"command-{secrets.token_hex(4)}"  # two may run at once
        printed, errors = self.folder / f"{name}.out", self.folder / f"{name}.err"
        settings = {**os.environ, **self.environment, **environment}
        code = ForkedProcess(run_command, arguments, settings, printed, errors).wait(timeout_s)
        return subprocess.CompletedProcess(arguments, code, printed.read_text(), errors.read_text())

    def do(self, *arguments: str) -> str:
        """Run a command that must succeed, and return what it prints."""
        done = self.holdfast(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start_worker(self) -> WorkerProcess:
        """Start a worker and return it when it is ready."""
        worker = WorkerProcess(self.environment, self.folder / f"worker-{len(self._workers)}.log", fork_worker)
        self._workers.append(worker)
        worker.wait_until_ready()
        return worker

    def set_customer(self, customer_id: str, *, days: int = 5, revenue: float = 100.0, consent: bool = True) -> None:
        """Write a customer's row in the warehouse."""
        self.set_customers([customer_id], days=days, revenue=revenue, consent=consent)

    def set_customers(
        self, customer_ids: Sequence[str], *, days: int = 5, revenue: float = 100.0, consent: bool = True
    ) -> None:
        """Write the same row for many customers."""
        with psycopg.connect(self.environment["HOLDFAST_WAREHOUSE_URL"]) as warehouse:
            warehouse.execute(
                """INSERT INTO customer_features_view
                   SELECT id, %s, %s, 4, 25.0, 100.0, %s, 'email' FROM unnest(%s::text[]) AS t (id)
                   ON CONFLICT (customer_id) DO UPDATE SET
                   days_since_last_transaction = excluded.days_since_last_transaction,
                   total_revenue = excluded.total_revenue, email_consent = excluded.email_consent""",
                [days, revenue, consent, list(customer_ids)],
            )

    def event(self, customer_id: str, kind: str = "customer.updated", **more: Any) -> dict[str, Any]:
        """Return an event with a unique id."""
        self.sent += 1
        at = BEGIN + timedelta(seconds=self.sent)
        return {"id": f"e{self.sent}", "type": kind, "customer_id": customer_id, "occurred_at": at.isoformat(), **more}

    def publish(self, topic: str, *events: dict[str, Any]) -> None:
        """Publish events keyed by customer, and wait for the broker's acknowledgements."""
        for event in events:
            key = event["customer_id"].encode()
            self._producer.produce(self.prefix + topic, key=key, value=json.dumps(event).encode())
            self._producer.poll(0)
        self._producer.flush()

    def publish_bytes(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes | None]] = ()
    ) -> None:
        """Publish a record unchanged, on partition 0."""
        self._producer.produce(self.prefix + topic, key=key, value=value, headers=list(headers), partition=0)
        self._producer.flush()

    def update(self, *customer_ids: str) -> None:
        """Publish updates of these customers, and wait until the worker has acknowledged them."""
        self.publish("customer-updates", *(self.event(customer_id) for customer_id in customer_ids))
        self.settle()

    def settle(self) -> None:
        """Wait until the workers' group has committed all published records."""
        places = [TopicPartition(self.prefix + topic, number) for topic in INPUTS for number in range(PARTITIONS)]
        client = Consumer({"bootstrap.servers": self.broker, "group.id": self.environment["HOLDFAST_GROUP"]})

        def is_done() -> bool:
            self._workers[-1].check_alive()
            # Beyond, where due customers were evaluated meanwhile.
            committed = client.committed(places, timeout=10)
            return all(max(each.offset, 0) >= end for each, end in zip(committed, ends, strict=True))

        try:
            ends = [client.get_watermark_offsets(place, timeout=10)[1] for place in places]
            wait_until(is_done)
        finally:
            client.close()

    def see(self, topic: str) -> list[Seen]:
        """Return all records of an outgoing topic that a read_committed consumer sees."""
        return read_committed(self.broker, self.prefix + topic)

    def triggers(self, customer_id: str) -> list[dict[str, Any]]:
        """Return the triggers published for a customer."""
        return [each.body for each in self.see("campaign-triggers") if each.key == customer_id.encode()]

    def decisions(self, customer_id: str) -> list[tuple[str, str, str]]:
        """Return (campaign, outcome, reason) of a customer's decisions on their topic, in order."""
        bodies = [each.body for each in self.see("decisions") if each.key == customer_id.encode()]
        return [(body["campaign"], body["outcome"], body["reason"]) for body in bodies]

    def ask_ledger(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query to the ledger."""
        with psycopg.connect(self.environment["HOLDFAST_LEDGER_URL"]) as ledger:
            return ledger.execute(query.encode()).fetchall()


def wait_until(condition: Callable[[], bool], pause_s: float = 0.05) -> None:
    """Return when the condition holds; fail after a timeout."""
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(pause_s)


def read_committed(broker: str, topic: str) -> list[Seen]:
    """Return every committed record of a topic, partition by partition."""
    properties = {"bootstrap.servers": broker, "group.id": "reader", "isolation.level": "read_committed"}
    consumer = Consumer(
        {**properties, "enable.partition.eof": True, "enable.auto.commit": False, "fetch.wait.max.ms": 10}
    )
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
        return list(_drain(consumer, len(partitions)))
    finally:
        consumer.close()


def set_topic(broker: str, topic: str, name: str, value: object) -> None:
    """Change a topic's configuration, as kafka-configs.sh does."""
    entry = ConfigEntry(name, str(value), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    client = AdminClient({"bootstrap.servers": broker})
    for done in client.incremental_alter_configs([resource]).values():
        done.result()


def _drain(consumer: Consumer, partitions: int) -> Iterator[Seen]:
    ended = 0
    while ended < partitions:
        for record in consumer.consume(1000, 0.05):
            if record.error() is not None:
                ended += 1
            else:
                headers: Any = record.headers() or []
                yield Seen(record.key(), record.value(), headers)


@contextmanager
def lend_database(url: str, name: str, *, template: str = "template1") -> Iterator[str]:
    """Create a database on the server of `url`, and drop it at the end even if clients are connected.

    Args:
        url: of a database there.
        name: of the new one.
        template: the database of which it is a copy; nobody may be connected to that one.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        names = map(sql.Identifier, (name, template))
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*names))
    yield f"{url.rpartition('/')[0]}/{name}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def lend_ledger(url: str) -> Iterator[str]:
    """Create a ledger with all tables and no rows on the server of `url`, and drop it at the end.

    It is a copy of one that is migrated once, because that takes longer than most tests, with secrets of its own.
    """
    with lend_database(url, f"ledger_{secrets.token_hex(4)}", template=_migrated(url)) as lent:
        with psycopg.connect(lent) as ledger:
            ledger.execute("UPDATE ledger_state SET ledger_id = DEFAULT, erasure_key = DEFAULT, digest_key = DEFAULT")
        yield lent


@cache
def _migrated(url: str) -> str:
    """Return the name of a ledger with all tables and no rows, which stays on the server of `url`."""
    name = f"template_{secrets.token_hex(4)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    migrate(f"{url.rpartition('/')[0]}/{name}")
    return name


@contextmanager
def lend_place(
    endpoints: Endpoints, folder: Path, settings: Mapping[str, str], *, is_migrated: bool = True
) -> Iterator[Workplace]:
    """Yield a workplace with a ledger, a warehouse and a prefix of its own.

    Args:
        endpoints: of the services.
        folder: for logs and what commands print.
        settings: the other environment variables; they may name another warehouse.
        is_migrated: whether the ledger has its tables.
    """
    name = secrets.token_hex(4)
    empty = lend_database(endpoints.ledger_url, f"ledger_{name}")
    with (
        lend_ledger(endpoints.ledger_url) if is_migrated else empty as ledger,
        lend_database(endpoints.warehouse_url, f"warehouse_{name}") as warehouse,
    ):
        environment = {
            **endpoints.as_environment(),
            "HOLDFAST_LEDGER_URL": ledger,
            "HOLDFAST_WAREHOUSE_URL": warehouse,
            "HOLDFAST_GROUP": f"{name}.group",
            "HOLDFAST_INSTANCE_ID": f"{name}.worker",
            "HOLDFAST_TOPIC_PREFIX": f"{name}.",
            "HOLDFAST_HEALTH_PORT": "0",
            **settings,
        }
        yield Workplace(environment, folder, f"{name}.")


def write_definitions(folder: Path) -> Path:
    """Write the segments and campaigns of this module, and return their folder."""
    (folder / "segments").mkdir(parents=True)
    (folder / "campaigns").mkdir()
    for key, rule in SEGMENTS.items():
        write_json(folder / "segments" / f"{key}.json", {"key": key, "name": key, "rule": rule})
    for key, (segment, launch) in CAMPAIGNS.items():
        write_json(folder / "campaigns" / f"{key}.json", campaign(key, segment, launch))
    offers = [{"id": number, "key": f"offer-{number}", "name": f"Offer {number}"} for number in range(1, 9)]
    write_json(folder / "campaigns" / "offers.json", offers)
    return folder


def campaign(key: str, segment: str, launch: str) -> dict[str, Any]:
    """Return a campaign's definition."""
    words = "{{ transaction_count | int }} orders so far; here is {{ offer.name }}."
    return {
        "key": key,
        "name": key,
        "segment": segment,
        "launch": launch,
        "offers": [2],
        "channels": ["email"],
        "message": words,
    }


def write_json(path: Path, content: Any) -> None:
    """Write JSON to a file."""
    path.write_text(json.dumps(content))
