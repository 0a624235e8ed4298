"""Applies disturbances: those of workers on one thread, those of a service one at a time; heals at the end."""

from __future__ import annotations

import signal
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Event, Lock
from typing import TYPE_CHECKING, Self

import psycopg
import redis

from console.embedded.errors import ServiceStartError

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from console.embedded.services import ServiceName
    from tests.faults.audit import Audit
    from tests.faults.crew import Crew
    from tests.faults.disturbances import Disturbance
    from tests.faults.proxied import ProxiedServices

TERMINATE = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()
"""
TERMINATE_EVERY_S = 0.1
PARTINGS = {"guest": signal.SIGTERM, "guest-killed": signal.SIGKILL}
DISTURBED_AT_ONCE = 16


class Stage:
    """Applies disturbances, as a context manager that heals everything at the end.

    Args:
        services: the services and their proxies.
        crew: the workers.
        ledger_url: direct URL of the ledger, without a proxy.
        audit: the audit log, which gets an entry when a disturbance begins.
    """

    def __init__(self, services: ProxiedServices, crew: Crew, ledger_url: str, audit: Audit) -> None:
        self._services = services
        self._crew = crew
        self._ledger_url = ledger_url
        self._audit = audit
        self._over = Event()
        self._turns: dict[str, Lock] = defaultdict(Lock)
        self._pool = ThreadPoolExecutor(DISTURBED_AT_ONCE)
        self._begun: list[Future[None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._pool.shutdown()

    @property
    def is_calm(self) -> bool:
        """Whether no service is disturbed now."""
        return all(each.done() for each in self._begun)

    def disturb(self, disturbance: Disturbance) -> None:
        """Apply a disturbance, or start it if it takes time."""
        if disturbance.service:
            self._begun.append(self._pool.submit(self._disturb_service, disturbance))
        else:
            self._disturb_worker(disturbance)

    def kill(self, seat: str, *, is_calm: bool) -> None:
        """Kill a worker."""
        victim = self._crew.signal(seat, signal.SIGKILL)
        if victim is not None:
            self._audit.note("fault", kind="kill", victim=victim, is_calm=is_calm)

    def heal(self) -> None:
        """End the current disturbances, wait for their end, and check that all services run."""
        self._over.set()
        for each in self._begun:
            with suppress(ServiceStartError):  # not started within a minute: try once more
                each.result()
        for name, proxy in self._services.proxies.items():
            self._services.start_service(name)
            proxy.heal()
        self._crew.calm_down()

    def _disturb_worker(self, disturbance: Disturbance) -> None:
        seat, kind = disturbance.seat, disturbance.kind
        if kind == "kill":
            self.kill(seat, is_calm=False)
            return
        if kind in PARTINGS:
            self._crew.invite(disturbance.lasts_s, PARTINGS[kind])
            happened = True
        elif kind == "terminate":
            happened = self._crew.signal(seat, signal.SIGTERM) is not None
        else:
            happened = self._crew.freeze(seat, disturbance.lasts_s)
        if happened:
            self._audit.note("fault", kind=kind, seat=seat, lasts_s=disturbance.lasts_s)

    def _disturb_service(self, disturbance: Disturbance) -> None:
        """Wait until the service is healthy, disturb it, and heal it."""
        service, _, deed = disturbance.kind.partition("-")
        with self._turns[service]:
            if not self._over.is_set():
                self._audit.note("fault", kind=disturbance.kind, lasts_s=disturbance.lasts_s)
                DEEDS[deed](self, service, disturbance)

    def _restart(self, service: ServiceName, disturbance: Disturbance) -> None:
        proxy = self._services.proxies[service]
        proxy.refuse()
        self._services.stop_service(service)
        self._over.wait(disturbance.lasts_s)
        self._services.start_service(service)
        proxy.heal()

    def _cut(self, service: ServiceName, disturbance: Disturbance) -> None:
        proxy = self._services.proxies[service]
        proxy.refuse()
        proxy.cut()
        self._over.wait(disturbance.lasts_s)
        proxy.heal()

    def _delay(self, service: ServiceName, disturbance: Disturbance) -> None:
        self._services.proxies[service].delay(disturbance.delay_s)
        self._over.wait(disturbance.lasts_s)
        self._services.proxies[service].heal()

    def _hold(self, service: ServiceName, disturbance: Disturbance) -> None:
        self._services.proxies[service].hold()
        self._over.wait(disturbance.lasts_s)
        self._services.proxies[service].heal()

    def _terminate(self, service: ServiceName, disturbance: Disturbance) -> None:
        """Terminate every connection to the ledger repeatedly, whatever its transaction."""
        del service
        until = time.monotonic() + disturbance.lasts_s
        database = self._ledger_url.rpartition("/")[2]
        with psycopg.connect(self._services.direct.ledger_url, autocommit=True) as connection:
            while True:
                connection.execute(TERMINATE, [database])
                if self._over.wait(TERMINATE_EVERY_S) or time.monotonic() > until:
                    return

    def _flush(self, service: ServiceName, disturbance: Disturbance) -> None:
        del service, disturbance
        with redis.Redis.from_url(self._services.direct.redis_url) as client:
            client.flushall()


DEEDS: dict[str, Callable[[Stage, ServiceName, Disturbance], None]] = {
    "restart": Stage._restart,
    "cut": Stage._cut,
    "delay": Stage._delay,
    "hold": Stage._hold,
    "terminate": Stage._terminate,
    "flush": Stage._flush,
}
