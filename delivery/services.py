"""The composition root of `holdfast deliver`: settings in, a running process out. Adapters are chosen here."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import aiohttp
import structlog

from campaigns.migrations import migrate
from delivery.config import EmailDelivery, load_config
from delivery.consent_check import ConsentCheck
from delivery.courier import Courier
from delivery.errors import DeliveryConfigError
from delivery.kafka import KafkaReports, TriggerConsumer
from delivery.metrics import DeliveryMetrics
from delivery.postgres_deliveries import PostgresDeliveries
from delivery.process import DeliveryProcess
from delivery.secrets import read_mail_server, read_unsubscribe_keys, read_webhook
from delivery.signatures import UnsubscribeClaim, make_token
from delivery.smtp import SmtpTransport
from delivery.unsubscribe_page import UnsubscribePage, serve_page
from delivery.webhook import WebhookTransport
from features.warehouses import choose_warehouse, opened
from streams.definitions import read_definitions
from streams.observability.health import Health
from streams.observability.probes import serve_probes
from streams.runtime.retry import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from delivery.config import ChannelDelivery, DeliveryConfig
    from delivery.ports import Transport
    from delivery.trigger import Trigger
    from features.ports import Warehouse, WarehouseConnection
    from streams.settings import Settings

log = structlog.get_logger()


async def run_delivery(settings: Settings, stop: asyncio.Event, environment: Mapping[str, str] = os.environ) -> None:
    """Deliver until `stop` is set.

    Raises:
        DeliveryConfigError, HoldfastStreamError, CampaignError, FeaturesError: it cannot start, for a reason that a
            person can fix; the message says which.
    """
    definitions = read_definitions(settings)
    config = load_config(settings.definitions_dir, definitions.channels)
    keys = read_unsubscribe_keys(config, environment)
    make = [_describe_transport(each, config, keys, environment) for each in config.channels]
    await asyncio.to_thread(migrate, settings.ledger_url)
    async with AsyncExitStack() as stack:
        deliveries = PostgresDeliveries(settings.ledger_url, connections=4 + len(config.channels))
        stack.push_async_callback(deliveries.close)
        await deliveries.open()
        warehouse = await stack.enter_async_context(opened(_find_warehouse(settings, config)))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        health = Health()
        retry = RetryPolicy(health)
        checks = [
            ConsentCheck(each, definitions.channels[each.channel], definitions.campaigns, deliveries, warehouse)
            for each in config.channels
        ]
        await _check_columns(checks, warehouse, settings.features_table)
        couriers = [
            Courier(
                delivered.channel,
                deliveries,
                check,
                build(session),
                retry=retry,
                retries=config.retries,
                connections=delivered.connections,
                timeout_s=delivered.timeout_s,
            )
            for delivered, check, build in zip(config.channels, checks, make, strict=True)
        ]
        triggers = TriggerConsumer(settings)
        stack.push_async_callback(triggers.close)
        await triggers.open()
        process = DeliveryProcess(deliveries, triggers, KafkaReports(settings), couriers, config.alarm, retry)
        process.figures.retries = health.failures
        server, port = await serve_probes(
            health, DeliveryMetrics(process.figures), settings.health_host, settings.health_port
        )
        stack.push_async_callback(server.cleanup)
        if config.unsubscribe is not None:
            page = UnsubscribePage(deliveries, keys, process.figures)
            pages, page_port = await serve_page(page, config.unsubscribe)
            stack.push_async_callback(pages.cleanup)
            log.info("unsubscribe_page_served", port=page_port)
        log.info("delivery_starting", health_port=port, channels=[each.channel for each in config.channels])
        health.ready = True
        await process.run(stop)
        log.info("delivery_stopped")


def _find_warehouse(settings: Settings, config: DeliveryConfig) -> WarehouseConnection:
    """Return the warehouse with the columns of addresses, which may be private to workers."""
    needed = {each.address_column for each in config.channels if isinstance(each, EmailDelivery)}
    return choose_warehouse(
        settings.warehouse_url,
        settings.features_table,
        id_column=settings.customer_id_column,
        private_columns=tuple(name for name in settings.private_columns if name not in needed),
    )


def _describe_transport(
    delivered: ChannelDelivery, config: DeliveryConfig, keys: Sequence[bytes], environment: Mapping[str, str]
) -> Callable[[aiohttp.ClientSession], Transport]:
    """Return what builds the transport of a channel; its variables are read now, before anything is opened."""
    if isinstance(delivered, EmailDelivery):
        server, page = read_mail_server(delivered, environment), config.unsubscribe

        def unsubscribe(trigger: Trigger) -> tuple[str, str]:
            token = make_token(keys[0], UnsubscribeClaim(trigger.id, trigger.customer_id, trigger.channel))
            return (f"{page.base_url}/{token}", page.text) if page else ("", "")

        transport = SmtpTransport(server, delivered, timeout_s=delivered.timeout_s, unsubscribe=unsubscribe)
        return lambda _: transport
    address = read_webhook(delivered, environment)
    return lambda session: WebhookTransport(session, address.url, address.keys, timeout_s=delivered.timeout_s)


async def _check_columns(checks: Sequence[ConsentCheck], warehouse: Warehouse, table: str) -> None:
    """Refuse a channel that reads a column which the warehouse lacks: no trigger of it could be delivered."""
    needed = frozenset[str]().union(*(each.columns for each in checks))
    if not needed:
        return
    missing = sorted(needed - set((await warehouse.fetch([])).columns))
    if missing:
        raise DeliveryConfigError(
            f"the warehouse's {table} has no column {', '.join(missing)}; correct address_column in delivery.json or "
            "the consent columns in channels.json"
        )
