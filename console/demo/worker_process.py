"""The demo's worker: a process of the `holdfast worker` command, monitored over HTTP."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from urllib.error import URLError

from prometheus_client.parser import text_string_to_metric_families

from streams.errors import HoldfastStreamError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

READY_TIMEOUT_S = 30
STOP_TIMEOUT_S = 30


class DemoWorkerError(HoldfastStreamError):
    """The worker did not start, or ended too early; the message shows the end of its log."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures from the worker's metrics; `due` customers were evaluated without an event of the demo."""

    events: int = 0
    dead_letters: int = 0
    memory_mb: float = 0.0
    due: int = 0


class Process(Protocol):
    """The part of `subprocess.Popen` that is used."""

    @property
    def pid(self) -> int:
        """The process id."""

    @property
    def returncode(self) -> int | None:
        """The exit code; None while it runs."""

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code when it ends, or raise subprocess.TimeoutExpired."""

    def terminate(self) -> None:
        """Send SIGTERM."""

    def kill(self) -> None:
        """Send SIGKILL."""


def start_command(environment: Mapping[str, str], log: Path) -> Process:
    """Start `holdfast worker` with this environment, its output in a file."""
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "console", "worker"],
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


class WorkerProcess:
    """Starts, monitors and stops one worker.

    Args:
        environment: settings of the worker.
        log: file for its JSON log.
        start: starts the process.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        log: Path,
        start: Callable[[Mapping[str, str], Path], Process] = start_command,
    ) -> None:
        self._log = log
        self.port = free_port()
        self._process = start({**os.environ, **environment, "HOLDFAST_HEALTH_PORT": str(self.port)}, log)
        self.pid = self._process.pid

    def wait_until_ready(self) -> None:
        """Return when /health reports that the worker is ready.

        Raises:
            DemoWorkerError: it is not ready within 30 s.
        """
        deadline = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < deadline:
            self.check_alive()
            if self._is_ready():
                return
            time.sleep(0.1)
        raise DemoWorkerError(f"the worker was not ready within {READY_TIMEOUT_S} s; its log ends:\n{self._log_end()}")

    def check_alive(self) -> None:
        """Raise DemoWorkerError if the process has ended."""
        if self._process.poll() is not None:
            raise DemoWorkerError(
                f"the worker ended with exit code {self._process.returncode}; its log ends:\n{self._log_end()}"
            )

    def read_figures(self) -> Figures:
        """Return the figures of /metrics."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
            families = text_string_to_metric_families(answer.read().decode())
            samples = [sample for family in families for sample in family.samples]
        totals: dict[str, float] = {}
        for sample in samples:
            totals[sample.name] = totals.get(sample.name, 0.0) + sample.value
        return Figures(
            int(totals.get("holdfast_events_total", 0)),
            int(totals.get("holdfast_dead_letters_total", 0)),
            totals.get("process_resident_memory_bytes", 0.0) / 1e6,
            int(totals.get("holdfast_due_customers_total", 0)),
        )

    def stop(self) -> None:
        """Stop the worker with SIGTERM, and kill it if it does not end."""
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5) as answer:
                return bool(json.load(answer)["ready"])
        except (URLError, ConnectionError, TimeoutError):
            return False

    def _log_end(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-5:])


def free_port() -> int:
    """Return a loopback port that is currently free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
