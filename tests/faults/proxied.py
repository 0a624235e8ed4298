"""Dedicated services that workers reach through proxies, while the test connects directly."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from console.embedded.kafka import KafkaServer
from console.embedded.services import EmbeddedServices, Endpoints
from tests.faults.proxy import Proxy, choose_port

if TYPE_CHECKING:
    from pathlib import Path

    from console.embedded.postgres import PostgresServer
    from console.embedded.redis import RedisServer
    from console.embedded.services import ServiceName

LISTENER = "PROXIED"


class ProxiedKafka(KafkaServer):
    """Kafka with an additional listener, which advertises the address of its proxy to clients."""

    proxy: Proxy

    def _write_properties(self, name: str, logs: Path) -> Path:
        path = super()._write_properties(name, logs)
        settings = dict(line.partition("=")[::2] for line in path.read_text().splitlines())
        settings["listeners"] += f",{LISTENER}://127.0.0.1:{self.proxy.target}"
        settings["advertised.listeners"] += f",{LISTENER}://127.0.0.1:{self.proxy.port}"
        settings["listener.security.protocol.map"] += f",{LISTENER}:PLAINTEXT"
        path.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        return path


class ProxiedServices(EmbeddedServices):
    """Kafka, Redis and PostgreSQL, each with a proxy in front of it, as a context manager.

    `direct` has the addresses of the services, `gates` those of the proxies.
    """

    direct: Endpoints
    gates: Endpoints
    proxies: dict[ServiceName, Proxy]
    _stack: ExitStack

    def __enter__(self) -> Self:
        self.direct = direct = self.start()
        postgres = Proxy(urlsplit(direct.ledger_url).port or 0)
        redis = Proxy(urlsplit(direct.redis_url).port or 0)
        kafka = self._kafka.proxy
        self.proxies = {"kafka": kafka, "redis": redis, "postgres": postgres}
        self.gates = Endpoints(
            f"127.0.0.1:{kafka.port}",
            redis.lead(direct.redis_url),
            postgres.lead(direct.ledger_url),
            postgres.lead(direct.warehouse_url),
        )
        with ExitStack() as stack:
            stack.callback(self.stop)
            for proxy in self.proxies.values():
                stack.enter_context(proxy)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _build(self) -> tuple[ProxiedKafka, RedisServer, PostgresServer]:
        plain, redis, postgres = super()._build()
        self._kafka = ProxiedKafka(
            plain._folder,
            port=plain._port,
            controller_port=plain._controller_port,
            process=plain.process,
            report=plain._report,
        )
        self._kafka.proxy = Proxy(choose_port())
        return self._kafka, redis, postgres
