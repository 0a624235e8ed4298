"""The contract of a TriggerSink, run on the in-memory fake and on Kafka."""

from __future__ import annotations

import random
from contextlib import ExitStack, nullcontext
from typing import TYPE_CHECKING, Protocol

import pytest

from campaigns.ports import OutboxRow
from campaigns.triggers import Message
from streams.errors import SinkUnavailableError, UnpublishableError
from streams.kafka.publishing import OPTIONS, KafkaTriggerSink
from streams.kafka.topics import create_topics
from tests.fakes.trigger_sink import InMemoryTopics, InMemoryTriggerSink
from tests.journey.workplace import read_committed, set_topic

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from confluent_kafka import Producer

    from console.embedded.services import Endpoints
    from streams.ports import TriggerSink
    from tests.journey.workplace import Seen


class Broker(Protocol):
    """A broker to which any number of workers publish."""

    def connect(self) -> TriggerSink:
        """Return the sink of another worker."""

    def ids(self) -> list[str]:
        """Return the keys that a read_committed consumer sees, in order."""

    def limit(self, size: int) -> None:
        """Have the topic take no larger record than about so many bytes."""


class InMemoryBroker:
    """A broker for in-memory sinks."""

    def __init__(self) -> None:
        self.topics = InMemoryTopics()

    def connect(self) -> TriggerSink:
        """See above."""
        return InMemoryTriggerSink(self.topics)

    def ids(self) -> list[str]:
        """See above."""
        return self.topics.ids()

    def limit(self, size: int) -> None:
        """See above."""
        self.topics.limits["campaign_triggers"] = size


class KafkaBroker:
    """One topic with one partition for all published messages, and an input topic that defines the partitions."""

    def __init__(self, broker: str, prefix: str, stack: ExitStack) -> None:
        self.broker = broker
        self.topic = f"{prefix}triggers"
        self.group = f"{prefix}group"
        self._stack = stack
        self.input = f"{prefix}input"
        create_topics(broker, [self.topic], 1)
        create_topics(broker, [self.input], 2)

    def connect(self, ledger_id: str = "ledger", options: Mapping[str, str] = OPTIONS) -> KafkaTriggerSink:
        """See the protocol; all sinks have the same ledger id by default."""
        sink = KafkaTriggerSink(
            {"bootstrap.servers": self.broker},
            group=self.group,
            ledger_id=ledger_id,
            topics={"campaign_triggers": self.topic},
            progress_topic=self.input,
            options=options,
        )
        self._stack.callback(sink.close)
        return sink

    def see(self) -> list[Seen]:
        """Return the records that a read_committed consumer sees."""
        return read_committed(self.broker, self.topic)

    def ids(self) -> list[str]:
        """See above."""
        return [(each.key or b"").decode() for each in self.see()]

    def limit(self, size: int) -> None:
        """See above."""
        set_topic(self.broker, self.topic, "max.message.bytes", size)


@pytest.fixture
def kafka(endpoints: Endpoints, topic_prefix: str) -> Iterator[KafkaBroker]:
    """A dedicated topic on the real broker."""
    with ExitStack() as stack:
        yield KafkaBroker(endpoints.broker, topic_prefix, stack)


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.journey)])
def broker(request: pytest.FixtureRequest) -> Broker:
    """Either broker; the real one starts only if it is requested."""
    if request.param == "memory":
        return InMemoryBroker()
    found: Broker = request.getfixturevalue("kafka")
    return found


def large(sequence: int, size: int = 20_000) -> OutboxRow:
    """Return a message with a value of so many bytes that no codec makes smaller."""
    value = random.Random(sequence).randbytes(size)
    return OutboxRow(sequence, Message(f"{sequence}", "ann", "campaign_triggers", b"%d" % sequence, (), value, 0))


