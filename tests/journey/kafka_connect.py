"""Kafka Connect with Debezium's PostgreSQL connector, in one process on the JVM of the embedded Kafka."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from console.embedded.jars import JarSet, find_class_path
from console.embedded.kafka import find_java

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

JARS = JarSet("Connect", Path(__file__).with_name("connect.lock"), 16)
JVM_OPTIONS = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
JSON = "org.apache.kafka.connect.json.JsonConverter"
STOP_S = 20


@contextmanager
def run_connect(folder: Path, broker: str, *connectors: Mapping[str, str]) -> Iterator[subprocess.Popen[Any]]:
    """Run connectors during the block; their records are JSON with schemas, as by default."""
    converter = {f"{part}.converter": JSON for part in ("key", "value")}
    offsets = {"offset.storage.file.filename": str(folder / "offsets"), "offset.flush.interval.ms": "500"}
    worker = {"bootstrap.servers": broker, "listeners": "HTTP://127.0.0.1:0", "plugin.discovery": "only_scan"}
    files = [
        _write(folder / "worker.properties", worker | converter | offsets),
        *(_write(folder / f"{each['name']}.properties", each) for each in connectors),
    ]
    classes = find_class_path(JARS, print)
    main = "org.apache.kafka.connect.cli.ConnectStandalone"
    with (folder / "connect.log").open("wb") as log:
        process = subprocess.Popen([find_java(), *JVM_OPTIONS, "-cp", classes, main, *files], stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(STOP_S)


def describe_debezium(url: str, table: str, topic: str, **others: str) -> dict[str, str]:
    """Return the properties of a connector that sends the changes of a table to a topic."""
    server, name = urlsplit(url), table.replace(".", "_")
    return {
        "name": name,
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "database.hostname": str(server.hostname),
        "database.port": str(server.port),
        "database.user": str(server.username),
        "database.password": str(server.password),
        "database.dbname": server.path.strip("/"),
        "plugin.name": "pgoutput",
        "slot.name": f"{server.path.strip('/')}_{name}",
        "publication.name": name,
        "slot.drop.on.stop": "true",
        "topic.prefix": name,
        "table.include.list": table,
        "transforms": "route",
        "transforms.route.type": "org.apache.kafka.connect.transforms.RegexRouter",
        "transforms.route.regex": ".*",
        "transforms.route.replacement": topic,
        **others,
    }


UNWRAPPED = {
    "transforms": "unwrap,route",
    "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState",
    "transforms.unwrap.delete.tombstone.handling.mode": "rewrite-with-tombstone",
    "transforms.unwrap.add.fields": "op,source.ts_ms",
    **{f"{part}.converter": JSON for part in ("key", "value")},
    **{f"{part}.converter.schemas.enable": "false" for part in ("key", "value")},
}
"""Rows alone, without schemas; a deletion is a marked row, and a record without a value."""


def _write(path: Path, properties: Mapping[str, str]) -> Path:
    path.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))
    return path
