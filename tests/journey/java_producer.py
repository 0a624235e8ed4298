"""Kafka's own console producer, on the JVM of the embedded Kafka."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.embedded.jars import JarSet, find_class_path
from console.embedded.kafka import find_java

if TYPE_CHECKING:
    from collections.abc import Iterable

JARS = JarSet("Tools", Path(__file__).with_name("tools.lock"), 1)
JVM_OPTIONS = ("-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


def produce(broker: str, topic: str, events: Iterable[dict[str, Any]], codec: str) -> None:
    """Send events, keyed by customer, in batches that the Java client compresses."""
    command = [find_java(), *JVM_OPTIONS, "-cp", find_class_path(JARS, print), "org.apache.kafka.tools.ConsoleProducer"]
    options = ["--bootstrap-server", broker, "--topic", topic, "--compression-codec", codec]
    keys = ["--property", "parse.key=true", "--property", "key.separator=\t"]
    lines = "".join(f"{event['customer_id']}\t{json.dumps(event)}\n" for event in events)
    done = subprocess.run([*command, *options, *keys], input=lines, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
