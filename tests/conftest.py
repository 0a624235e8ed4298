"""Fixtures for all tests. Services start only when a test requests them."""

from __future__ import annotations

import itertools
import os
import secrets
import signal
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
from tests import examples

if TYPE_CHECKING:
    from collections.abc import Iterator

    from console.embedded.services import Endpoints

# Before the profile that the command line names is loaded.
examples.register_profiles()

# Kafka runs for a quarter of an hour at most, in which its second compiler would cost more than it gains.
os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")

# Database 0 is reserved for clients that use the endpoint unchanged.
_redis_databases = itertools.cycle(range(1, DATABASES))


def pytest_configure() -> None:
    """Let tests interrupt commands: a shell has SIGINT ignored in the background, which every process inherits."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests in tests/journey, and all tests that need the services, as journeys."""
    for item in items:
        in_folder = "journey" in item.path.parts
        if in_folder or "services" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.journey)


@pytest.fixture(scope="session")
def services() -> Iterator[EmbeddedServices]:
    """Kafka, Redis and PostgreSQL, started by the first test that requests them and shared by all.

    A test that stops or pauses a service must start or resume it before it ends.
    """
    # Debezium reads the logical log.
    with _lend_folder() as folder, EmbeddedServices(folder, postgres_settings={"wal_level": "logical"}) as running:
        yield running


@pytest.fixture
def data_folder() -> Iterator[Path]:
    """A folder for dedicated services of a test."""
    with _lend_folder() as folder:
        yield folder


@contextmanager
def _lend_folder() -> Iterator[Path]:
    """Yield a folder outside pytest's: another pytest run closes that one to other accounts.

    As root, PostgreSQL runs under its own account, which must be able to read its data.
    """
    with tempfile.TemporaryDirectory(prefix="holdfast-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def endpoints(services: EmbeddedServices) -> Endpoints:
    """The addresses of the shared services."""
    return services.start()


@pytest.fixture
def topic_prefix() -> str:
    """A unique prefix for topics and consumer groups."""
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
    """Create a database on the server of `url`, yield its URL, and drop it even if clients are connected."""
    server, _, name = url.rpartition("/")
    own = f"{name}_{secrets.token_hex(4)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(own)))
    yield f"{server}/{own}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(own)))
