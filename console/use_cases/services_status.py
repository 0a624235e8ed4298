"""The services of a deployment: whether each answers, its version, and how fast."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp
import psycopg

from features.redis_server import inspect_redis
from features.warehouses import POSTGRESQL, opened
from streams.errors import RegistryUnavailableError
from streams.kafka.group_inspection import GroupInspector
from streams.warehouse import find_warehouse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from streams.settings import Settings

CONNECT_S = 2
"""libpq's shortest limit."""
WITHOUT: Mapping[str, str] = {
    "Kafka": "no event is read and no trigger is published; both wait",
    "ledger": "nothing is decided; events wait in Kafka",
    "warehouse": "customers who are not cached cannot be read; events wait in Kafka",
    "Redis": "features are read from the warehouse, which is slower; decisions are the same",
    "schema registry": "records with a schema that is not known yet wait",
}
"""What it means that a service is away."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a service.

    Attributes:
        version: what it says of its version; empty where it says nothing.
        seconds: a round trip.
    """

    version: str
    seconds: float


def service_readers(settings: Settings, *, timeout_s: float) -> Mapping[str, Callable[[], Answer]]:
    """Return what asks each service, by its name.

    Args:
        settings: where they are.
        timeout_s: the longest wait for an answer.
    """
    readers: dict[str, Callable[[], Answer]] = {
        "Kafka": partial(_ask_kafka, settings, timeout_s),
        "ledger": partial(_ask_postgres, settings.ledger_url, "HOLDFAST_LEDGER_URL"),
        "warehouse": partial(_ask_warehouse, settings),
        "Redis": partial(_ask_redis, settings, timeout_s),
    }
    if settings.schema_registry_url is not None:
        readers["schema registry"] = partial(_ask_registry, settings.schema_registry_url, timeout_s)
    return readers


def find_addresses(settings: Settings) -> Mapping[str, str]:
    """Return the address of each service, without user and password."""
    return {
        "Kafka": settings.broker,
        "ledger": _locate(settings.ledger_url),
        "warehouse": _locate(settings.warehouse_url),
        "Redis": _locate(settings.redis_url),
        "schema registry": _locate(settings.schema_registry_url or ""),
    }


def _locate(url: str) -> str:
    if "@" not in url and "://" not in url:
        return url
    parts = urlsplit(url)
    return f"{parts.netloc.rpartition('@')[2]}{parts.path}"


def _ask_kafka(settings: Settings, timeout_s: float) -> Answer:
    # Kafka does not say its version to clients.
    brokers, seconds = GroupInspector(settings, timeout_s=timeout_s).measure()
    return Answer(f"{brokers} broker{'' if brokers == 1 else 's'}", seconds)


def _ask_postgres(url: str, setting: str) -> Answer:
    try:
        with psycopg.connect(url, connect_timeout=CONNECT_S, autocommit=True) as connection:
            (version,) = connection.execute("SHOW server_version").fetchall()[0]
            begun = time.monotonic()
            connection.execute("SELECT 1")
            return Answer(f"PostgreSQL {str(version).split()[0]}", time.monotonic() - begun)
    except psycopg.OperationalError as error:
        raise psycopg.OperationalError(f"{setting}: {str(error).strip().splitlines()[0]}") from error


def _ask_warehouse(settings: Settings) -> Answer:
    scheme = settings.warehouse_url.partition(":")[0]
    if scheme in POSTGRESQL:
        return _ask_postgres(settings.warehouse_url, "HOLDFAST_WAREHOUSE_URL")

    async def ask() -> Answer:
        async with opened(find_warehouse(settings)) as warehouse:
            begun = time.monotonic()
            await warehouse.fetch([])
            return Answer(scheme, time.monotonic() - begun)

    return asyncio.run(ask())


def _ask_redis(settings: Settings, timeout_s: float) -> Answer:
    server = asyncio.run(inspect_redis(settings.redis_url, timeout_s=timeout_s, ca_file=settings.redis_ca_file))
    return Answer(f"Redis {server.version}" if server.version else "", server.seconds)


def _ask_registry(url: str, timeout_s: float) -> Answer:
    async def ask() -> Answer:
        begun = time.monotonic()
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(f"{url.rstrip('/')}/schemas/types") as answer,
            ):
                answer.raise_for_status()
        except (aiohttp.ClientError, TimeoutError) as error:
            # Not the error itself, which may quote the password in the URL.
            raise RegistryUnavailableError(
                f"HOLDFAST_SCHEMA_REGISTRY_URL: the registry does not answer ({type(error).__name__})"
            ) from None
        return Answer("", time.monotonic() - begun)

    return asyncio.run(ask())
