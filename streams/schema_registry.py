"""Schemas from a schema registry with Confluent's REST interface, fetched once each."""

from __future__ import annotations

import asyncio
import importlib.util
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import aiohttp

from streams.errors import MissingPackageError, RegistryUnavailableError
from streams.formats.schemas import RegisteredSchema, Schemas

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from streams.formats.events import Record
    from streams.runtime.batching import Batch
    from streams.runtime.retry import RetryPolicy

ANSWER_S = 5.0
_NOT_FOUND = 404


class SchemaSource(Protocol):
    """Where schemas come from."""

    async def find(self, schema_id: int) -> RegisteredSchema | None:
        """Return a schema, None where there is none with this id.

        Raises:
            RegistryUnavailableError: it cannot be reached now; retry.
        """


class SchemaRegistry:
    """A schema registry over HTTP; implements SchemaSource.

    Args:
        url: its address, with user name and password if it asks for them.
        answer_s: longest wait for an answer.
    """

    def __init__(self, url: str, *, answer_s: float = ANSWER_S) -> None:
        self._url = url.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(total=answer_s)

    async def find(self, schema_id: int) -> RegisteredSchema | None:
        """See SchemaSource."""
        try:
            async with (
                aiohttp.ClientSession(timeout=self._timeout) as session,
                session.get(f"{self._url}/schemas/ids/{schema_id}") as answer,
            ):
                if answer.status == _NOT_FOUND:
                    return None
                answer.raise_for_status()
                found: dict[str, Any] = await answer.json(content_type=None)
                kind, references = found.get("schemaType", "AVRO"), bool(found.get("references"))
                return RegisteredSchema(kind, found["schema"], references)
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError) as error:
            # Not the error itself, which may quote the password in the URL.
            status = f"HTTP {error.status}" if isinstance(error, aiohttp.ClientResponseError) else type(error).__name__
            raise RegistryUnavailableError(
                f"HOLDFAST_SCHEMA_REGISTRY_URL: the registry does not return schema {schema_id} ({status})"
            ) from None


def collect_with_schemas(
    collect: Callable[[], Awaitable[Batch]], retry: RetryPolicy, schemas: Schemas, source: SchemaSource
) -> Callable[[], Awaitable[Batch]]:
    """Return a function that collects a batch and fetches the schemas of its records, however long that takes."""

    async def collect_batch() -> Batch:
        batch = await collect()
        await retry("schema_registry", partial(load_schemas, schemas, source, batch.records))
        return batch

    return collect_batch


async def load_schemas(schemas: Schemas, source: SchemaSource, records: Sequence[Record]) -> None:
    """Fetch the schemas of records that are not known yet.

    Raises:
        RegistryUnavailableError: one cannot be fetched now; retry.
    """
    missing = sorted(schemas.find_missing(records))
    for schema_id, schema in zip(missing, await asyncio.gather(*map(source.find, missing)), strict=True):
        schemas.add(schema_id, schema)


def check_avro() -> None:
    """Check that Avro can be read.

    Raises:
        MissingPackageError: its package is not installed.
    """
    if importlib.util.find_spec("fastavro") is None:
        raise MissingPackageError(
            "HOLDFAST_SCHEMA_REGISTRY_URL is set, and the package fastavro, which reads Avro, is not installed; "
            "install Holdfast's extra `registry`"
        )