def stored(*sequences: int, partition: int = 0) -> list[OutboxRow]:
    """Return messages as the outbox holds them, named after their sequences."""
    return [
        OutboxRow(n, Message(f"{n}", "ann", "campaign_triggers", b"%d" % n, (), b"{}", partition)) for n in sequences
    ]


async def test_messages_are_published_in_order_of_sequence(broker: Broker) -> None:
    """Across several calls."""
    sink = broker.connect()
    await sink.fence(0)
    await sink.publish(0, stored(1, 2))
    await sink.publish(0, stored(5, 9))
    assert broker.ids() == ["1", "2", "5", "9"]


async def test_what_is_published_twice_is_seen_once(broker: Broker) -> None:
    """Repeated messages are skipped; new ones in the same call are not."""
    sink = broker.connect()
    await sink.fence(0)
    await sink.publish(0, stored(1, 2))
    await sink.publish(0, stored(1, 2))
    await sink.publish(0, stored(2, 3))
    await sink.publish(0, [])
    assert broker.ids() == ["1", "2", "3"]


async def test_partitions_have_sequences_of_their_own(broker: Broker) -> None:
    """Progress on one hides no messages of another."""
    sink = broker.connect()
    for partition, number in ((0, 7), (1, 3)):
        await sink.fence(partition)
        await sink.publish(partition, stored(number, partition=partition))
    assert sorted(broker.ids()) == ["3", "7"]


async def test_a_new_owner_goes_on_where_the_old_one_stopped(broker: Broker) -> None:
    """It skips messages that the old owner has published."""
    old, new = broker.connect(), broker.connect()
    await old.fence(0)
    await old.publish(0, stored(1, 2))
    assert await new.fence(0) == 2
    await new.publish(0, stored(1, 2, 3))
    assert broker.ids() == ["1", "2", "3"]


async def test_an_old_owner_is_shut_out(broker: Broker) -> None:
    """It gets an error, and none of its messages is visible."""
    old, new = broker.connect(), broker.connect()
    await old.fence(0)
    await old.publish(0, stored(1))
    await new.fence(0)
    with pytest.raises(SinkUnavailableError):
        await old.publish(0, stored(2))
    await new.publish(0, stored(2))
    assert broker.ids() == ["1", "2"]


async def test_an_owner_can_take_its_partition_over_again(broker: Broker) -> None:
    """As it does after every failure."""
    sink = broker.connect()
    await sink.fence(0)
    await sink.publish(0, stored(1))
    await sink.fence(0)
    await sink.publish(0, stored(1, 2))
    assert broker.ids() == ["1", "2"]


async def test_messages_that_the_topic_can_never_take_are_named_and_the_others_go_out(broker: Broker) -> None:
    """Those named are exactly the ones that are too large; the rest is published once.

    On a busy machine one attempt may name the first alone: librdkafka sends nothing more of a transaction that failed.
    """
    broker.limit(10_000)
    sink = broker.connect()
    await sink.fence(0)
    rows = [*stored(1, 2), large(3), *stored(4), large(5), *stored(6)]
    refused: set[int] = set()
    while refused != {3, 5}:
        with pytest.raises(UnpublishableError) as attempt:
            await sink.publish(0, [each for each in rows if each.sequence not in refused])
        named = attempt.value.refusals.keys()
        assert named - refused
        assert named <= {3, 5}
        assert broker.ids() == []
        refused |= named
    await sink.publish(0, [each for each in rows if each.sequence not in refused])
    assert broker.ids() == ["1", "2", "4", "6"]
    assert await broker.connect().fence(0) == 6


async def test_a_batch_that_is_too_large_as_a_whole_goes_out(broker: Broker) -> None:
    """Each of its messages fits."""
    broker.limit(10_000)
    sink = broker.connect()
    await sink.fence(0)
    await sink.publish(0, [large(number, 3_000) for number in range(1, 13)])
    await sink.publish(0, stored(13))
    assert broker.ids() == [str(number) for number in range(1, 14)]


