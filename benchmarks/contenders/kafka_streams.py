"""Kafka Streams on the JVM, see KafkaStreamsJob.java: needs a JDK, since Java compiles the file when it starts it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from os import environ
from pathlib import Path
from threading import Event

from console.embedded.jars import KAFKA, JarSet, choose_cache, ensure_jars
from console.embedded.kafka import find_java

JARS = JarSet("Kafka-Streams", Path(__file__).with_name("kafka_streams.lock"), 73)
SOURCE = Path(__file__).with_name("KafkaStreamsJob.java")
JOB = "BENCHMARK_KAFKA_STREAMS"
"""The variable that says what it does: `empty` or `job`."""


def read(broker: str, topic: str, group: str, events: str) -> None:
    """Process this many events in a new application; the JVM prints the figures."""
    folders = [ensure_jars(choose_cache(), lambda _: None, Event(), each) for each in (KAFKA, JARS)]
    classes = ":".join(f"{each}/*" for each in folders)
    triggers = f"{topic.rpartition('.')[0]}.campaign-triggers"
    with tempfile.TemporaryDirectory(prefix="kafka-streams-") as state:
        options = ["-Xmx1g", "-cp", classes, str(SOURCE)]
        arguments = [broker, topic, group, events, environ[JOB], triggers, state]
        # Above the time that a contender may take: what starts this one ends it.
        ended = subprocess.run([str(find_java()), *options, *arguments], check=False)  # noqa: S603 - verified jars
    sys.exit(ended.returncode)


if __name__ == "__main__":
    read(*sys.argv[1:5])
