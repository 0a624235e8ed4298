"""What a broker says of itself and of Holdfast's topics, with a sample of their records."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from faust.types import TP

from streams.kafka.connection import describe_connection, describe_security
from streams.kafka.record_samples import read_records
from streams.kafka.topic_ids import KafkaTopicIds
from streams.kafka.topics import BrokerAdmin
from streams.observability.lag_monitor import KafkaEnds
from streams.topic_descriptions import TOPICS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from streams.kafka.record_samples import SampledRecord
    from streams.settings import Settings

SAMPLE = 20
"""Records of each partition that are read: the latest ones."""


@dataclass(frozen=True, slots=True)
class BrokerFacts:
    """What was read.

    Attributes:
        partitions: the number of partitions of every topic.
        topics: the configuration of Holdfast's topics; those that may not be read are left out.
        brokers: the configuration of a broker; empty where it may not be read.
        records: the latest records of each partition of the input topics.
        with_ids: the input topics that have a topic id.
        at: when the records were read, by the clock of this machine.
    """

    partitions: Mapping[str, int]
    topics: Mapping[str, Mapping[str, str]]
    brokers: Mapping[str, str]
    records: Sequence[SampledRecord]
    with_ids: Collection[str]
    at: datetime


def inspect_broker(settings: Settings, *, timeout_s: float) -> BrokerFacts:
    """Read from the broker.

    Raises:
        BrokerUnavailableError: it does not answer in time.
    """
    admin = BrokerAdmin(settings.broker, describe_security(settings))
    partitions = admin.count_partitions(timeout_s)
    ours = [settings.topic_prefix + topic.name for topic in TOPICS]
    configs = admin.read_configs([topic for topic in ours if topic in partitions], timeout_s)
    inputs = {topic: partitions[topic] for topic in settings.input_topics if topic in partitions}
    records, ids = asyncio.run(_read_inputs(settings, inputs, timeout_s))
    return BrokerFacts(partitions, configs, admin.read_broker_config(timeout_s), records, ids, datetime.now(UTC))


async def _read_inputs(
    settings: Settings, inputs: Mapping[str, int], timeout_s: float
) -> tuple[Sequence[SampledRecord], Collection[str]]:
    if not inputs:
        return (), ()
    connection = describe_connection(settings)
    places = [TP(topic, number) for topic, count in inputs.items() for number in range(count)]
    ends = await KafkaEnds(connection, answer_s=timeout_s).find(places)
    begins = {
        (place.topic, place.partition): max(each.committed or 0, (each.end or 0) - SAMPLE)
        for place, each in ends.items()
        if (each.end or 0) > (each.committed or 0)
    }
    records = await asyncio.to_thread(read_records, connection, begins, count=SAMPLE, timeout_s=timeout_s / 2)
    return records, set(await KafkaTopicIds(connection).find(list(inputs)))
