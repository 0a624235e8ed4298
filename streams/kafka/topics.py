"""The topics on the broker: created by an operator's command, checked before a worker starts.

streams/topic_descriptions.py describes them.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType  # type: ignore[attr-defined]  # exported unsaid
from confluent_kafka.cimpl import NewTopic  # where its types say it is

from streams.errors import BrokerUnavailableError, TopicLayoutError
from streams.kafka.connection import describe_security, quiet_logger
from streams.topic_descriptions import TOPICS, find_differences

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Future

    from streams.settings import Settings

TIMEOUT_S = 8.0
PARTITIONS = 4
_log = logging.getLogger(__name__)
_quiet = quiet_logger("holdfast.librdkafka")


def create_missing_topics(settings: Settings, *, partitions: int | None, replication: int) -> tuple[str, ...]:
    """Create the topics that are missing and return their names; others are left as they are.

    Args:
        settings: the broker and the topics' prefix.
        partitions: number of partitions; None is that of the existing input topics, or `PARTITIONS`.
        replication: copies of each partition.

    Raises:
        TopicLayoutError: see choose_partitions and create_topics.
        BrokerUnavailableError: see create_topics.
    """
    broker = BrokerAdmin(settings.broker, describe_security(settings))
    names = [settings.topic_prefix + topic.name for topic in TOPICS]
    partitions = choose_partitions(partitions, names, settings.input_topics, broker.count_partitions(TIMEOUT_S))
    made: list[str] = []
    for topic in TOPICS:
        made += create_topics(
            settings.broker,
            [settings.topic_prefix + topic.name],
            partitions,
            topic.configs,
            replication=replication,
            security=describe_security(settings),
        )
    return tuple(made)


def choose_partitions(
    requested: int | None, topics: Sequence[str], inputs: Sequence[str], there: Mapping[str, int]
) -> int:
    """Return the number of partitions of the topics to create.

    Args:
        requested: what the operator asked for, None for no preference.
        topics: all topics.
        inputs: those that must have equal numbers of partitions.
        there: number of partitions of each topic on the broker.

    Raises:
        TopicLayoutError: a topic exists with another number of partitions than requested.
    """
    if requested is None:
        return max((there[topic] for topic in inputs if topic in there), default=PARTITIONS)
    others = [topic for topic in topics if there.get(topic, requested) != requested]
    if others:
        found = ", ".join(f"{topic} has {there[topic]}" for topic in others)
        raise TopicLayoutError(
            f"{requested} partitions were requested, but {found}; nothing was created. Leave out --partitions to keep "
            "what exists; add partitions with `kafka-topics.sh --alter` (see docs/failure-modes.md first); to have "
            "fewer, delete the topics and create them again"
        )
    return requested


def check_topics(settings: Settings) -> list[str]:
    """Check the topics before a worker starts, and return in which configurations they differ from `TOPICS`.

    Raises:
        TopicLayoutError: topics are missing, or the input topics have unequal partition counts.
        BrokerUnavailableError: no broker answered in time.
    """
    security = describe_security(settings)
    verify_topics(settings.broker, settings.input_topics, security=security)
    for topic in settings.output_topics.values():
        verify_topics(settings.broker, [topic], security=security)
    names = [settings.topic_prefix + topic.name for topic in TOPICS if topic.configs]
    return find_differences(
        settings.topic_prefix, BrokerAdmin(settings.broker, security).read_configs(names, TIMEOUT_S)
    )


def read_retention(settings: Settings) -> dict[str, float | None]:
    """Return how long each topic keeps its records, in seconds; None where it keeps them without limit of time.

    A topic that is missing, or whose configuration may not be read, is left out.

    Raises:
        BrokerUnavailableError: no broker answered in time.
    """
    broker = BrokerAdmin(settings.broker, describe_security(settings))
    there = broker.count_partitions(TIMEOUT_S)
    names = [settings.topic_prefix + topic.name for topic in TOPICS if settings.topic_prefix + topic.name in there]
    found = broker.read_configs(names, TIMEOUT_S)
    kept = {topic: int(configs["retention.ms"]) for topic, configs in found.items() if "retention.ms" in configs}
    return {topic: None if ms < 0 else ms / 1000 for topic, ms in kept.items()}


def verify_topics(
    broker: str,
    topics: Sequence[str],
    *,
    security: Mapping[str, str] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> int:
    """Check that the topics exist and have the same number of partitions, and return that number.

    Blocks; meant for the start of a worker, before its event loop runs.

    Args:
        broker: Bootstrap servers.
        topics: Full names.
        security: librdkafka properties of TLS and SASL, see streams/kafka/connection.py.
        timeout_s: How long to wait for an answer.

    Raises:
        TopicLayoutError: topics are missing, or partition counts differ.
        BrokerUnavailableError: no broker answered in time.
    """
    return check_layout(topics, BrokerAdmin(broker, security).count_partitions(timeout_s))


def check_layout(topics: Sequence[str], partitions: Mapping[str, int]) -> int:
    """Return the number of partitions that all the topics have.

    Args:
        topics: The topics that must exist, at least one.
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
            f"{found}; add partitions to the smaller ones, or recreate them with `holdfast topics create`"
        )
    return counts[topics[0]]


