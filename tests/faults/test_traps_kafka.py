"""The broker freezes, rejects messages, or has topics with offset gaps."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING

import psycopg
import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from streams.formats.dead_letters import dead_letter_id
from streams.settings import INPUT_TOPICS
from tests.faults.feed import read_partition
from tests.faults.kafka_options import BROKER, BROKER_ID, TOPIC, set_options
from tests.faults.oracle import compare, forget_dead_letters
from tests.faults.run import SESSION_S, Run, send
from tests.faults.scenario import CUSTOMERS, PARTITIONS, TEXTS, without_poison
from tests.faults.second_broker import take_copies_away
from tests.journey.workplace import read_committed, wait_until
from tests.records import Arrived

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from console.embedded.services import EmbeddedServices
    from tests.faults.oracle import Outcome
    from tests.faults.run import World
    from tests.faults.scenario import InputRecord

IN_TRANSACTION = 100
UNSENT = """
    SELECT CASE WHEN customer_id = '' THEN message_id ELSE convert_from(value, 'UTF8')::jsonb ->> 'caused_by' END
      FROM outbox WHERE sent_at IS NULL AND destination = %s
"""


def test_a_broker_that_is_away_past_the_session_with_full_buffers_costs_time_and_nothing_else(
    services: EmbeddedServices, run: Run, undisturbed: Outcome
) -> None:
    """The ledger is locked until every buffer of the worker is full; then the broker freezes."""
    lots = run.send_lots(6)
    worker = run.start()
    run.wait_for(next(lots))
    with psycopg.connect(run.ledger_url) as ledger:
        ledger.execute("LOCK TABLE membership")
        list(lots)
        run.wait_until(lambda: "holdfast_queued_chunks 16.0" in worker.ask("/metrics"))
        services.pause_service("kafka")
        time.sleep(SESSION_S + 2)
        services.resume_service("kafka")
    assert compare(undisturbed, run.finish()).complaints == []


@pytest.mark.parametrize("destination", ["campaign_triggers", "dead_letters"])
def test_what_cannot_be_published_is_not_committed(
    services: EmbeddedServices, run: Run, undisturbed: Outcome, tmp_path: Path, destination: str
) -> None:
    """The broker says NOT_ENOUGH_REPLICAS of a topic for longer than the producer waits; then one is enough."""
    broker, topic = run.world.endpoints.broker, run.prefix + destination.replace("_", "-")
    take_copies_away(services, tmp_path, broker, topic)
    assert refusal(broker, topic) == KafkaError.NOT_ENOUGH_REPLICAS
    run.send()
    worker = run.start(HOLDFAST_FAULT_BROKER_TIMEOUT_S="4")
    run.wait_until(lambda: worker.said("publish_failed") != [])
    # What is committed is read first: more may become unsent meanwhile, but nothing less.
    committed = {(each.topic, each.partition): each.offset for each in run.progress.places()}
    places = find_places(run)
    with psycopg.connect(run.ledger_url) as ledger:
        unsent = [places[name] for (name,) in ledger.execute(UNSENT, [destination]).fetchall()]
    assert unsent
    assert not [place for place in unsent if place.offset < committed[place.topic, place.partition]]
    set_options(broker, TOPIC, topic, min_insync_replicas=1)
    assert compare(undisturbed, run.finish()).complaints == []


def refusal(broker: str, topic: str) -> int | None:
    """Return the error code with which the broker rejects a message, sent once."""
    errors: list[KafkaError | None] = []
    once = {"bootstrap.servers": broker, "acks": "all", "retries": 0, "log_level": 0}
    producer = Producer(once)
    producer.produce(topic, b"", on_delivery=lambda error, _: errors.append(error))
    producer.flush()
    return errors[0].code() if errors[0] is not None else None


def find_places(run: Run) -> dict[str, TopicPartition]:
    """Return the last position of each event, by its id, and of each bad record, by the id of its dead letter."""
    places: dict[str, TopicPartition] = {}
    consumer = Consumer({"bootstrap.servers": run.world.endpoints.broker, "group.id": f"{run.prefix}places"})
    try:
        for topic, number in product(INPUT_TOPICS, range(PARTITIONS)):
            partition = TopicPartition(run.prefix + topic, number)
            for offset, (timestamp, record) in enumerate(read_partition(consumer, partition, len(run.prefix))):
                place = TopicPartition(partition.topic, number, offset)
                letter = Arrived(place.topic, number, offset, timestamp)
                places[dead_letter_id(letter)] = place
                if record in without_poison([record]):
                    places[json.loads(record.value or b"")["id"]] = place
    finally:
        consumer.close()
    return places


def test_topics_with_gaps_are_read_and_committed_to_their_ends(
    world: World, records: Sequence[InputRecord], undisturbed: Outcome
) -> None:
    """Updates are compacted; other records are written in transactions, each followed by an aborted one."""
    sound = without_poison(records)
    with Run(world, sound) as run:
        send_compacted(run, [record for record in sound if record.topic == "customer-updates"])
        send_transactions(run, [record for record in sound if record.topic != "customer-updates"])
        run.start()
        ends = sum(place.offset for place in run.progress.ends())
        assert ends > len(sound)
        run.wait_for(ends)
        assert compare(forget_dead_letters(undisturbed), run.finish()).complaints == []


def send_compacted(run: Run, records: Sequence[InputRecord]) -> None:
    """Send the records of one topic, and wait until compaction leaves only the last record of each customer."""
    broker, topic = run.world.endpoints.broker, run.prefix + records[0].topic
    set_options(broker, TOPIC, topic, cleanup_policy="compact", segment_ms=100, min_cleanable_dirty_ratio=0)
    send(broker, run.prefix, records)
    time.sleep(0.2)  # The next record of a partition begins another segment; earlier segments are compacted.
    send(broker, run.prefix, list({record.partition: record for record in records}.values()))
    set_options(broker, BROKER, BROKER_ID, log_cleaner_backoff_ms=100)
    try:
        wait_until(lambda: len(read_committed(broker, topic)) <= CUSTOMERS + PARTITIONS)
    finally:
        set_options(broker, BROKER, BROKER_ID, log_cleaner_backoff_ms=None)


def send_transactions(run: Run, records: Sequence[InputRecord]) -> None:
    """Send the records in transactions, each followed by an aborted one: cancellation requests, which would count."""
    producer = Producer(
        {"bootstrap.servers": run.world.endpoints.broker, "transactional.id": f"{run.prefix}source", "log_level": 0}
    )
    producer.init_transactions(20)
    for begin in range(0, len(records), IN_TRANSACTION):
        lot = records[begin : begin + IN_TRANSACTION]
        for aborted in (False, True):
            producer.begin_transaction()
            for record in [cancel(record) for record in lot] if aborted else lot:
                producer.produce(run.prefix + record.topic, record.value, record.key, partition=record.partition)
            producer.flush()
            (producer.abort_transaction if aborted else producer.commit_transaction)(20)


def cancel(record: InputRecord) -> InputRecord:
    """Return another message of the same customer."""
    event = json.loads(record.value or b"")
    words = {"id": f"aborted-{event['id']}", "type": "conversation.message", "role": "customer", "text": TEXTS[2]}
    return replace(record, topic="conversations", value=json.dumps(event | words).encode())