async def test_a_message_over_the_producers_own_limit_is_named(kafka: KafkaBroker) -> None:
    """No broker is asked about it."""
    sink = kafka.connect()
    await sink.fence(0)
    with pytest.raises(UnpublishableError) as refused:
        await sink.publish(0, [*stored(1), large(2, 5_000_000)])
    (refusal,) = refused.value.refusals.values()
    assert refusal.topic == kafka.topic
    assert "5,000,000 bytes" in refusal.reason
    await sink.publish(0, stored(1, 3))
    assert kafka.ids() == ["1", "3"]


async def test_a_topic_that_is_gone_is_something_to_try_again(kafka: KafkaBroker) -> None:
    """It concerns every message, and an operator can create it: nothing is set aside."""
    sink = kafka.connect()
    sink._topics = {"campaign_triggers": f"{kafka.topic}.gone"}
    await sink.fence(0)
    with pytest.raises(SinkUnavailableError):
        await sink.publish(0, stored(1))


async def test_an_aborted_transaction_is_invisible(kafka: KafkaBroker) -> None:
    """Records of an owner that died during a transaction are on the topic, but a read_committed consumer skips them."""
    dying = kafka.connect()
    await dying.fence(0)
    await dying.publish(0, stored(1))
    producer: Producer = dying._producers[0]._producer[0]
    producer.begin_transaction()
    producer.produce(kafka.topic, key=b"2", value=b"half")
    producer.flush(10)
    heir = kafka.connect()
    await heir.fence(0)
    await heir.publish(0, stored(1, 2))
    assert [(each.key, each.value) for each in kafka.see()] == [(b"1", b"{}"), (b"2", b"{}")]


async def test_sequences_of_another_ledger_are_not_taken_for_ours(kafka: KafkaBroker) -> None:
    """A recreated ledger begins at 1 again."""
    for ledger_id in ("first", "second"):
        sink = kafka.connect(ledger_id)
        await sink.fence(0)
        await sink.publish(0, stored(1))
    assert kafka.ids() == ["1", "1"]


async def test_headers_and_bytes_arrive_as_they_are(kafka: KafkaBroker) -> None:
    """Including null values, nulls in headers and large dead letters."""
    headers = (("a", b"\xff"), ("b", None), ("a", b""))
    sink = kafka.connect()
    await sink.fence(0)
    messages = [
        Message("m", "", "campaign_triggers", key, headers, value, 0) for key, value in ((None, b"\x00"), (b"", None))
    ]
    await sink.publish(0, [OutboxRow(place, each) for place, each in enumerate(messages, start=1)])
    assert [(each.key, each.value, tuple(each.headers)) for each in kafka.see()] == [
        (None, b"\x00", headers),
        (b"", None, headers),
    ]


@pytest.mark.parametrize(
    ("compression", "published"), [("none", []), ("gzip", ["1"]), ("snappy", ["1"]), ("zstd", ["1"])]
)
async def test_messages_are_compressed_with_the_codec_of_the_setting(
    kafka: KafkaBroker, compression: str, published: list[str]
) -> None:
    """The topic's limit holds for the compressed size."""
    sink = kafka.connect(options={"compression.type": compression})
    await sink.fence(0)
    kafka.limit(5_000)
    row = OutboxRow(1, Message("1", "ann", "campaign_triggers", b"1", (), b"a" * 20_000, 0))
    with nullcontext() if published else pytest.raises(UnpublishableError):
        await sink.publish(0, [row])
    assert kafka.ids() == published


async def test_a_broker_that_is_away_is_reported(kafka: KafkaBroker) -> None:
    """As something to try again."""
    sink = KafkaTriggerSink(
        {"bootstrap.servers": "127.0.0.1:1"},
        group="g",
        ledger_id="l",
        topics={},
        progress_topic=kafka.topic,
        timeout_s=0.1,
    )
    with pytest.raises(SinkUnavailableError, match="retried"):
        await sink.fence(0)
    sink.close()
