"""Checks of the broker, its topics, and the records in them."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING

from console.use_cases.doctor.findings import error, note, warning
from streams.errors import MissingCodecError, TopicLayoutError
from streams.kafka.decompression import check_codecs
from streams.kafka.key_partitions import MAX_KEY_BYTES, choose_partition
from streams.kafka.topics import check_layout
from streams.topic_descriptions import find_differences

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from console.use_cases.doctor.findings import Finding
    from streams.kafka.broker_inspection import BrokerFacts
    from streams.kafka.record_samples import SampledRecord
    from streams.settings import Settings

PARTITIONERS = {
    "murmur2_random": "Java's default",
    "consistent_random": "librdkafka's default",
    "fnv1a_random": "Sarama's default",
}
HEADERS_BYTES = 65_536
"""What a dead letter has besides an event."""
DAY_MS = 86_400_000
DAY_MINUTES = 1_440
CLOCKS_S = 1.0
ALTER = "kafka-configs.sh --alter --entity-type topics --entity-name {topic} --add-config {config}"


def check_topics(settings: Settings, broker: BrokerFacts) -> Iterator[Finding]:
    """All topics exist, and the input topics have equal numbers of partitions."""
    groups = [settings.input_topics, *([topic] for topic in settings.output_topics.values())]
    for topics in groups:
        try:
            check_layout(topics, broker.partitions)
        except TopicLayoutError as failure:
            what, _, fix = str(failure).rpartition("; ")
            yield error("topic-layout", what, "No worker starts while it is so.", fix)


def check_descriptions(settings: Settings, broker: BrokerFacts) -> Iterator[Finding]:
    """The configuration of the topics is as they are described."""
    for difference in find_differences(settings.topic_prefix, broker.topics):
        what, _, fix = difference.partition("; ")
        yield warning("topic-differs", what, "Messages may be refused, or have the time of a producer's clock.", fix)


def check_cleanup(settings: Settings, broker: BrokerFacts) -> Iterator[Finding]:
    """No topic is compacted."""
    for topic, configs in broker.topics.items():
        policy = configs.get("cleanup.policy", "delete")
        if "compact" in policy:
            yield error(
                "topic-compacted",
                f"topic {topic}: cleanup.policy is {policy}",
                "Of the events of a customer only the latest is kept: others are deleted before they are read.",
                ALTER.format(topic=topic, config="cleanup.policy=delete"),
            )


def check_retention(settings: Settings, broker: BrokerFacts) -> Iterator[Finding]:
    """The input topics keep events for a day at least."""
    for topic in settings.input_topics:
        kept = int(broker.topics.get(topic, {}).get("retention.ms", -1))
        if 0 <= kept < DAY_MS:
            yield warning(
                "retention-short",
                f"topic {topic}: retention.ms is {kept}, which is {kept / 3_600_000:.1f} h",
                "Events are deleted unread when workers are down for longer, such as overnight.",
                ALTER.format(topic=topic, config=f"retention.ms={7 * DAY_MS}"),
            )


def check_compression(settings: Settings, broker: BrokerFacts) -> Iterator[Finding]:
    """This installation can read every codec."""
    try:
        check_codecs()
    except MissingCodecError as failure:
        codecs = {broker.topics.get(topic, {}).get("compression.type", "producer") for topic in settings.input_topics}
        yield error(
            "codec-missing",
            f"{failure} (compression.type of the input topics: {', '.join(sorted(codecs))})",
            "No worker starts, since a producer may use any codec.",
            "make .venv/runtime",
        )


def check_partitioners(settings: Settings, broker: BrokerFacts) -> Iterator[Finding]:
    """The key of each sampled record belongs to its partition."""
    by_topic: dict[str, list[SampledRecord]] = defaultdict(list)
    for record in broker.records:
        if record.key and len(record.key) <= MAX_KEY_BYTES:
            by_topic[record.topic].append(record)
    for topic, records in by_topic.items():
        partitions = broker.partitions[topic]
        misplaced = [each for each in records if not _fits(settings.partitioner, each, partitions)]
        if misplaced:
            first = misplaced[0]
            yield error(
                "partitioner-differs",
                f"topic {topic}: {len(misplaced)} of {len(records)} sampled records are in another partition than "
                f"HOLDFAST_PARTITIONER {settings.partitioner} gives, the first at partition {first.partition}, offset "
                f"{first.offset}{_suggest(misplaced, partitions)}",
                "Events of one customer reach several workers, and their order is lost.",
                "set partitioner=murmur2_random in librdkafka producers; where all producers agree, set "
                "HOLDFAST_PARTITIONER to theirs; records from before partitions were added pass with time",
            )


def _fits(partitioner: str, record: SampledRecord, partitions: int) -> bool:
    return choose_partition(partitioner, record.key or b"", partitions) == record.partition


def _suggest(records: Sequence[SampledRecord], partitions: int) -> str:
    """Return the partitioner that would give all of these records their partition, with whose it is."""
    for name, whose in PARTITIONERS.items():
        if all(_fits(name, each, partitions) for each in records):
            return f"; all of them fit {name}, {whose}"
    return ""


def check_clocks(settings: Settings, broker: BrokerFacts) -> Iterator[Finding]:
    """No record is from the future."""
    ahead = [(each.at - broker.at, each) for each in broker.records if each.at is not None]
    worst, record = max(ahead, key=lambda each: each[0], default=(timedelta(0), None))
    if record is not None and worst.total_seconds() > CLOCKS_S:
        yield warning(
            "clock-of-records",
            f"topic {record.topic}, partition {record.partition}, offset {record.offset}: the record's timestamp is "
            f"{worst.total_seconds():.1f} s ahead of this machine's clock",
            "Ages of lag and latencies are wrong by as much, and events may seem to be from the future.",
            "let the producer's host, the brokers and this machine follow one time server (chronyc tracking)",
        )


def check_session(settings: Settings, broker: BrokerFacts) -> Iterator[Finding]:
    """The broker accepts the session timeout of the workers."""
    wanted = settings.session_timeout_s * 1_000
    for name, sign in (("group.min.session.timeout.ms", -1), ("group.max.session.timeout.ms", 1)):
        limit = broker.brokers.get(name)
        if limit is not None and sign * wanted > sign * int(limit):
            yield error(
                "session-timeout",
                f"HOLDFAST_SESSION_TIMEOUT_S is {settings.session_timeout_s:g} s, and the broker's {name} is {limit}",
                "The broker refuses to let a worker join the group.",
                f"set HOLDFAST_SESSION_TIMEOUT_S to {int(limit) / 1_000:g}, or change {name} of the brokers",
            )


def check_auto_create(settings: Settings, broker: BrokerFacts) -> Iterator[Finding]:
    """The broker creates no topics by itself."""
    if broker.brokers.get("auto.create.topics.enable") == "true":
        yield warning(
            "topics-auto-created",
            "the broker's auto.create.topics.enable is true",
            "A producer with a mistyped topic name creates it, and its events are never read.",
            "set auto.create.topics.enable=false in the brokers' server.properties; holdfast topics create",
        )


def check_sizes(settings: Settings, broker: BrokerFacts) -> Iterator[Finding]:
    """The topic of dead letters takes an event of any size that is read."""
    topic = settings.output_topics["dead_letters"]
    limit = int(broker.topics.get(topic, {}).get("max.message.bytes", 0))
    needed = settings.max_event_bytes + HEADERS_BYTES
    if 0 < limit < needed:
        yield warning(
            "dead-letters-too-small",
            f"topic {topic}: max.message.bytes is {limit}, and HOLDFAST_MAX_EVENT_BYTES is {settings.max_event_bytes}",
            "A dead letter with the bytes of such an event cannot be published.",
            ALTER.format(topic=topic, config=f"max.message.bytes={needed}"),
        )


def check_offsets_retention(settings: Settings, broker: BrokerFacts) -> Iterator[Finding]:
    """The broker keeps offsets of a group without members for a day at least."""
    minutes = broker.brokers.get("offsets.retention.minutes")
    if minutes is not None and int(minutes) < DAY_MINUTES:
        yield warning(
            "offsets-retention-short",
            f"the broker's offsets.retention.minutes is {minutes}",
            "When workers are down for longer, topics are read from their beginning again.",
            "set offsets.retention.minutes=10080 in the brokers' server.properties",
        )


def check_topic_ids(settings: Settings, broker: BrokerFacts) -> Iterator[Finding]:
    """The broker has topic ids."""
    without = [topic for topic in settings.input_topics if topic in broker.partitions and topic not in broker.with_ids]
    if without:
        yield note(
            "topic-ids-missing",
            f"the broker gives no topic id for {', '.join(without)}: it is older than Kafka 2.8, or was slow to answer",
            "A topic that is deleted and created again cannot be distinguished from the one before.",
            "upgrade the brokers to Kafka 3.3 or later",
        )


def check_readable(settings: Settings, broker: BrokerFacts) -> Iterator[Finding]:
    """The configuration of broker and topics may be read."""
    ours = [topic for topic in settings.input_topics if topic in broker.partitions]
    unread = [topic for topic in ours if topic not in broker.topics]
    unread += [] if broker.brokers else ["the brokers"]
    if unread:
        yield note(
            "configuration-unread",
            f"the configuration of {', '.join(unread)} cannot be read",
            "Retention, sizes and limits are not checked.",
            "grant DescribeConfigs on the topics and on the cluster to this user (kafka-acls.sh)",
        )


CHECKS: Sequence[Callable[[Settings, BrokerFacts], Iterator[Finding]]] = (
    check_topics,
    check_descriptions,
    check_cleanup,
    check_retention,
    check_compression,
    check_partitioners,
    check_clocks,
    check_session,
    check_auto_create,
    check_sizes,
    check_offsets_retention,
    check_topic_ids,
    check_readable,
)
