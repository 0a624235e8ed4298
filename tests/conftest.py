"""Fixtures for every test. Nothing is started until a test asks for it."""

from __future__ import annotations

import itertools
import secrets
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
import redis
from psycopg import sql

from console.embedded.redis import DATABASES
from console.embedded.services import EmbeddedServices

if TYPE_CHECKING:
    from collections.abc import Iterator

    from console.embedded.services import Endpoints

# Database 0 is left to those who take the endpoint as it is.
_redis_databases = itertools.cycle(range(1, DATABASES))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as journeys what lies in tests/journey, and whatever else needs the services."""
    for item in items:
        in_folder = "journey" in item.path.parts
        if in_folder or "services" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.journey)


@pytest.fixture(scope="session")
def services() -> Iterator[EmbeddedServices]:
    """Kafka, Redis and PostgreSQL, started by the first test that asks and shared by all.

    A test that stops or pauses a service starts or resumes it before it ends.
    """
    with _lend_folder() as folder, EmbeddedServices(folder) as running:
        yield running


@pytest.fixture
def data_folder() -> Iterator[Path]:
    """A folder for services of the test's own."""
    with _lend_folder() as folder:
        yield folder


@contextmanager
def _lend_folder() -> Iterator[Path]:
    """Lend a folder outside pytest's own: that one is closed to other accounts whenever another pytest starts.

    As root, PostgreSQL runs under an account of its own, and must reach its data.
    """
    with tempfile.TemporaryDirectory(prefix="holdfast-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def endpoints(services: EmbeddedServices) -> Endpoints:
    """Where the shared services are."""
    return services.start()


@pytest.fixture
def topic_prefix() -> str:
    """A prefix for topics and consumer groups that no other test has."""
    return f"t{secrets.token_hex(4)}."


@pytest.fixture
def ledger_url(endpoints: Endpoints) -> Iterator[str]:
    """An empty database for the ledger, dropped after the test."""
    yield from _lend_database(endpoints.ledger_url)


@pytest.fixture
def warehouse_url(endpoints: Endpoints) -> Iterator[str]:
    """An empty database for the warehouse, dropped after the test."""
    yield from _lend_database(endpoints.warehouse_url)


@pytest.fixture
def redis_url(endpoints: Endpoints) -> Iterator[str]:
    """An empty logical database of Redis, emptied again after the test."""
    url = f"{endpoints.redis_url.rpartition('/')[0]}/{next(_redis_databases)}"
    with redis.Redis.from_url(url) as client:
        client.flushdb()
        yield url
        client.flushdb()


def _lend_database(url: str) -> Iterator[str]:
    """Create a database beside the one at `url`, lend it, and drop it however many clients it has."""
    server, _, name = url.rpartition("/")
    own = f"{name}_{secrets.token_hex(4)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(own)))
    yield f"{server}/{own}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(own)))
