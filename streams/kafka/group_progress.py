"""How far the workers' group has come, from outside of it: the oldest record that it has not processed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from confluent_kafka import Consumer, KafkaException, TopicPartition

from streams.errors import BrokerUnavailableError
from streams.kafka.connection import describe_connection, quiet_logger

if TYPE_CHECKING:
    from streams.settings import Settings

ANSWER_S = 10.0


def find_oldest_unprocessed(settings: Settings) -> datetime | None:
    """Return the timestamp of the oldest record after the group's committed offsets, None without any.

    Timestamps are expected to grow within a partition: of each, the first record after the offset is read.

    Raises:
        BrokerUnavailableError: the broker does not answer, or the group has no offset for a partition with records.
    """
    connection = {**describe_connection(settings), "group.id": settings.group, "enable.auto.commit": False}
    consumer = Consumer({**connection, "enable.partition.eof": True}, logger=quiet_logger("librdkafka.progress"))
    try:
        return _oldest(consumer, settings)
    except KafkaException as error:
        raise BrokerUnavailableError(
            f"the progress of group {settings.group} is unknown: {error.args[0].str()}"
        ) from error
    finally:
        consumer.close()


def _oldest(consumer: Consumer, settings: Settings) -> datetime | None:
    places = []
    for topic in settings.input_topics:
        found = consumer.list_topics(topic, timeout=ANSWER_S).topics[topic].partitions
        places += [TopicPartition(topic, number) for number in found]
    oldest = [_first_after(consumer, place) for place in consumer.committed(places, timeout=ANSWER_S)]
    return min((each for each in oldest if each is not None), default=None)


def _first_after(consumer: Consumer, place: TopicPartition) -> datetime | None:
    begin, end = consumer.get_watermark_offsets(place, timeout=ANSWER_S)
    if begin == end or place.offset >= end:
        return None
    if place.offset < 0:
        raise BrokerUnavailableError(
            f"the group has no offset of {_name(place)}, or it has expired: what it has processed is unknown"
        )
    consumer.assign([TopicPartition(place.topic, place.partition, max(place.offset, begin))])
    record = consumer.poll(ANSWER_S)
    if record is None:
        raise BrokerUnavailableError(f"{_name(place)} could not be read within {ANSWER_S:g} s")
    return None if record.error() else datetime.fromtimestamp(record.timestamp()[1] / 1000, UTC)


def _name(place: TopicPartition) -> str:
    return f"{place.topic}[{place.partition}]"
