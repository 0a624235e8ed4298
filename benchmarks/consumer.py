"""Compares Holdfast's consumer with others; none processes what it reads: `make bench-consumer`.

Starts its own Kafka. Every round runs each contender once, in its own process and consumer group. Contenders alternate
because the speed of a machine drifts: compare figures of one run only. A stock Faust agent, which is many times slower,
reads a fraction of the events. The last line is a JSON object: minimum, median and maximum of events per second and of
CPU seconds per million events, and the ratios of Holdfast's median to the others'.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING
from uuid import uuid4

import click
from confluent_kafka import Producer

from benchmarks.peers import check_installed, run, spread
from console.embedded.services import EmbeddedServices
from streams.kafka.topics import create_topics

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.peers import Figures

PARTITIONS = 4
EVENT = b"x" * 150
QUEUE = 200_000
PARTS = {"holdfast": 1, "stock_faust": 10, "quix": 1, "tuned_confluent": 1}
"""The contenders, each with the divisor of the number of events that it reads."""
TARGETS = {"stock_faust": 20.0, "quix": 2.0, "tuned_confluent": 0.4}


@click.command()
@click.option("--events", default=1_000_000, show_default=True, help="Events on the topic.")
@click.option("--rounds", default=5, show_default=True, help="Number of runs of each contender.")
def main(events: int, rounds: int) -> None:
    """Fill a topic, run the contenders alternately, and print the results."""
    check_installed()
    with tempfile.TemporaryDirectory(prefix="holdfast-") as folder, EmbeddedServices(Path(folder)) as services:
        broker = services.start().broker
        topic = produce(broker, events)
        measured: dict[str, list[Figures]] = {name: [] for name in PARTS}
        for number in range(rounds):
            for name, part in PARTS.items():
                measured[name].append(run(name, broker, topic, events // part))
                click.echo(f"round {number + 1} {name}: {measured[name][-1]['events_per_s']:,.0f} events/s")
    click.echo(json.dumps({"events": events, "rounds": rounds, **summarise(measured)}))


def produce(broker: str, events: int) -> str:
    """Create a topic, write the events evenly over its partitions, and return its name."""
    topic = f"benchmark-{uuid4().hex[:8]}"
    create_topics(broker, [topic], PARTITIONS)
    producer = Producer({"bootstrap.servers": broker, "linger.ms": 20, "queue.buffering.max.messages": QUEUE})
    for number in range(events):
        if number % 1000 == 0:
            producer.poll(0.5 if len(producer) > QUEUE // 2 else 0)
        producer.produce(topic, EVENT, partition=number % PARTITIONS)
    producer.flush()
    return topic


def summarise(measured: Mapping[str, Sequence[Figures]]) -> dict[str, object]:
    """Return the spread of each contender's figures, the ratios of the medians, and the targets for the ratios."""
    rates = {name: [each["events_per_s"] for each in figures] for name, figures in measured.items()}
    spent = {name: [each["cpu_s_per_million"] for each in figures] for name, figures in measured.items()}
    holdfast = median(rates["holdfast"])
    return {
        "events_per_s": {name: spread(values, 0) for name, values in rates.items()},
        "cpu_s_per_million": {name: spread(values, 2) for name, values in spent.items()},
        "ratios": {name: round(holdfast / median(rates[name]), 2) for name in TARGETS},
        "targets": TARGETS,
    }


if __name__ == "__main__":
    main()