def create_topics(
    broker: str,
    names: Sequence[str],
    partitions: int,
    config: Mapping[str, str] | None = None,
    *,
    replication: int = -1,
    security: Mapping[str, str] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> tuple[str, ...]:
    """Create those of the topics that do not exist, and return their names; others are left as they are.

    Args:
        broker: Bootstrap servers.
        names: Full names.
        partitions: Number of partitions of each.
        config: The topics' configuration, for example `{"cleanup.policy": "compact"}`.
        replication: Copies of each partition; -1 is the broker's default.
        security: librdkafka properties of TLS and SASL, see streams/kafka/connection.py.
        timeout_s: How long to wait for an answer.

    Raises:
        TopicLayoutError: the broker refused to create a topic; the message says why.
        BrokerUnavailableError: no broker answered in time.
    """
    client = BrokerAdmin(broker, security)
    there = client.count_partitions(timeout_s)
    wanted = [NewTopic(name, partitions, replication, config=dict(config or {})) for name in names if name not in there]
    if not wanted:
        return ()
    created = []
    for name, future in client.create(wanted, timeout_s).items():
        try:
            future.result()
        except KafkaException as error:
            reason = error.args[0]
            if reason.code() != KafkaError.TOPIC_ALREADY_EXISTS:  # another process created it first
                raise TopicLayoutError(f"topic {name} cannot be created: {reason.str()}") from error
        else:
            created.append(name)
    return tuple(created)


class BrokerAdmin:
    """The admin client of a broker, and the errors that librdkafka reported for it."""

    def __init__(self, broker: str, security: Mapping[str, str] | None) -> None:
        self._broker = broker
        self._objections: list[str] = []
        properties: dict[str, Any] = {"bootstrap.servers": broker, **(security or {}), "error_cb": self._note}
        self._admin = AdminClient(properties, logger=_quiet)

    def count_partitions(self, timeout_s: float) -> dict[str, int]:
        """Return the number of partitions of every topic.

        Raises:
            BrokerUnavailableError: no broker answered in time.
        """
        try:
            metadata = self._admin.list_topics(timeout=timeout_s)
        except KafkaException as error:
            self._admin.poll(0)
            heard = (self._objections or [error.args[0].str()])[0]
            cause = (
                "check HOLDFAST_KAFKA_USERNAME and HOLDFAST_KAFKA_PASSWORD"
                if "authentication failed" in heard.lower()
                else "check HOLDFAST_BROKER, HOLDFAST_KAFKA_SECURITY_PROTOCOL and that the broker runs "
                "(`holdfast up` starts a local one)"
            )
            raise BrokerUnavailableError(
                f"no Kafka broker answered at {self._broker} within {timeout_s:g} s ({heard}); {cause}"
            ) from error
        return {name: len(topic.partitions) for name, topic in metadata.topics.items()}

    def read_configs(self, topics: Sequence[str], timeout_s: float) -> dict[str, dict[str, str]]:
        """Return the configuration of each topic that this client may read."""
        found: dict[str, dict[str, str]] = {}
        if not topics:  # librdkafka refuses to ask for none
            return found
        resources = [ConfigResource(ResourceType.TOPIC, topic) for topic in topics]
        for resource, future in self._admin.describe_configs(resources, request_timeout=timeout_s).items():
            try:
                entries = future.result()
            except KafkaException as error:
                _log.info("the configuration of topic %s cannot be read: %s", resource.name, error.args[0].str())
            else:
                found[resource.name] = {name: entry.value for name, entry in entries.items()}
        return found

    def read_broker_config(self, timeout_s: float) -> dict[str, str]:
        """Return the configuration of one of the brokers, empty where this client may not read it."""
        try:
            cluster = self._admin.describe_cluster(request_timeout=timeout_s).result(timeout_s)
            resource = ConfigResource(ResourceType.BROKER, str(cluster.nodes[0].id))
            (future,) = self._admin.describe_configs([resource], request_timeout=timeout_s).values()
            return {name: entry.value for name, entry in future.result(timeout_s).items()}
        except (KafkaException, TimeoutError) as error:
            _log.info("the configuration of the broker cannot be read: %s", error)
            return {}

    def create(self, topics: list[NewTopic], timeout_s: float) -> dict[str, Future[None]]:
        """Begin to create topics."""
        return self._admin.create_topics(topics, operation_timeout=timeout_s, request_timeout=timeout_s)

    def _note(self, error: KafkaError) -> None:
        # "All brokers down" follows an error that names the cause.
        if error.code() != KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001 - librdkafka's own codes
            self._objections.append(error.str())
