"""A temporary second broker: a topic with a replica on it lacks that replica afterwards."""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic  # the module in its type stubs

from console.embedded.kafka import KafkaServer
from console.embedded.process import ServerProcess
from tests.faults.proxy import choose_port
from tests.journey.workplace import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from console.embedded.services import EmbeddedServices


class SecondKafka(KafkaServer):
    """A Kafka server that joins an embedded cluster as a broker, not as a controller."""

    def __init__(self, first: EmbeddedServices, folder: Path) -> None:
        kafka = first._servers["kafka"]
        assert isinstance(kafka, KafkaServer)
        process = ServerProcess(
            "second-kafka", runs=first.data / "run", log=folder / "second-kafka.log", watchdog=first._watchdog
        )
        self._first_logs = kafka._folder / "logs"
        super().__init__(
            folder / "second-kafka",
            port=choose_port(),
            controller_port=kafka._controller_port,
            process=process,
            report=lambda _: None,
        )

    def _write_properties(self, name: str, logs: Path) -> Path:
        path = super()._write_properties(name, logs)
        settings = dict(line.partition("=")[::2] for line in path.read_text().splitlines())
        settings |= {"process.roles": "broker", "node.id": "2"}
        settings["listeners"] = settings["advertised.listeners"]
        path.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        return path

    def _format(self, tool: list[str | Path], logs: Path) -> None:
        super()._format(tool, logs)
        own, first = (each / "meta.properties" for each in (logs, self._first_logs))
        named = dict(line.partition("=")[::2] for line in first.read_text().splitlines())
        lines = [line for line in own.read_text().splitlines() if not line.startswith("cluster.id")]
        own.write_text("\n".join([*lines, f"cluster.id={named['cluster.id']}", ""]))


def take_copies_away(services: EmbeddedServices, folder: Path, broker: str, topic: str) -> None:
    """Recreate an empty topic with two replicas and min.insync.replicas 2, one of them on a broker that then stops."""
    second = SecondKafka(services, folder)
    second.start(Event())
    try:
        wait_until(lambda: len(ask(broker).list_topics().brokers) > 1)
    finally:
        second.process.stop()
    # Until the cluster has removed it, a client may take it for the controller and wait for it.
    wait_until(lambda: len(ask(broker).list_topics().brokers) == 1)
    client = ask(broker)
    partitions = len(client.list_topics(topic).topics[topic].partitions)
    client.delete_topics([topic])[topic].result()
    wait_until(lambda: topic not in client.list_topics().topics)
    copies = NewTopic(topic, partitions, replica_assignment=[[1, 2]] * partitions, config={"min.insync.replicas": "2"})
    client.create_topics([copies])[topic].result()


def ask(broker: str) -> AdminClient:
    """Return a client without cached metadata."""
    return AdminClient({"bootstrap.servers": broker, "log_level": 0})
