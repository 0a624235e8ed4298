"""Kafka Streams on the JVM, see KafkaStreamsJob.java: needs a JDK, since Java compiles the file when it starts it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from console.embedded.jars import JarSet, find_class_path
from console.embedded.kafka import find_java

JARS = JarSet("Kafka-Streams", Path(__file__).with_name("kafka_streams.lock"), 73)
SOURCE = Path(__file__).with_name("KafkaStreamsJob.java")
JOB = "BENCHMARK_KAFKA_STREAMS"
"""The variable that says what it does: `empty` or `job`."""


def has_jdk() -> bool:
    """Return whether the Java that starts it can compile."""
    return find_java().resolve().with_name("javac").exists()


def read(broker: str, topic: str, group: str, events: str) -> None:
    """Process this many events in a new application, in place of this process: who stops this one stops the JVM."""
    triggers = f"{topic.rpartition('.')[0]}.campaign-triggers"
    options = ["-Xmx1g", "-cp", find_class_path(JARS, lambda _: None), str(SOURCE)]
    java = str(find_java())
    os.execv(java, [java, *options, broker, topic, group, events, os.environ[JOB], triggers])  # noqa: S606 - verified jars


if __name__ == "__main__":
    read(*sys.argv[1:5])
