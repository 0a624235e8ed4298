"""The topics on the broker: created by an operator's command, checked before a worker starts."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic  # where its types say it is

from streams.errors import BrokerUnavailableError, TopicLayoutError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TIMEOUT_S = 8.0

# librdkafka repeats its connection errors on stderr several times a second; ours is raised once.
_quiet = logging.getLogger("holdfast.librdkafka")
_quiet.addHandler(logging.NullHandler())
_quiet.propagate = False


def verify_topics(broker: str, topics: Sequence[str], *, timeout_s: float = TIMEOUT_S) -> int:
    """Check that the topics exist and have the same number of partitions, and return that number.

    Blocks; meant for the start of a worker, before its event loop runs.

    Raises:
        TopicLayoutError: topics are missing, or partition counts differ.
        BrokerUnavailableError: no broker answered in time.
    """
    return check_layout(topics, _count_partitions(_connect(broker), broker, timeout_s))


def check_layout(topics: Sequence[str], partitions: Mapping[str, int]) -> int:
    """Return the number of partitions that all the topics have.

    Args:
        topics: The topics that must be there, at least one.
        partitions: Number of partitions of each topic on the broker.

    Raises:
        TopicLayoutError: topics are missing, or partition counts differ.
    """
    missing = [topic for topic in topics if topic not in partitions]
    if missing:
        raise TopicLayoutError(
            f"topics missing on the broker: {', '.join(missing)}; create them with `holdfast topics create`"
        )
    counts = {topic: partitions[topic] for topic in topics}
    if len(set(counts.values())) > 1:
        found = ", ".join(f"{topic} has {count}" for topic, count in counts.items())
        raise TopicLayoutError(
            f"input topics must have equal partition counts, so that one worker sees all of a customer's events: "
            f"{found}; add partitions to the smaller ones, or create them anew with `holdfast topics create`"
        )
    return counts[topics[0]]


def create_topics(
    broker: str,
    names: Sequence[str],
    partitions: int,
    config: Mapping[str, str] | None = None,
    *,
    replication: int = -1,
    timeout_s: float = TIMEOUT_S,
) -> tuple[str, ...]:
    """Create those of the topics that do not exist, and return their names; others are left as they are.

    Args:
        broker: Bootstrap servers.
        names: Full names.
        partitions: Number of partitions of each.
        config: The topics' configuration, for example `{"cleanup.policy": "compact"}`.
        replication: Copies of each partition; -1 is the broker's default.
        timeout_s: How long to wait for an answer.

    Raises:
        TopicLayoutError: the broker refused to create a topic; the message says why.
        BrokerUnavailableError: no broker answered in time.
    """
    admin = _connect(broker)
    there = _count_partitions(admin, broker, timeout_s)
    wanted = [NewTopic(name, partitions, replication, config=dict(config or {})) for name in names if name not in there]
    if not wanted:
        return ()
    created = []
    for name, future in admin.create_topics(wanted, operation_timeout=timeout_s, request_timeout=timeout_s).items():
        try:
            future.result()
        except KafkaException as error:
            reason = error.args[0]
            if reason.code() != KafkaError.TOPIC_ALREADY_EXISTS:  # somebody else was faster
                raise TopicLayoutError(f"topic {name} cannot be created: {reason.str()}") from error
        else:
            created.append(name)
    return tuple(created)


def _connect(broker: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": broker}, logger=_quiet)


def _count_partitions(admin: AdminClient, broker: str, timeout_s: float) -> dict[str, int]:
    try:
        metadata = admin.list_topics(timeout=timeout_s)
    except KafkaException as error:
        raise BrokerUnavailableError(
            f"no Kafka broker answered at {broker} within {timeout_s:g} s ({error.args[0].str()}); "
            "check HOLDFAST_BROKER and that the broker runs (`holdfast up` starts a local one)"
        ) from error
    return {name: len(topic.partitions) for name, topic in metadata.topics.items()}
