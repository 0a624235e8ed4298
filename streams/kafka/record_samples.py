"""Single records of topics, read without a consumer group, for commands that look at a deployment."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Consumer, KafkaException, TopicPartition

from streams.errors import BrokerUnavailableError
from streams.kafka.connection import quiet_logger

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

POLL_S = 0.02
FETCH_BYTES = 65_536
READER = "holdfast.reader"
"""The name of a group that librdkafka requires. It is never joined, and nothing is committed."""

_quiet = quiet_logger("holdfast.samples.librdkafka")


@dataclass(frozen=True, slots=True)
class SampledRecord:
    """A record, without its value.

    Attributes:
        topic: its topic.
        partition: its partition.
        offset: its offset.
        key: its key.
        at: its timestamp, by the producer's or the broker's clock; None where it has none.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    at: datetime | None


def read_records(
    connection: Mapping[str, str], places: Mapping[tuple[str, int], int], *, count: int, timeout_s: float
) -> Sequence[SampledRecord]:
    """Return committed records of partitions, at most so many of each, as far as they come in time.

    Args:
        connection: librdkafka properties that reach the broker.
        places: the offset to begin at, by topic and partition.
        count: the most records of a partition.
        timeout_s: the longest wait for all of them.

    Raises:
        BrokerUnavailableError: the broker cannot be read from.
    """
    if not places:
        return ()
    consumer = Consumer(_options(connection), logger=_quiet)
    found: list[SampledRecord] = []
    missing = Counter(dict.fromkeys(places, count))
    deadline = time.monotonic() + timeout_s
    try:
        consumer.assign([TopicPartition(topic, number, offset) for (topic, number), offset in places.items()])
        while +missing and time.monotonic() < deadline:
            for message in consumer.consume(count * len(places), POLL_S):
                place = (message.topic() or "", message.partition() or 0)
                if message.error() is not None:  # the end of the partition
                    missing[place] = 0
                elif missing[place] > 0:
                    missing[place] -= 1
                    found.append(SampledRecord(*place, message.offset() or 0, _bytes(message.key()), _time(message)))
    except KafkaException as error:
        raise BrokerUnavailableError(f"records cannot be read: {error.args[0].str()}") from error
    finally:
        consumer.close()
    return found


def _options(connection: Mapping[str, str]) -> dict[str, Any]:
    return {
        **connection,
        "group.id": READER,
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "isolation.level": "read_committed",
        "auto.offset.reset": "earliest",
        "max.partition.fetch.bytes": FETCH_BYTES,
        "fetch.wait.max.ms": 10,
    }


def _bytes(key: str | bytes | None) -> bytes | None:
    return key.encode() if isinstance(key, str) else key


def _time(message: Any) -> datetime | None:
    kind, milliseconds = message.timestamp()
    return None if kind == TIMESTAMP_NOT_AVAILABLE else datetime.fromtimestamp(milliseconds / 1000, UTC)
