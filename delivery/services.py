"""The composition root of `holdfast deliver`: settings in, a running process out. Adapters are chosen here."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import aiohttp
import structlog

from campaigns.definition import load_definitions
from campaigns.migrations import migrate
from delivery.bursts import find_bursts
from delivery.config import EmailDelivery, load_config
from delivery.consent_check import ConsentCheck
from delivery.courier import Courier, read_clock
from delivery.intake import sort_records
from delivery.kafka import KafkaReports, TriggerConsumer
from delivery.metrics import DeliveryFigures, DeliveryMetrics
from delivery.postgres_deliveries import PostgresDeliveries
from delivery.secrets import read_mail_server, read_unsubscribe_keys, read_webhook
from delivery.signatures import UnsubscribeClaim, make_token
from delivery.smtp import SmtpTransport
from delivery.unsubscribe_page import UnsubscribePage, serve_page
from delivery.webhook import WebhookTransport
from features.warehouses import choose_warehouse, opened
from streams.errors import SinkUnavailableError
from streams.observability.health import Health
from streams.observability.probes import serve_probes
from streams.runtime.retry import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from campaigns.definition import DefinitionSet
    from delivery.bursts import Burst
    from delivery.config import ChannelDelivery, DeliveryConfig
    from delivery.ports import Deliveries, Reports, Transport
    from delivery.trigger import Trigger
    from features.ports import Warehouse, WarehouseConnection
    from streams.settings import Settings

log = structlog.get_logger()

IDLE_S = 0.25
"""The pause of a part that has nothing to do."""
REPORTED_AT_ONCE = 1_000
WATCH_S = 5.0


class DeliveryProcess:
    """The parts that run side by side: the intake, a courier for each channel, reports, and the watch.

    Args:
        deliveries: where triggers and outcomes are stored.
        triggers: the topic of triggers.
        reports: the topic of outcomes.
        couriers: one for each channel.
        config: delivery.json.
        retry: repeats what an unavailable service has made fail.
    """

    def __init__(
        self,
        deliveries: Deliveries,
        triggers: TriggerConsumer,
        reports: Reports,
        couriers: Sequence[Courier],
        config: DeliveryConfig,
        retry: RetryPolicy,
    ) -> None:
        self.figures = DeliveryFigures(results={each.channel: each.results for each in couriers})
        self._deliveries = deliveries
        self._triggers = triggers
        self._reports = reports
        self._couriers = couriers
        self._config = config
        self._retry = retry

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set or a part fails; attempts in progress end first."""
        couriers = [asyncio.create_task(_repeat(partial(self._deliver, each), stop)) for each in self._couriers]
        others = [asyncio.create_task(_repeat(each, stop)) for each in (self._receive, self._report, self._watch)]
        await asyncio.wait({*couriers, *others}, return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        for task in others:
            task.cancel()
        await asyncio.wait({*couriers, *others})
        for task in (*couriers, *others):
            if not task.cancelled() and (error := task.exception()):
                raise error

    async def _receive(self) -> float:
        """Store the next triggers, then commit their offsets: a crash in between reads them again."""
        records = await self._retry("kafka", self._triggers.read)
        if not records:
            return 0
        found = sort_records(records, {each.channel for each in self._couriers})
        for place, why in found.unreadable.items():
            record = records[place]
            log.error("trigger_unreadable", partition=record.partition, offset=record.offset, why=why)
        self.figures.received += await self._retry(
            "ledger", lambda: self._deliveries.accept(found.received, now=read_clock())
        )
        self.figures.unreadable += len(found.unreadable)
        for channel, count in found.others.items():
            self.figures.others[channel] = self.figures.others.get(channel, 0) + count
        try:
            await self._triggers.commit(records)
        except SinkUnavailableError as error:
            # As after a rebalance: the next commit covers them, or they are read again and change nothing.
            log.warning("offsets_not_committed", error=str(error))
        return 0

    async def _deliver(self, courier: Courier) -> float:
        return 0 if await self._retry("ledger", courier.deliver_due) else IDLE_S

    async def _report(self) -> float:
        """Publish outcomes, then mark them: a crash in between publishes them again, under the same ids."""
        reports, opt_outs = await self._retry("ledger", lambda: self._deliveries.unreported(REPORTED_AT_ONCE))
        if not reports and not opt_outs:
            return IDLE_S
        await self._retry("kafka", lambda: self._reports.publish(reports, opt_outs))
        await self._retry("ledger", lambda: self._deliveries.mark_reported(reports, opt_outs, at=read_clock()))
        return 0

    async def _watch(self) -> float:
        """Look for bursts, and count what waits."""
        alarm = self._config.alarm
        since = read_clock() - timedelta(minutes=alarm.window_minutes)
        counts = await self._retry("ledger", lambda: self._deliveries.count_domains(since=since))
        bursts, before = find_bursts(counts, alarm), {(each.kind, each.domain) for each in self.figures.bursts}
        for each in bursts:
            if (each.kind, each.domain) not in before:
                _raise_alarm(each, alarm.window_minutes)
        self.figures.bursts = bursts
        self.figures.waiting = await self._retry("ledger", self._deliveries.count_waiting)
        return WATCH_S


def _raise_alarm(burst: Burst, minutes: int) -> None:
    log.error(
        "delivery_burst", kind=burst.kind, domain=burst.domain, count=burst.count, of=burst.settled, minutes=minutes
    )


async def _repeat(step: Callable[[], Awaitable[float]], stop: asyncio.Event) -> None:
    """Repeat a step, with the pause in seconds that it returns, until `stop` is set."""
    while not stop.is_set():
        pause = await step()
        if pause:
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause)


async def run_delivery(settings: Settings, stop: asyncio.Event, environment: Mapping[str, str] = os.environ) -> None:
    """Deliver until `stop` is set.

    Raises:
        DeliveryConfigError, HoldfastStreamError, CampaignError, FeaturesError: it cannot start, for a reason that a
            person can fix; the message says which.
    """
    definitions = load_definitions(settings.definitions_dir)
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
        couriers = [
            _build_courier(delivered, build(session), definitions, config, deliveries, warehouse)
            for delivered, build in zip(config.channels, make, strict=True)
        ]
        triggers = TriggerConsumer(settings)
        stack.push_async_callback(triggers.close)
        await triggers.open()
        process = DeliveryProcess(deliveries, triggers, KafkaReports(settings), couriers, config, RetryPolicy(health))
        process.figures.retries = health.failures
        server, port = await serve_probes(
            health, DeliveryMetrics(process.figures), settings.health_host, settings.health_port
        )
        stack.push_async_callback(server.cleanup)
        if config.unsubscribe is not None:
            page = UnsubscribePage(deliveries, keys)
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


def _build_courier(
    delivered: ChannelDelivery,
    transport: Transport,
    definitions: DefinitionSet,
    config: DeliveryConfig,
    deliveries: Deliveries,
    warehouse: Warehouse,
) -> Courier:
    channel = definitions.channels[delivered.channel]
    return Courier(
        channel.key,
        deliveries,
        ConsentCheck(delivered, channel, definitions.campaigns, deliveries, warehouse),
        transport,
        retries=config.retries,
        connections=delivered.connections,
        timeout_s=delivered.timeout_s,
    )
