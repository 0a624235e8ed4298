"""The environment of a measurement: its own databases, topics and definitions on warm services.

With an empty ledger, the first evaluation of each customer writes a row and is suppressed: with 400,000 events of
100,000 customers that would be a third of all work. So a worker first fills the ledger of a place with one event of
each customer, and every measurement begins on a copy of that ledger.
"""

from __future__ import annotations

import secrets
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql
from redis import Redis

from benchmarks.workers import Committed, run_workers
from benchmarks.workload import PARTITIONS, draw_events, fill_warehouse, first_events, produce, write_definitions
from streams.kafka.topics import create_topics
from streams.settings import INPUT_TOPICS, OUTPUT_TOPICS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.workload import Size
    from console.embedded.services import EmbeddedServices, Endpoints

ROOT = Path(__file__).parents[1]
MODELS = ROOT / "examples" / "online_retail" / "models"
# As `holdfast ledger renew` does: sequences of a copy must not be mistaken for those of the original.
NOBODY_DUE = "UPDATE evaluated SET due_at = NULL"
KNOWN_SINCE = "UPDATE evaluated SET since = since - interval '1 hour'"
"""Workers do not keep customers in the minute after their first evaluation."""
RENEW = "UPDATE ledger_state SET ledger_id = left(gen_random_uuid()::text, 8)"


def _draw_name() -> str:
    return f"b{secrets.token_hex(3)}"


@dataclass(slots=True)
class Place:
    """Databases, topics and definitions of one measurement.

    Attributes:
        warm_ledger_url: a ledger with a first evaluation of every customer; measurements use copies of it.
        events: number of events on the input topics.
    """

    services: EmbeddedServices
    endpoints: Endpoints
    size: Size
    folder: Path
    warehouse_url: str
    warm_ledger_url: str
    name: str = field(default_factory=_draw_name)
    events: int = 0

    @property
    def prefix(self) -> str:
        """The prefix of the topic names."""
        return f"{self.name}."

    @property
    def input_topics(self) -> list[str]:
        """The full names of the topics that workers read."""
        return [self.prefix + topic for topic in INPUT_TOPICS]

    def with_new_topics(self) -> Place:
        """Return a place that shares everything with this one except the topics, which do not exist yet."""
        return replace(self, name=_draw_name(), events=0)

    def fill(self) -> None:
        """Create the topics and write all events."""
        self.create_topics()
        self.events = produce(self.endpoints.broker, self.prefix, draw_events(self.size))

    def create_topics(self) -> None:
        """Create empty topics."""
        topics = [self.prefix + topic for topic in (*INPUT_TOPICS, *OUTPUT_TOPICS.values())]
        create_topics(self.endpoints.broker, topics, PARTITIONS)

    @contextmanager
    def lend_ledger(self, *, due: bool = True) -> Iterator[str]:
        """Copy the warm ledger, with or without the customers' due times, and drop the copy afterwards."""
        with lend_database(self.warm_ledger_url, template=True) as url:
            with psycopg.connect(url) as ledger:
                ledger.execute(RENEW)
                if not due:
                    ledger.execute(NOBODY_DUE)
            yield url

    def environment(self, ledger_url: str, group: str) -> dict[str, str]:
        """Return the settings of a worker."""
        return {
            **self.endpoints.as_environment(),
            "HOLDFAST_LEDGER_URL": ledger_url,
            "HOLDFAST_WAREHOUSE_URL": self.warehouse_url,
            "HOLDFAST_DEFINITIONS_DIR": str(self.folder / "definitions"),
            "HOLDFAST_MODELS_DIR": str(MODELS),
            "HOLDFAST_GROUP": group,
            "HOLDFAST_TOPIC_PREFIX": self.prefix,
            "HOLDFAST_HEALTH_PORT": "0",
            "HOLDFAST_WITHHOLD_EXPIRED": "false",
            # The events are from 2011: by the clock everybody would be due at once.
            "HOLDFAST_DUE_CLOCK": "events",
        }

    def live_environment(self, ledger_url: str, group: str) -> dict[str, str]:
        """Return the settings of a worker that decides live events.

        They are of today, years after the others: by their time everybody would become due again and again. The ledger
        must be without due times.
        """
        # With the clock of production: by the time of events a worker looks for due customers a hundred times a second.
        nobody_due = {"HOLDFAST_RECHECK_DAYS": "0", "HOLDFAST_DAY_COLUMNS": "", "HOLDFAST_DUE_CLOCK": "wall"}
        return {**self.environment(ledger_url, group), **nobody_due}


@contextmanager
def open_place(services: EmbeddedServices, size: Size) -> Iterator[Place]:
    """Yield a place with a filled warehouse, definitions and a warm ledger."""
    endpoints = services.start()
    with (
        tempfile.TemporaryDirectory() as folder,
        lend_database(endpoints.warehouse_url) as warehouse,
        lend_database(endpoints.ledger_url) as ledger,
        Redis.from_url(endpoints.redis_url) as redis,
    ):
        redis.flushall()
        fill_warehouse(warehouse, size)
        write_definitions(Path(folder) / "definitions", size)
        place = Place(services, endpoints, size, Path(folder), warehouse, ledger)
        _warm(place)
        yield place


@contextmanager
def lend_database(url: str, *, template: bool = False) -> Iterator[str]:
    """Create a database on the server of `url`, with `template` as a copy of it, and drop it afterwards."""
    server, _, original = url.rpartition("/")
    name = f"b{secrets.token_hex(4)}"
    create = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
    if template:
        create += sql.SQL(" TEMPLATE {}").format(sql.Identifier(original))
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(create)
        try:
            yield f"{server}/{name}"
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _warm(place: Place) -> None:
    """Let a worker evaluate every customer once, on separate topics."""
    rehearsal = place.with_new_topics()
    rehearsal.create_topics()
    count = produce(place.endpoints.broker, rehearsal.prefix, first_events(place.size))
    group = f"{rehearsal.prefix}group"
    committed = Committed(place.endpoints.broker, group, rehearsal.input_topics)
    environment = rehearsal.environment(place.warm_ledger_url, group)
    with run_workers(environment, place.folder / "warm.log") as workers:
        committed.wait_for(count, workers)
    committed.close()
    with psycopg.connect(place.warm_ledger_url, autocommit=True) as ledger:
        ledger.execute(KNOWN_SINCE)
        # FULL: the update has left every row there twice.
        ledger.execute("VACUUM FULL ANALYZE")
