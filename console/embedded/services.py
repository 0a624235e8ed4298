"""Kafka, Redis and PostgreSQL together: started concurrently, stopped in order, never left running."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from threading import Event
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, Protocol

from console.embedded import data_dir_lock
from console.embedded.kafka import KafkaServer
from console.embedded.ports import choose_ports
from console.embedded.postgres import STOP_SIGNAL, PostgresServer
from console.embedded.process import ServerProcess, sweep
from console.embedded.redis import RedisServer
from console.embedded.watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from types import TracebackType
    from typing import Self, TextIO

ServiceName = Literal["kafka", "redis", "postgres"]
_PORTS = ("kafka", "kafka-controller", "redis", "postgres")


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where the services are. The URLs of the databases hold a password."""

    broker: str
    redis_url: str
    ledger_url: str
    warehouse_url: str

    def as_environment(self) -> dict[str, str]:
        """Return the settings that point Holdfast at these services."""
        return {
            "HOLDFAST_BROKER": self.broker,
            "HOLDFAST_REDIS_URL": self.redis_url,
            "HOLDFAST_LEDGER_URL": self.ledger_url,
            "HOLDFAST_WAREHOUSE_URL": self.warehouse_url,
        }


class _Server(Protocol):
    """The interface of the three servers."""

    process: ServerProcess

    def start(self, cancelled: Event) -> None:
        """Start, and return when the server accepts clients."""


def _say_nothing(_: str) -> None:
    """Report nothing."""


class EmbeddedServices:
    """Kafka, Redis and PostgreSQL on one data folder, as a context manager or by `start` and `stop`.

    Data of an earlier start in the folder is kept, and so are the ports while they are free.

    Args:
        data: The folder; created when missing, used by one process at a time.
        report: Receives short progress messages, from several threads.
        postgres_settings: Further settings of PostgreSQL.
    """

    def __init__(
        self,
        data: Path,
        *,
        report: Callable[[str], None] = _say_nothing,
        postgres_settings: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.data = data.resolve()
        self._report = report
        self._postgres_settings = postgres_settings
        self._cancelled = Event()
        self._watchdog = Watchdog()
        self._claim: TextIO | None = None
        self._endpoints: Endpoints | None = None
        self._servers: dict[ServiceName, _Server] = {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self, *, fresh: bool = False) -> Endpoints:
        """Stop the servers that a killed process left on this folder, start all three, and return when all are ready.

        Args:
            fresh: delete the data of earlier starts first.

        Raises:
            EmbeddedError: see console.embedded.errors; every service that had started was stopped.
        """
        if self._endpoints is not None:
            return self._endpoints
        self._claim = data_dir_lock.claim(self.data)
        self._cancelled.clear()
        try:
            self._sweep()
            if fresh:
                self._forget()
            self._watchdog.start()
            kafka, redis, postgres = self._build()
            self._servers = {"kafka": kafka, "redis": redis, "postgres": postgres}
            self._start_all()
            self._endpoints = Endpoints(
                kafka.broker, redis.url, postgres.locate("ledger"), postgres.locate("warehouse")
            )
        finally:
            if self._endpoints is None:
                self.stop()
        return self._endpoints

    def stop(self) -> None:
        """Stop what runs and release the folder; nothing happens when nothing runs."""
        for name, server in self._servers.items():
            if server.process.is_running():
                self._report(f"stopping {name}")
            server.process.stop()
        self._servers = {}
        self._endpoints = None
        self._watchdog.stop()
        if self._claim is not None:
            self._claim.close()
            self._claim = None

    def cancel(self) -> None:
        """Cancel a running `start` of another frame or thread."""
        self._cancelled.set()

    def start_service(self, name: ServiceName) -> None:
        """Start one service again, on the port it had.

        Raises:
            ServiceStartError: it did not start.
        """
        server = self._servers[name]
        if not server.process.is_running():
            server.start(self._cancelled)

    def stop_service(self, name: ServiceName) -> None:
        """Stop one service cleanly; the others continue."""
        self._servers[name].process.stop()

    def pause_service(self, name: ServiceName) -> None:
        """Freeze one service: its connections stay open and nothing answers."""
        self._servers[name].process.pause()

    def resume_service(self, name: ServiceName) -> None:
        """Resume a paused service."""
        self._servers[name].process.resume()

    def find_pids(self) -> dict[ServiceName, int]:
        """Return the process numbers of the services that run."""
        pids = {name: server.process.pid for name, server in self._servers.items()}
        return {name: pid for name, pid in pids.items() if pid is not None}

    def find_logs(self) -> Mapping[ServiceName, Path]:
        """Return each service's log file."""
        return {name: server.process.log for name, server in self._servers.items()}

    @property
    def watchdog_pid(self) -> int | None:
        """The process number of the watchdog, while there is one."""
        return self._watchdog.pid

    def _sweep(self) -> None:
        runs = self.data / "run"
        runs.mkdir(exist_ok=True)
        left = sweep(runs)
        if left:
            self._report(f"ended {', '.join(left)} left by an earlier process")

    def _forget(self) -> None:
        for name in ("kafka", "redis", "postgres"):
            if (self.data / name).exists():
                shutil.rmtree(self.data / name)

    def _build(self) -> tuple[KafkaServer, RedisServer, PostgresServer]:
        ports = choose_ports(_PORTS, self.data / "ports.json")
        kafka = KafkaServer(
            self.data / "kafka",
            port=ports["kafka"],
            controller_port=ports["kafka-controller"],
            process=self._prepare("kafka"),
            report=self._report,
        )
        redis = RedisServer(self.data / "redis", ports["redis"], self._prepare("redis"))
        process = self._prepare("postgres", STOP_SIGNAL)
        postgres = PostgresServer(
            self.data / "postgres", ports["postgres"], process, self._report, self._postgres_settings
        )
        return kafka, redis, postgres

    def _prepare(self, name: ServiceName, stop_signal: int | None = None) -> ServerProcess:
        log = self.data / f"{name}.log"
        more = {} if stop_signal is None else {"stop_signal": stop_signal}
        return ServerProcess(name, runs=self.data / "run", log=log, watchdog=self._watchdog, **more)

    def _start_all(self) -> None:
        """Start the three concurrently. When one fails the others are cancelled, and its error is raised."""
        with ThreadPoolExecutor(len(self._servers)) as pool:
            starts = {pool.submit(server.start, self._cancelled): name for name, server in self._servers.items()}
            complete = False
            try:
                for start in as_completed(starts):
                    start.result()
                    self._report(f"{starts[start]} is ready")
                complete = True
            finally:
                if not complete:
                    self._cancelled.set()
