"""The parts of a delivery process, side by side: the intake, a courier for each channel, reports, and the watch."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import structlog

from delivery.bursts import find_bursts
from delivery.courier import read_clock
from delivery.intake import sort_values
from delivery.metrics import DeliveryFigures
from streams.errors import SinkUnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from delivery.bursts import Burst
    from delivery.config import Alarm
    from delivery.courier import Courier
    from delivery.ports import Deliveries, Reports, Triggers
    from streams.runtime.retry import RetryPolicy

log = structlog.get_logger()

IDLE_S = 0.25
"""The pause of a part that has nothing to do."""
REPORTED_AT_ONCE = 1_000
WATCH_S = 5.0


class DeliveryProcess:
    """Reads triggers, delivers them and reports what became of them.

    Args:
        deliveries: where triggers and outcomes are stored.
        triggers: the topic of triggers.
        reports: the topic of outcomes.
        couriers: one for each channel.
        alarm: what a burst is.
        retry: repeats what an unavailable service has made fail.
        clock: returns the time.
    """

    def __init__(
        self,
        deliveries: Deliveries,
        triggers: Triggers,
        reports: Reports,
        couriers: Sequence[Courier],
        alarm: Alarm,
        retry: RetryPolicy,
        *,
        clock: Callable[[], datetime] = read_clock,
    ) -> None:
        self.figures = DeliveryFigures(results={each.channel: each.results for each in couriers})
        self._deliveries = deliveries
        self._triggers = triggers
        self._reports = reports
        self._couriers = couriers
        self._alarm = alarm
        self._retry = retry
        self._clock = clock

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set or a part fails; attempts in progress end first."""
        couriers = [asyncio.create_task(_repeat(partial(self.deliver, each), stop)) for each in self._couriers]
        others = [asyncio.create_task(_repeat(each, stop)) for each in (self.receive, self.report, self.watch)]
        await asyncio.wait({*couriers, *others}, return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        for task in others:
            task.cancel()
        await asyncio.wait({*couriers, *others})
        for task in (*couriers, *others):
            if not task.cancelled() and (error := task.exception()):
                raise error

    async def receive(self) -> float:
        """Store the next triggers, then commit their offsets: a crash in between reads them again.

        Returns:
            As all parts: the pause before the next call, seconds.
        """
        records = await self._retry("kafka", self._triggers.read)
        if not records:
            return 0
        found = sort_values([each.value for each in records], {each.channel for each in self._couriers})
        for place, why in found.unreadable.items():
            record = records[place]
            log.error("trigger_unreadable", partition=record.partition, offset=record.offset, why=why)
        self.figures.received += await self._retry(
            "ledger", lambda: self._deliveries.accept(found.received, now=self._clock())
        )
        self.figures.unreadable += len(found.unreadable)
        for channel, count in found.others.items():
            self.figures.others[channel] = self.figures.others.get(channel, 0) + count
        try:
            await self._triggers.commit(records)
        except SinkUnavailableError as error:
            # As after a rebalance: the next commit covers them, or they are read again and change nothing.
            log.warning("offsets_not_committed", error=error)
        return 0

    async def deliver(self, courier: Courier) -> float:
        """Deliver what is due on one channel."""
        return 0 if await self._retry("ledger", courier.deliver_due) else IDLE_S

    async def report(self) -> float:
        """Publish outcomes, then mark them: a crash in between publishes them again, under the same ids."""
        reports, opt_outs = await self._retry("ledger", lambda: self._deliveries.unreported(REPORTED_AT_ONCE))
        if not reports and not opt_outs:
            return IDLE_S
        await self._retry("kafka", lambda: self._reports.publish(reports, opt_outs))
        await self._retry("ledger", lambda: self._deliveries.mark_reported(reports, opt_outs, at=self._clock()))
        return 0

    async def watch(self) -> float:
        """Look for bursts, and count what waits."""
        alarm = self._alarm
        since = self._clock() - timedelta(minutes=alarm.window_minutes)
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
