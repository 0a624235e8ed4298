"""The adapters that the settings choose: ledger, warehouse, cache, sink. They are chosen here and nowhere else."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import structlog

from campaigns.postgres_ledger import PostgresLedger
from features.redis_cache import RedisFeatureCache
from features.row_age import RowAge
from features.store import FeatureStore
from features.warehouses import opened
from streams.formats.codecs import decode_records
from streams.formats.schemas import Schemas
from streams.kafka.connection import describe_connection
from streams.kafka.publishing import KafkaTriggerSink
from streams.observability.customer_digests import HIDER
from streams.schema_registry import check_avro
from streams.warehouse import find_warehouse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AsyncExitStack

    from features.ports import WarehouseConnection
    from streams.formats.events import Decoded, Record
    from streams.settings import Settings

log = structlog.get_logger()


async def open_ledger(settings: Settings, stack: AsyncExitStack) -> PostgresLedger:
    """Return the ledger, under whose key logs name customers from now on; the stack closes its connections.

    Raises:
        LedgerUnavailableError: it cannot be opened; the message says why.
    """
    ledger = PostgresLedger(settings.ledger_url, kept_customers=settings.kept_customers)
    stack.push_async_callback(ledger.close)
    await ledger.open()
    HIDER.key = await ledger.digest_key()
    return ledger


async def open_warehouse(settings: Settings, stack: AsyncExitStack) -> WarehouseConnection:
    """Return the warehouse; the stack closes its connections.

    Raises:
        WarehouseUnavailableError, WarehouseLayoutError: the warehouse cannot be used.
    """
    warehouse = await stack.enter_async_context(opened(find_warehouse(settings)))
    if unknown := warehouse.unknown_private_columns:
        log.warning("private_columns_unknown", setting="HOLDFAST_PRIVATE_COLUMNS", columns=unknown)
    return warehouse


async def open_features(
    settings: Settings, stack: AsyncExitStack, warehouse: WarehouseConnection, generation: int
) -> FeatureStore:
    """Return the feature store; the stack closes the cache's connections.

    Raises:
        ServiceAddressError: the cache refuses the user or the password.
    """
    cache = RedisFeatureCache(settings.redis_url, ttl_seconds=settings.cache_ttl_s, ca_file=settings.redis_ca_file)
    stack.push_async_callback(cache.close)
    await cache.open()
    return FeatureStore(warehouse, cache, generation=generation, row_age=find_row_age(settings))


def find_row_age(settings: Settings) -> RowAge | None:
    """Return what compares rows with their events, None where no column has the time of a row's change."""
    if settings.updated_at_column is None:
        return None
    tolerance_s, wait_s = settings.replica_tolerance_s, settings.replica_wait_s
    return RowAge(settings.updated_at_column, tolerance_s=tolerance_s, wait_s=wait_s)


def open_schemas(settings: Settings) -> Schemas | None:
    """Return where schemas are kept, None without a schema registry.

    Raises:
        MissingPackageError: a schema registry is set, and Avro cannot be read.
    """
    if settings.schema_registry_url is None:
        return None
    check_avro()
    return Schemas()


def build_decoder(settings: Settings, schemas: Schemas | None) -> Callable[[Sequence[Record]], Decoded]:
    """Return what decodes records to events."""
    return partial(
        decode_records,
        topic_prefix=settings.topic_prefix,
        formats=settings.formats,
        max_bytes=settings.max_event_bytes,
        max_future_s=settings.max_future_s,
        id_field=settings.customer_id_field,
        schemas=schemas,
    )


async def open_sink(settings: Settings, stack: AsyncExitStack, ledger: PostgresLedger) -> KafkaTriggerSink:
    """Return the sink that publishes this ledger's outbox."""
    sink = KafkaTriggerSink(
        describe_connection(settings),
        group=settings.group,
        ledger_id=await ledger.ledger_id(),
        topics=settings.output_topics,
        progress_topic=settings.input_topics[0],
        options={"partitioner": settings.partitioner, "compression.type": settings.compression},
    )
    stack.callback(sink.close)
    return sink
